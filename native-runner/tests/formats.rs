//! Every input format gives the same ranking, and every output format has its shape.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use program::tiny_model::TinyModel;
use program::{crossrank, fails, file, json_lines, outcome, run, stdout};
use serde_json::{Value, json};

const QUERY: &str = "How many people live in Berlin?";
const TEXTS: [&str; 3] = [
    "New York City is famous for the Metropolitan Museum of Art.",
    "Berlin is well known for its museums.",
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
];

fn rerank(format: &str, more: &[&str], documents: impl Into<Vec<u8>>) -> String {
    let arguments = ["rerank", "--query", QUERY, "--documents", "-", "--format", format];
    stdout(&[&arguments, more].concat(), documents)
}

fn indices(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["index"].as_u64().unwrap()).collect()
}

#[test]
fn every_input_format_gives_the_same_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let array = serde_json::to_string(&TEXTS).unwrap();
    let strings: String = TEXTS.iter().map(|text| json!(text).to_string() + "\n").collect();
    let objects: String =
        TEXTS.iter().map(|text| json!({ "_id": "x", "text": text }).to_string() + "\n").collect();
    let plain = TEXTS.join("\r\n");
    let score = |line: &Value| (line["index"].clone(), line["score"].clone());
    let expected: Vec<_> = json_lines(&rerank("jsonl", &[], plain)).iter().map(score).collect();
    assert_eq!(expected.iter().map(|(index, _)| index.as_u64().unwrap()).collect::<Vec<_>>(), [2, 1, 0]);
    for (name, text) in [("array", array), ("strings", strings), ("objects", objects)] {
        let path = file(folder.path(), name, text);
        let ranked = stdout(&["rerank", "--query", QUERY, "--documents", &path], "");
        assert_eq!(json_lines(&ranked).iter().map(score).collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn the_embedded_model_gives_its_published_logits() {
    let lines = json_lines(&rerank("jsonl", &["--raw-scores"], TEXTS.join("\n")));
    let logits: Vec<f64> = lines.iter().map(|line| line["logit"].as_f64().unwrap()).collect();
    // The model card's logits are of f32 weights; the embedded ones are a conversion of an int8 release.
    for (found, published) in logits.iter().zip([9.3, -4.0, -11.2]) {
        assert!((found - published).abs() < 0.3, "{logits:?}");
    }
}

#[test]
fn json_is_the_body_of_coheres_endpoint() {
    let body: Value = serde_json::from_str(&rerank("json", &[], TEXTS.join("\n"))).unwrap();
    assert_eq!(body["id"].as_str().unwrap().len(), 36);
    assert_eq!(body["model"], "default");
    assert_eq!(indices(body["results"].as_array().unwrap()), [2, 1, 0]);
    let first = body["results"][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["index", "relevance_score"]);
    assert!((0.99..=1.0).contains(&first["relevance_score"].as_f64().unwrap()));
    assert_eq!(body["meta"]["api_version"], json!({ "version": "2", "is_experimental": false }));
    assert_eq!(body["meta"]["billed_units"], json!({ "search_units": 1 }));
    assert!(body["meta"]["tokens"]["input_tokens"].as_u64().unwrap() > 30);
    assert_eq!(body["meta"].get("warnings"), None);
}

#[test]
fn raw_scores_add_the_logit_and_keep_the_sigmoid() {
    let text = rerank("json", &["--raw-scores", "--return-documents"], TEXTS.join("\n"));
    let body: Value = serde_json::from_str(&text).unwrap();
    let first = &body["results"][0];
    let (score, logit) = (first["relevance_score"].as_f64().unwrap(), first["logit"].as_f64().unwrap());
    // The logit is printed as f32, which is off by less than one part in 10 million.
    assert!((score - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
    assert_eq!(first["document"], json!({ "text": TEXTS[2] }));
}

#[test]
fn a_returned_object_is_the_one_that_came() {
    let record = json!({ "title": "Berlin", "_id": "b", "people": 3520031 });
    let body: Value =
        serde_json::from_str(&rerank("json", &["--return-documents"], record.to_string())).unwrap();
    assert_eq!(body["results"][0]["document"].to_string(), record.to_string());
}

#[test]
fn trec_takes_ids_from_the_documents_and_logits_in_full() {
    let documents =
        format!("{}\n{}\n", json!({ "_id": "doc-a", "text": TEXTS[0] }), json!({ "text": TEXTS[2] }));
    let text = rerank("trec", &["--query-id", "q7"], documents);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(rows.iter().map(|row| row.len()).collect::<Vec<_>>(), [6, 6]);
    assert_eq!(
        [rows[0][0], rows[0][1], rows[0][2], rows[0][3], rows[0][5]],
        ["q7", "Q0", "1", "1", "crossrank"]
    );
    assert_eq!([rows[1][2], rows[1][3]], ["doc-a", "2"]);
    assert!(rows[0][4].parse::<f32>().unwrap() > rows[1][4].parse::<f32>().unwrap());
    assert!(rows[0][4].len() >= 7, "a logit of few digits makes ties: {}", rows[0][4]);
}

#[test]
fn trec_refuses_an_id_with_white_space() {
    let arguments = ["rerank", "--query", "q", "--documents", "-", "--format", "trec"];
    fails(&arguments, r#"{"_id":"a b","text":"x"}"#, 2, &["error[invalid_input]", "\"a b\""]);
}

#[test]
fn a_table_shows_rank_former_place_and_move() {
    let text = rerank("table", &[], TEXTS.join("\n"));
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["rank", "was", "move", "score", "document"]);
    assert_eq!(rows[1][..4], ["1", "3", "↑2", "0.9999"]);
    assert_eq!(rows[2][..3], ["2", "2", "="]);
    assert_eq!(rows[3][..3], ["3", "1", "↓2"]);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn the_sample_puts_the_answers_before_the_near_misses() {
    let sample = run(&["rerank", "--sample"]);
    assert_eq!(sample.status, 0, "{}", sample.stderr);
    let rows: Vec<&str> = sample.stdout.lines().collect();
    assert!(rows[0].starts_with("rank"), "{}", sample.stdout);
    assert!(rows[1].contains("cooked rice lasts three to four days"), "{}", sample.stdout);
    assert!(rows[1..8].iter().any(|row| row.contains("chart-17")), "{}", sample.stdout);
    assert!(sample.stderr.contains("query: How long can cooked rice"));
}

#[test]
fn top_n_and_min_score_shorten_the_ranking() {
    let documents = TEXTS.join("\n");
    assert_eq!(indices(&json_lines(&rerank("jsonl", &["--top-n", "2"], documents.as_str()))), [2, 1]);
    assert_eq!(indices(&json_lines(&rerank("jsonl", &["--top-n", "99"], documents.as_str()))).len(), 3);
    assert_eq!(indices(&json_lines(&rerank("jsonl", &["--min-score", "0.5"], documents.as_str()))), [2]);
}

#[test]
fn rank_fields_choose_what_is_read() {
    let documents = [("a", TEXTS[2], "none"), ("b", "none", TEXTS[2])]
        .map(|(id, title, text)| json!({ "_id": id, "title": title, "text": text }).to_string());
    let ids = |field| {
        let lines = json_lines(&rerank("jsonl", &["--rank-fields", field], documents.join("\n")));
        lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((ids("title"), ids("text")), (vec!["a".into(), "b".into()], vec!["b".into(), "a".into()]));
}

#[test]
fn a_language_the_model_does_not_know_is_a_warning() {
    let arguments = ["rerank", "--query", "柏林有多少人口？", "--documents", "-", "--format", "json"];
    let outcome = outcome(crossrank().args(arguments).write_stdin("柏林是德国的首都，有三百五十万居民。"));
    assert_eq!(outcome.status, 0);
    assert!(outcome.stderr.starts_with("warning[language_mismatch]: "), "{}", outcome.stderr);
    let body: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(body["meta"]["warnings"][0].as_str().unwrap().starts_with("language_mismatch: "));
}

#[test]
fn what_a_deadline_leaves_out_is_marked_and_comes_last() {
    let model = TinyModel::new();
    let documents = "berlin has many people\n".repeat(3000);
    let text = rerank("jsonl", &["--deadline-ms", "1", "--model", model.path()], documents);
    let lines = json_lines(&text);
    let unscored: Vec<&Value> = lines.iter().filter(|line| line.get("scored").is_some()).collect();
    assert!(!unscored.is_empty() && unscored.len() < lines.len(), "{} of {}", unscored.len(), lines.len());
    assert_eq!((&unscored[0]["scored"], &unscored[0]["score"]), (&json!(false), &json!(0.0)));
    assert_eq!(lines.last().unwrap()["index"], 2999);
}

#[test]
fn scores_come_in_input_order_with_tokens() {
    let pairs: String = TEXTS.iter().map(|text| json!([QUERY, text]).to_string() + "\n").collect();
    let pairs = pairs + &json!({ "query": "", "document": "" }).to_string();
    let lines = json_lines(&stdout(&["score", "--pairs", "-"], pairs.as_str()));
    assert_eq!(indices(&lines), [0, 1, 2, 3]);
    assert_eq!(
        lines[0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["index", "score", "logit", "tokens"]
    );
    let logits: Vec<f64> = lines.iter().map(|line| line["logit"].as_f64().unwrap()).collect();
    assert!(logits[2] > 5.0 && logits[1] < 0.0 && logits[0] < logits[1], "{logits:?}");
    // [CLS] [SEP] [SEP]: empty strings are what the tokenizer makes of them.
    assert_eq!(lines[3]["tokens"], 3);
    let raw = json_lines(&stdout(&["score", "--pairs", "-", "--raw-scores"], pairs));
    assert_eq!(raw[2]["score"], raw[2]["logit"]);
}

#[test]
fn scores_of_more_pairs_than_a_chunk_are_numbered_through() {
    let model = TinyModel::new();
    let pairs = "[\"how many people\",\"berlin has many people\"]\n".repeat(1100);
    let lines = json_lines(&stdout(&["score", "--pairs", "-", "--model", model.path()], pairs));
    assert_eq!(indices(&lines), (0..1100).collect::<Vec<u64>>());
}

#[test]
fn score_truncates_by_the_rule_asked_for() {
    let pair = json!(["how many people live in the city", "berlin has many people"]).to_string();
    let ids = |rule: &str| {
        let model = TinyModel::new();
        let arguments =
            ["tokenize", "--pairs", "-", "--model", model.path(), "--max-length", "12", "--truncation", rule];
        json_lines(&stdout(&arguments, pair.as_str()))[0].clone()
    };
    assert_eq!(
        ids("only-second"),
        json!({ "index": 0, "ids": [2, 12, 9, 5, 10, 11, 13, 7, 3, 4, 8, 3], "type_ids": [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1] })
    );
    assert_eq!(ids("longest-first")["ids"], json!([2, 12, 9, 5, 10, 11, 3, 4, 8, 9, 5, 3]));
}
