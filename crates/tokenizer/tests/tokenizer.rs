//! What a `PairTokenizer` tells, refuses, and shares with the pipeline of `tokenizers`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy.toml allows them in tests, not in what tests share

use crossrank_tokenizer::{Limits, PairTokenizer, TokenizerError, Truncation};
use proptest::prelude::*;
use serde_json::{Value, json};

const TINY_BGE: &[u8] = include_bytes!("../../../tests/golden/tokenizer/tiny-xlmr-bge.json");
const TINY_JINA: &[u8] = include_bytes!("../../../tests/golden/tokenizer/tiny-xlmr-jina.json");
const BERT: &[u8] = include_bytes!("../../../models/default/tokenizer.json");

/// The tiny tokenizer's file with something changed.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut file = serde_json::from_slice(TINY_BGE).unwrap();
    change(&mut file);
    serde_json::to_vec(&file).unwrap()
}

fn error_of(tokenizer_json: &[u8]) -> TokenizerError {
    PairTokenizer::from_bytes(tokenizer_json).err().expect("a bad file was taken")
}

#[test]
fn knows_padding_special_tokens_and_vocabulary() {
    let xlmr = PairTokenizer::from_bytes(TINY_BGE).unwrap();
    assert_eq!((xlmr.pad_id(), xlmr.special_tokens(), xlmr.vocab_size()), (Some(1), 4, 1000));
    let bert = PairTokenizer::from_bytes(BERT).unwrap();
    assert_eq!((bert.pad_id(), bert.special_tokens(), bert.vocab_size()), (Some(0), 3, 30522));
}

#[test]
fn counts_ids_beyond_a_gap_in_the_vocabulary() {
    let mut file: Value = serde_json::from_slice(BERT).unwrap();
    file["model"]["vocab"]["farthest"] = json!(99_999);
    let tokenizer = PairTokenizer::from_bytes(&serde_json::to_vec(&file).unwrap()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 100_000);
}

#[test]
fn counts_ids_that_only_the_template_has() {
    let file = changed(|file| file["post_processor"]["special_tokens"]["</s>"]["ids"] = json!([5000]));
    assert_eq!(PairTokenizer::from_bytes(&file).unwrap().vocab_size(), 5001);
}

#[test]
fn the_query_cap_comes_before_the_truncation() {
    let tokenizer = PairTokenizer::from_bytes(TINY_BGE).unwrap();
    let limits = Limits { max_length: 64, truncation: Truncation::LongestFirst, max_query_tokens: Some(3) };
    let query = tokenizer.tokenize("a long query of many words").unwrap();
    let document = tokenizer.tokenize("document").unwrap();
    let found = tokenizer.encode("a long query of many words", "document", &limits).unwrap();
    assert_eq!(found, tokenizer.pair(&query[..3], &document));
}

#[test]
fn a_limit_without_room_for_text_is_an_error() {
    let tokenizer = PairTokenizer::from_bytes(TINY_BGE).unwrap();
    for max_length in [0, 4] {
        let limits = Limits { max_length, truncation: Truncation::LongestFirst, max_query_tokens: None };
        let error = tokenizer.encode("query", "document", &limits).unwrap_err();
        assert!(matches!(error, TokenizerError::NoRoom { special_tokens: 4, .. }), "{error}");
    }
}

#[test]
fn refuses_what_is_not_a_tokenizer() {
    let no_model = changed(|file| drop(file.as_object_mut().unwrap().remove("model")));
    let no_pieces = changed(|file| file["model"]["vocab"] = json!([]));
    let far_unknown = changed(|file| file["model"]["unk_id"] = json!(1000));
    let no_unknown = changed(|file| drop(file["model"].as_object_mut().unwrap().remove("unk_id")));
    let other_kind = changed(|file| file["model"]["type"] = json!("Trigram"));
    let bad_map = changed(|file| file["normalizer"]["normalizers"][0]["precompiled_charsmap"] = json!("?"));
    // Found by fuzzing: the tokenizers crate panics on it.
    let template_token = changed(|file| {
        drop(file["post_processor"]["special_tokens"].as_object_mut().unwrap().remove("</s>"))
    });
    let built = [no_model, no_pieces, far_unknown, no_unknown, other_kind, bad_map, template_token];
    let plain = [b"".as_slice(), b"null", b"[]", b"{}", b"PK\x03\x04", b"\xff\xfe\x00"];
    for file in built.iter().map(Vec::as_slice).chain(plain) {
        let error = error_of(file);
        assert!(matches!(error, TokenizerError::Load(_)), "{error}");
    }
}

#[test]
fn refuses_a_file_cut_short_anywhere() {
    for length in (0..TINY_BGE.len()).step_by(4099).chain([TINY_BGE.len() - 1]) {
        assert!(matches!(error_of(&TINY_BGE[..length]), TokenizerError::Load(_)), "{length} bytes");
    }
}

