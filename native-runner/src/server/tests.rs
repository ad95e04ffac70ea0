use serde_json::Value;

use super::operations::openapi;
use super::routes::{READ, RERANK, RERANK_V1, RERANK_V2, SCORE};

#[test]
fn the_description_has_every_route_and_no_other() {
    let api = openapi().0;
    let routes_of = |method: &str| {
        let paths = api["paths"].as_object().unwrap().iter();
        let mut found: Vec<&str> = paths
            .filter(|(_, methods)| methods.get(method).is_some_and(Value::is_object))
            .map(|(path, _)| path.as_str())
            .collect();
        found.sort_unstable();
        found
    };
    let mut posts = [&RERANK_V2[..], &RERANK_V1[..], &RERANK[..], &SCORE[..]].concat();
    posts.sort_unstable();
    assert_eq!(routes_of("post"), posts);
    let mut reads = READ.map(|(path, _)| path);
    reads.sort_unstable();
    assert_eq!(routes_of("get"), reads);
}
