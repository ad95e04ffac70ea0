//! Token ids against Hugging Face's own (`tests/golden/tokenizer/make_golden.py`).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // clippy.toml allows them in tests, not in what tests share

use std::{collections::BTreeMap, path::PathBuf};

use crossrank_tokenizer::{
    Limits, PairIds, PairTokenizer, SentencePieceVocabulary, TokenizerError, Truncation, WindowRule, windows,
};
use serde::Deserialize;

const STRINGS: &str = include_str!("../../../tests/golden/tokenizer/strings.json");
const TINY_BGE: &[u8] = include_bytes!("../../../tests/golden/tokenizer/tiny-xlmr-bge.json");
const TINY_BGE_IDS: &str = include_str!("../../../tests/golden/tokenizer/ids/tiny-xlmr-bge.json");
const TINY_JINA: &[u8] = include_bytes!("../../../tests/golden/tokenizer/tiny-xlmr-jina.json");
const TINY_JINA_IDS: &str = include_str!("../../../tests/golden/tokenizer/ids/tiny-xlmr-jina.json");
const BERT: &[u8] = include_bytes!("../../../models/default/tokenizer.json");
const BERT_IDS: &str = include_str!("../../../tests/golden/tokenizer/ids/bert-base-uncased.json");
const BGE_IDS: &str = include_str!("../../../tests/golden/tokenizer/ids/bge-reranker-v2-m3.json");
const JINA_IDS: &str = include_str!("../../../tests/golden/tokenizer/ids/jina-reranker-v2.json");

/// The script's JINA_MAX_QUERY without its two special tokens, and JINA_MAX_LENGTH.
const JINA_MAX_QUERY_TOKENS: usize = 14;
const JINA_MAX_LENGTH: usize = 48;

#[derive(Deserialize)]
struct Given {
    groups: BTreeMap<String, Vec<Text>>,
    pairs: Vec<(Text, Text)>,
    max_lengths: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Repeated { repeat: Vec<String>, times: usize },
}

impl Text {
    fn text(&self) -> String {
        match self {
            Text::Plain(text) => text.clone(),
            Text::Repeated { repeat, times } => repeat.concat().repeat(*times),
        }
    }
}

