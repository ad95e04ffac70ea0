//! Search by vectors: every document is embedded as the corpus streams by and compared with every query.

use crossrank::Embedder;
use rayon::prelude::*;

use crate::bm25::queries_of_documents;
use crate::top::Top;
use crate::{Corpus, EvalError, Run, Search, VectorCache, Warnings};

/// Ranks `corpus` for every query by the cosine of vectors, those of documents from `cache` as far as it has them;
/// `on_documents` is told how many are done.
///
/// # Errors
/// Those of reading the corpus, of the encoder and of the cache.
pub fn dense(
    corpus: &Corpus,
    search: &Search<'_>,
    embedder: &Embedder,
    cache: &mut VectorCache,
    on_documents: &dyn Fn(usize),
) -> Result<Run, EvalError> {
    let names: Vec<&String> = search.queries.keys().collect();
    let texts: Vec<&str> = search.queries.values().map(String::as_str).collect();
    let queries = embedder.embed(&texts)?;
    let Some(size) = queries.first().map(Vec::len) else { return Ok(Run::new()) };
    let allowed = search.candidates.map(|candidates| queries_of_documents(candidates, &names));
    let mut tops: Vec<Top> = names.iter().map(|_| Top::new(search.depth)).collect();
    let mut done = 0;
    corpus.for_each_chunk(&mut Warnings::default(), |chunk| {
        let texts: Vec<&str> = chunk.iter().map(|text| text.text.as_str()).collect();
        let documents = cache.next(&texts, size, embedder)?;
        tops.par_iter_mut().zip(&queries).enumerate().for_each(|(query, (top, vector))| {
            for (text, document) in chunk.iter().zip(&documents) {
                let among = |allowed: &std::collections::HashMap<&str, Vec<usize>>| {
                    allowed.get(text.id.as_str()).is_some_and(|queries| queries.contains(&query))
                };
                if allowed.as_ref().is_none_or(among) {
                    top.offer(&text.id, cosine(vector, document));
                }
            }
        });
        done += chunk.len();
        on_documents(done);
        Ok(())
    })?;
    Ok(search.run(tops))
}

/// The cosine of two vectors of length 1.
fn cosine(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
}