#[test]
fn refuses_a_file_without_a_pair_template() {
    let none = changed(|file| file["post_processor"] = Value::Null);
    let query_twice = changed(|file| {
        let pair = file["post_processor"]["pair"].as_array_mut().unwrap();
        pair.push(pair[1].clone());
    });
    for file in [none, query_twice] {
        let error = error_of(&file);
        assert!(matches!(error, TokenizerError::NoPairTemplate), "{error}");
    }
}

#[test]
fn a_unigram_of_another_kind_goes_to_tokenizers() {
    let file = changed(|file| file["model"]["byte_fallback"] = json!(true));
    let theirs = tokenizers::Tokenizer::from_bytes(&file).unwrap();
    let ours = PairTokenizer::from_bytes(&file).unwrap();
    let text = "The ferry leaves. Паром уходит. 船が出る。 🚤";
    assert_eq!(ours.tokenize(text).unwrap(), theirs.encode_fast(text, false).unwrap().get_ids());
}

#[test]
fn the_rest_of_a_long_text_is_not_read() {
    for file in [TINY_BGE, TINY_JINA, BERT] {
        let tokenizer = PairTokenizer::from_bytes(file).unwrap();
        let tokens = tokenizer.tokenize_up_to(&"the ferry leaves ".repeat(100_000), 512).unwrap().len();
        assert!(tokens > 512 && tokens < 10_000, "{tokens}");
    }
}

/// Text of words, or of one word again and again without a space, longer than what is tokenized at a time.
fn long_text() -> impl Strategy<Value = String> {
    let word = prop_oneof!["[a-zA-Z0-9]{1,12}", "[a-z]{1,5}[.,;]", "[一-十]{1,6}", any::<String>()];
    let space =
        prop_oneof![6 => Just(" "), 1 => Just("  "), 1 => Just("\n"), 1 => Just("\t "), 1 => Just("")];
    let text = prop::collection::vec((word.clone(), space), 1..100).prop_map(|words| {
        words.into_iter().flat_map(|(word, space)| [word, space.into()]).collect::<String>()
    });
    prop_oneof![7 => text, 1 => word].prop_map(|text| text.repeat(40_000 / (text.len() + 1) + 1))
}

/// A tokenizer that is not the same in the middle of a text as at its beginning.
fn first_word_marked() -> Vec<u8> {
    changed(|file| file["pre_tokenizer"]["prepend_scheme"] = json!("first"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_long_text_gives_the_ids_of_tokenizers_and_its_beginning_the_first_of_them(
        text in long_text(), tokens in 0usize..9000,
    ) {
        thread_local! {
            static BOTH: Vec<(PairTokenizer, tokenizers::Tokenizer)> =
                [TINY_BGE, TINY_JINA, BERT, &first_word_marked()].map(|file| {
                    let mut theirs = tokenizers::Tokenizer::from_bytes(file).unwrap();
                    theirs.with_truncation(None).unwrap().with_padding(None);
                    (PairTokenizer::from_bytes(file).unwrap(), theirs)
                }).into();
        }
        BOTH.with(|both| {
            for (ours, theirs) in both {
                let expected = theirs.encode_fast(text.as_str(), false).unwrap();
                let expected = expected.get_ids();
                // Not `prop_assert_eq`, which would print all of them.
                prop_assert!(ours.tokenize(&text).unwrap() == expected);
                let beginning = ours.tokenize_up_to(&text, tokens).unwrap();
                prop_assert!(beginning.len() > tokens || beginning.len() == expected.len());
                prop_assert!(expected.starts_with(&beginning));
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_byte_gives_an_error_or_a_tokenizer_that_works(place in 0..TINY_BGE.len(), byte in any::<u8>()) {
        let mut file = TINY_BGE.to_vec();
        file[place] = byte;
        if let Ok(tokenizer) = PairTokenizer::from_bytes(&file) {
            let ids = tokenizer.tokenize("ﬁne  Ｔｅｘｔ, é \u{85} ½ 船 <mask>");
            let limit = tokenizer.vocab_size();
            prop_assert!(ids.is_ok_and(|ids| ids.iter().all(|&id| (id as usize) < limit)));
        }
    }

    #[test]
    fn any_text_gives_the_ids_of_tokenizers(texts in prop::collection::vec(any::<String>(), 20)) {
        thread_local! {
            static BOTH: [(PairTokenizer, tokenizers::Tokenizer); 2] = [TINY_BGE, TINY_JINA].map(|file| {
                (PairTokenizer::from_bytes(file).unwrap(), tokenizers::Tokenizer::from_bytes(file).unwrap())
            });
        }
        BOTH.with(|both| {
            for ((ours, theirs), text) in both.iter().flat_map(|pair| texts.iter().map(move |text| (pair, text))) {
                let expected = theirs.encode_fast(text.as_str(), false).unwrap();
                prop_assert_eq!(ours.tokenize(text).unwrap(), expected.get_ids(), "{:?}", text);
            }
            Ok(())
        })?;
    }
}