#[derive(Deserialize)]
struct Golden {
    vocab_size: usize,
    strings: BTreeMap<String, Vec<Ids>>,
    pairs: Vec<Pair>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Ids {
    All(Vec<u32>),
    Hashed { count: usize, fnv1a: String },
}

#[derive(Deserialize)]
struct Pair {
    #[serde(flatten)]
    full: Joined,
    longest_first: Vec<Option<Joined>>,
    only_second: Vec<Option<Joined>>,
    /// XLM-RoBERTa only.
    jina_windows: Option<Vec<Vec<u32>>>,
}

#[derive(Deserialize)]
struct Joined {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
}

fn fnv1a(ids: &[u32]) -> String {
    let hash = ids.iter().fold(0xCBF2_9CE4_8422_2325_u64, |state, &id| {
        (state ^ u64::from(id)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    format!("{hash:016x}")
}

fn given() -> Given {
    serde_json::from_str(STRINGS).unwrap()
}

fn agrees_with_hugging_face(tokenizer_json: &[u8], golden: &str) {
    agrees(&PairTokenizer::from_bytes(tokenizer_json).unwrap(), golden);
}

/// The vocabulary of a `tokenizer.json` as a GGUF file carries it, which does not know the name of `<mask>`.
fn sentence_piece(tokenizer_json: &[u8]) -> SentencePieceVocabulary {
    let file: serde_json::Value = serde_json::from_slice(tokenizer_json).unwrap();
    let mut pieces: Vec<(String, f64)> = serde_json::from_value(file["model"]["vocab"].clone()).unwrap();
    let mask_id = pieces.len() as u32 - 1;
    pieces[mask_id as usize] = (String::new(), 0.0);
    let normalizer = &file["normalizer"];
    let table = normalizer
        .get("precompiled_charsmap")
        .unwrap_or_else(|| &normalizer["normalizers"][0]["precompiled_charsmap"]);
    SentencePieceVocabulary {
        pieces,
        precompiled_charsmap: base64::decode(table.as_str().unwrap()).unwrap(),
        bos_id: 0,
        pad_id: 1,
        eos_id: 2,
        unknown_id: 3,
        mask_id: Some(mask_id),
    }
}

/// Everything that the golden file of one tokenizer says.
fn agrees(tokenizer: &PairTokenizer, golden: &str) {
    let golden: Golden = serde_json::from_str(golden).unwrap();
    assert_eq!(tokenizer.vocab_size(), golden.vocab_size);
    let given = given();
    assert_eq!(given.groups.len(), golden.strings.len());
    for (group, texts) in &given.groups {
        assert_eq!(texts.len(), golden.strings[group].len(), "{group}");
        for (text, expected) in texts.iter().map(Text::text).zip(&golden.strings[group]) {
            let ids = tokenizer.tokenize(&text).unwrap();
            let found = match expected {
                Ids::All(_) => Ids::All(ids),
                Ids::Hashed { .. } => Ids::Hashed { count: ids.len(), fnv1a: fnv1a(&ids) },
            };
            let start: String = text.chars().take(80).collect();
            assert_eq!(&found, expected, "{group}: {start:?}");
        }
    }
    assert_eq!(given.pairs.len(), golden.pairs.len());
    for ((query, document), expected) in given.pairs.iter().zip(&golden.pairs) {
        pair_agrees(tokenizer, (&query.text(), &document.text()), expected, &given.max_lengths);
        jina_windows_agree(tokenizer, (&query.text(), &document.text()), expected);
    }
}

fn pair_agrees(tokenizer: &PairTokenizer, pair: (&str, &str), expected: &Pair, max_lengths: &[usize]) {
    let (query, document) = (tokenizer.tokenize(pair.0).unwrap(), tokenizer.tokenize(pair.1).unwrap());
    let assert_same = |found: &PairIds, expected: &Joined| {
        assert_eq!((&found.ids, &found.type_ids), (&expected.ids, &expected.type_ids), "{pair:?}");
    };
    assert_same(&tokenizer.pair(&query, &document), &expected.full);
    let rules = [
        (Truncation::LongestFirst, &expected.longest_first),
        (Truncation::OnlySecond, &expected.only_second),
    ];
    for (truncation, expected) in rules {
        assert_eq!(expected.len(), max_lengths.len());
        for (expected, &max_length) in expected.iter().zip(max_lengths) {
            let limits = Limits { max_length, truncation, max_query_tokens: None };
            let found = tokenizer.encode(pair.0, pair.1, &limits).unwrap();
            if let Some(expected) = expected {
                assert_same(&found, expected);
            } else {
                // Hugging Face gives an error where the query alone fills the room; we cut it.
                assert_eq!(truncation, Truncation::OnlySecond);
                assert!(query.len() + tokenizer.special_tokens() >= max_length);
                assert_eq!(found.ids.len(), max_length);
            }
        }
    }
}

fn jina_windows_agree(tokenizer: &PairTokenizer, pair: (&str, &str), expected: &Pair) {
    let Some(expected) = &expected.jina_windows else { return };
    let (mut query, document) = (tokenizer.tokenize(pair.0).unwrap(), tokenizer.tokenize(pair.1).unwrap());
    query.truncate(JINA_MAX_QUERY_TOKENS);
    let room = JINA_MAX_LENGTH - tokenizer.special_tokens() - query.len();
    let windows = windows(document.len(), room, WindowRule::Jina).into_iter();
    let found: Vec<Vec<u32>> = windows.map(|window| tokenizer.pair(&query, &document[window]).ids).collect();
    assert_eq!(&found, expected);
}

#[test]
fn a_tiny_unigram_in_the_form_of_bge_gives_the_golden_ids() {
    agrees_with_hugging_face(TINY_BGE, TINY_BGE_IDS);
}

#[test]
fn a_tiny_unigram_in_the_form_of_jina_gives_the_golden_ids() {
    agrees_with_hugging_face(TINY_JINA, TINY_JINA_IDS);
}

#[test]
fn the_vocabulary_of_a_gguf_file_gives_the_golden_ids() {
    agrees(&PairTokenizer::from_sentence_piece(sentence_piece(TINY_JINA)).unwrap(), TINY_JINA_IDS);
}

#[test]
fn a_vocabulary_without_its_special_tokens_is_refused() {
    let broken: [fn(&mut SentencePieceVocabulary); 4] = [
        |vocabulary| vocabulary.pieces.clear(),
        |vocabulary| vocabulary.eos_id = 1_000,
        |vocabulary| vocabulary.unknown_id = u32::MAX,
        |vocabulary| vocabulary.precompiled_charsmap.truncate(100),
    ];
    for change in broken {
        let mut vocabulary = sentence_piece(TINY_JINA);
        change(&mut vocabulary);
        let error = PairTokenizer::from_sentence_piece(vocabulary).err().unwrap();
        assert!(matches!(error, TokenizerError::Load(_)), "{error}");
    }
}

#[test]
fn word_piece_with_token_types_gives_the_golden_ids() {
    agrees_with_hugging_face(BERT, BERT_IDS);
}

#[test]
fn the_golden_texts_are_many_and_some_are_very_long() {
    let given = given();
    assert!(given.groups.values().map(Vec::len).sum::<usize>() >= 300);
    assert!(given.groups["very_long"].iter().all(|text| text.text().chars().count() >= 30_000));
}

#[test]
fn the_files_own_truncation_and_padding_are_not_used() {
    let mut file: serde_json::Value = serde_json::from_slice(TINY_BGE).unwrap();
    file["truncation"] = serde_json::json!(
        {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = serde_json::json!(
        {"strategy": {"Fixed": 99}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 1,
         "pad_type_id": 0, "pad_token": "<pad>"});
    agrees_with_hugging_face(&serde_json::to_vec(&file).unwrap(), TINY_BGE_IDS);
}

// ---- The real files, where the machine has them

/// A file of the shared data; `None`, with a line that says so, where it is not there.
fn shared(test: &str, path: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("CROSSRANK_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let file = std::fs::read(folder.join(path)).ok();
    if file.is_none() {
        println!("skipped: {test}: shared data is absent");
    }
    file
}

#[test]
fn bge_reranker_v2_m3_gives_the_golden_ids() {
    let path = "checkpoints/bge-reranker-v2-m3/tokenizer.json";
    if let Some(file) = shared("bge_reranker_v2_m3_gives_the_golden_ids", path) {
        agrees_with_hugging_face(&file, BGE_IDS);
    }
}

#[test]
fn jina_reranker_v2_gives_the_golden_ids() {
    let path = "checkpoints/jina-reranker-v2-base-multilingual/tokenizer.json";
    if let Some(file) = shared("jina_reranker_v2_gives_the_golden_ids", path) {
        agrees_with_hugging_face(&file, JINA_IDS);
        agrees(&PairTokenizer::from_sentence_piece(sentence_piece(&file)).unwrap(), JINA_IDS);
    }
}

/// A published score with the ids that it was computed from.
#[derive(Deserialize)]
struct Score {
    model: String,
    query: String,
    document: String,
    input_ids: Vec<u32>,
}

#[test]
fn published_scores_have_these_ids() {
    let name = "published_scores_have_these_ids";
    let Some(scores) = shared(name, "fixtures/score_fixtures.json") else { return };
    let scores: Vec<Score> = serde_json::from_slice(&scores).unwrap();
    let mut compared = 0;
    for model in ["BAAI/bge-reranker-v2-m3", "jinaai/jina-reranker-v2-base-multilingual"] {
        let folder = model.rsplit('/').next().unwrap();
        let Some(file) = shared(name, &format!("checkpoints/{folder}/tokenizer.json")) else { return };
        let tokenizer = PairTokenizer::from_bytes(&file).unwrap();
        for score in scores.iter().filter(|score| score.model == model) {
            let query = tokenizer.tokenize(&score.query).unwrap();
            let document = tokenizer.tokenize(&score.document).unwrap();
            assert_eq!(tokenizer.pair(&query, &document).ids, score.input_ids, "{}", score.document);
            compared += 1;
        }
    }
    assert_eq!(compared, scores.len());
}
