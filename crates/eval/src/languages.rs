//! A collection in several languages, one language at a time.

use std::collections::BTreeMap;

use serde::Serialize;
use whatlang::{Detector, Lang, detect};

use crate::evaluation::{Comparison, Row, Stage};
use crate::{Metric, Qrels};

/// A language that fewer of the queries look like is taken for an error of detection.
const LEAST_SHARE: f64 = 0.1;

/// The measures of the queries in one language.
#[derive(Debug, Clone, Serialize)]
pub struct LanguageRows {
    /// The language.
    pub language: String,
    /// Judged queries in it.
    pub queries: usize,
    /// The stages' measures.
    pub stages: Vec<Row>,
    /// Every reranker beside its first stage.
    pub significance: Vec<Comparison>,
}

/// The language of each of `queries`: as `given`, else what it looks like. Empty if all have the same one.
pub(crate) fn languages(
    queries: &BTreeMap<String, String>,
    given: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let languages = if given.is_empty() { detected(queries) } else { given };
    let mut distinct = languages.values();
    let first = distinct.next();
    if distinct.all(|language| Some(language) == first) { BTreeMap::new() } else { languages }
}

/// A question is short: which languages there are is told by all that are clear, and then only those are asked for.
fn detected(queries: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let texts: BTreeMap<&String, String> = queries.iter().map(|(id, text)| (id, telling(text))).collect();
    let mut counts: BTreeMap<&str, (Lang, usize)> = BTreeMap::new();
    for info in texts.values().filter_map(|text| detect(text)).filter(|info| info.is_reliable()) {
        counts.entry(info.lang().code()).or_insert((info.lang(), 0)).1 += 1;
    }
    let clear: usize = counts.values().map(|(_, count)| count).sum();
    let common = counts.into_values().filter(|(_, count)| *count as f64 >= LEAST_SHARE * clear as f64);
    let detector = Detector::with_allowlist(common.map(|(language, _)| language).collect());
    let named = texts
        .into_iter()
        .filter_map(|(id, text)| Some((id.clone(), detector.detect_lang(&text)?.eng_name().to_owned())));
    named.collect()
}

/// Names in Latin letters stand in texts of every script: where a quarter of the letters are others, those tell more.
fn telling(text: &str) -> String {
    let is_latin = |letter: char| matches!(letter, '\0'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}');
    let letters = text.chars().filter(|letter| letter.is_alphabetic());
    let (latin, others): (Vec<char>, Vec<char>) = letters.partition(|letter| is_latin(*letter));
    if 3 * others.len() < latin.len() || others.is_empty() {
        return text.to_owned();
    }
    text.chars().map(|letter| if is_latin(letter) { ' ' } else { letter }).collect()
}

/// Measures `stages` at depth `k` on the queries of each language.
pub(crate) fn by_language(
    stages: &[Stage],
    qrels: &Qrels,
    languages: &BTreeMap<String, String>,
    k: usize,
) -> Vec<LanguageRows> {
    let mut groups: BTreeMap<&str, Qrels> = BTreeMap::new();
    for (query, language) in languages {
        if let Some(grades) = qrels.get(query) {
            groups.entry(language).or_default().insert(query.clone(), grades.clone());
        }
    }
    let rows = groups.into_iter().map(|(language, qrels)| LanguageRows {
        language: language.to_owned(),
        queries: qrels.len(),
        // A stage's time is that of all queries.
        stages: stages.iter().map(|stage| Row { speed: None, ..Row::new(stage, &qrels, k) }).collect(),
        significance: stages
            .iter()
            .filter_map(|stage| Some(Comparison::new(&stages[stage.before?], stage, &qrels)))
            .collect(),
    });
    rows.collect()
}

/// The languages that a reranker helps and harms, in words: the mean over all hides it.
pub(crate) fn language_finding(rows: &[LanguageRows], stage: &str) -> Option<String> {
    let changes = rows.iter().filter_map(|rows| {
        let comparison = rows.significance.iter().find(|comparison| comparison.after == stage)?;
        Some(format!("{} {:+.4} (p = {:.4})", rows.language, comparison.difference, comparison.p))
    });
    let changes: Vec<String> = changes.collect();
    let metric = Metric::Ndcg(10).name();
    (!changes.is_empty()).then(|| format!("{stage} by language, {metric}: {}.", changes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(texts: &[&str]) -> BTreeMap<String, String> {
        texts.iter().enumerate().map(|(id, text)| (id.to_string(), (*text).to_owned())).collect()
    }

    #[test]
    fn languages_are_told_apart_and_a_given_one_counts_more() {
        let texts = [
            "¿Cuántas personas viven en la ciudad de Berlín desde hace muchos años?",
            "¿Quién construyó el puente que cruza el río en la ciudad vieja?",
            "柏林有多少人口？",
            "2015 年，Carolina Panthers 队的 Jared Allen 有多少次擒杀？",
        ];
        let found = languages(&queries(&texts), BTreeMap::new());
        assert_eq!(found.values().collect::<Vec<_>>(), ["Spanish", "Spanish", "Mandarin", "Mandarin"]);
        let given = BTreeMap::from([("0".to_owned(), "ca".to_owned()), ("2".to_owned(), "zh".to_owned())]);
        assert_eq!(languages(&queries(&texts), given.clone()), given);
    }

    #[test]
    fn one_language_is_no_group() {
        let english = [
            "How many people have lived in the city of Berlin since the year 2016?",
            "Who built the old bridge that crosses the river near the market?",
            "museum",
        ];
        assert!(languages(&queries(&english), BTreeMap::new()).is_empty());
        let given = BTreeMap::from([("0".to_owned(), "en".to_owned()), ("1".to_owned(), "en".to_owned())]);
        assert!(languages(&queries(&english), given).is_empty());
    }
}
