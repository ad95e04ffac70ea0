//! Every bad input is an error with a code, a status and a next step, and prints no data.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use program::tiny_model::{TinyModel, weights};
use program::{fails, json_lines, stdout};
use serde_json::json;

const RERANK: [&str; 5] = ["rerank", "--query", "how many people", "--documents", "-"];

fn rerank_fails(documents: impl Into<Vec<u8>>, words: &[&str]) {
    fails(&RERANK, documents, 2, &[&["error[invalid_input]"], words].concat());
}

fn model_fails(model: &TinyModel, status: i32, words: &[&str]) {
    fails(&[&RERANK[..], &["--model", model.path()]].concat(), "berlin has many people", status, words);
}

#[test]
fn rejects_no_documents() {
    for nothing in ["", "\n \n", "[]"] {
        rerank_fails(nothing, &["there are no documents; pass at least one"]);
    }
}

#[test]
fn rejects_an_empty_query() {
    let arguments = ["rerank", "--query", " ", "--documents", "-"];
    fails(&arguments, "a", 2, &["error[invalid_input]: the query is empty; pass the text"]);
}

#[test]
fn says_what_is_missing_on_the_command_line() {
    let next = "`crossrank rerank --sample`";
    fails(&["rerank", "--query", "q"], "", 2, &["--documents is missing", next]);
    fails(&["rerank", "--documents", "-"], "", 2, &["--query is missing", next]);
    fails(&["rerank"], "", 2, &["Usage: crossrank rerank --query <QUERY> --documents <FILE|->"]);
}

#[test]
fn rejects_10_001_documents_and_takes_10_000() {
    rerank_fails("a\n".repeat(10_001), &["10001 documents", "10000", "split them"]);
    let model = TinyModel::new();
    let arguments = [&RERANK[..], &["--top-n", "1", "--model", model.path()]].concat();
    assert_eq!(json_lines(&stdout(&arguments, "berlin\n".repeat(10_000))).len(), 1);
}

#[test]
fn takes_a_document_of_5_megabytes() {
    let model = TinyModel::new();
    let arguments = [&RERANK[..], &["--model", model.path()]].concat();
    let documents = format!("berlin\n{}", "people live in the city ".repeat(5_000_000 / 24));
    assert_eq!(json_lines(&stdout(&arguments, documents)).len(), 2);
}

#[test]
fn rejects_invalid_utf8_by_line_and_byte() {
    rerank_fails(*b"fine\nbr\xf6ken\n", &["standard input is not UTF-8 at line 2, byte 7", "iconv"]);
}

#[test]
fn rejects_a_broken_line_by_its_number() {
    rerank_fails(
        "{\"a\":1}\n{\"a\":2}\n{\"a\":\n",
        &["line 3 of standard input is not JSON", "because: EOF"],
    );
}

#[test]
fn rejects_a_file_that_is_not_there() {
    let arguments = ["rerank", "--query", "q", "--documents", "no/such/file.txt"];
    fails(&arguments, "", 2, &["error[invalid_input]: cannot read no/such/file.txt", "because: "]);
}

#[test]
fn rejects_rank_fields_that_no_document_has() {
    let arguments = [&RERANK[..], &["--rank-fields", "titel,body"]].concat();
    fails(&arguments, r#"{"title":"x"}"#, 2, &["document 0 has none of the fields titel, body; name fields"]);
}

#[test]
fn rejects_options_outside_their_range() {
    for (option, value, words) in [
        ("--top-n", "0", "top_n 0 is not possible; pass 1 or more"),
        ("--min-score", "-1", "min_score -1 is not possible; pass a score from 0 to 1"),
        ("--max-tokens-per-doc", "0", "max_tokens_per_doc 0 is not possible"),
        ("--device", "", "device"),
        ("--format", "xml", "possible values: table, json, jsonl, trec"),
        ("--threads", "0", "--threads"),
    ] {
        fails(&[&RERANK[..], &[option, value]].concat(), "a", 2, &[words]);
    }
}

#[test]
fn rejects_a_device_this_machine_does_not_have() {
    fails(
        &[&RERANK[..], &["--device", "Voodoo 9000"]].concat(),
        "a",
        5,
        &["error[device_unavailable]", "Voodoo 9000"],
    );
}

#[test]
fn rejects_a_broken_pair_by_its_line() {
    let pairs = "[\"q\",\"d\"]\n[\"q\"]\n";
    fails(&["score", "--pairs", "-"], pairs, 2, &["line 2 of standard input", r#"["query","document"]"#]);
}

#[test]
fn names_the_models_near_to_an_unknown_one() {
    fails(&[&RERANK[..], &["--model", "jina-v3"]].concat(), "a", 3, &["error[model_not_found]", "jina-v2"]);
}

#[test]
fn offline_says_how_to_get_a_model() {
    let arguments = [&RERANK[..], &["--model", "bge-base", "--offline"]].concat();
    fails(&arguments, "a", 4, &["crossrank pull bge-base"]);
}

#[test]
fn rejects_truncated_weights() {
    let cut_off = TinyModel::with_weights(|bytes| bytes.truncate(bytes.len() - 100));
    model_fails(
        &cut_off,
        3,
        &["error[integrity_mismatch]", "model.safetensors is damaged", "download it again"],
    );
    let no_header = TinyModel::with_weights(|bytes| bytes.truncate(5));
    model_fails(&no_header, 3, &["error[integrity_mismatch]", "ends inside its header"]);
}

#[test]
fn rejects_a_flipped_bit_in_the_header() {
    let flipped = TinyModel::with_weights(|bytes| bytes[8] ^= 1);
    model_fails(&flipped, 3, &["error[integrity_mismatch]", "model.safetensors is damaged"]);
    let huge = TinyModel::with_weights(|bytes| bytes[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes()));
    model_fails(&huge, 3, &["error[integrity_mismatch]", "1152921504606846976"]);
}

#[test]
fn rejects_weights_that_are_not_numbers() {
    let not_finite = TinyModel::with_weights(|bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    model_fails(&not_finite, 3, &["error[integrity_mismatch]", "not a finite number"]);
}

#[test]
fn rejects_a_config_without_a_field() {
    let model = TinyModel::with_config(|config| {
        config.as_object_mut().unwrap().remove("intermediate_size");
    });
    model_fails(&model, 3, &["error[model_unsupported]: the configuration has no `intermediate_size`"]);
}

#[test]
fn rejects_a_head_with_two_labels() {
    let two = TinyModel::with_config(|config| config["id2label"] = json!({ "0": "no", "1": "yes" }));
    std::fs::write(two.file("model.safetensors"), weights(2)).unwrap();
    model_fails(&two, 3, &["error[model_unsupported]: num_labels 2 is not supported"]);
    let only_weights = TinyModel::new();
    std::fs::write(only_weights.file("model.safetensors"), weights(2)).unwrap();
    model_fails(
        &only_weights,
        3,
        &["error[weights_mismatch]", "classifier.weight is F32 [2, 32], expected F32 [1, 32]"],
    );
}

#[test]
fn rejects_an_activation_it_does_not_compute() {
    let model = TinyModel::with_config(|config| config["hidden_act"] = json!("swish"));
    model_fails(&model, 3, &["hidden_act \"swish\" is not supported (expected \"gelu\")"]);
}

#[test]
fn rejects_the_tokenizer_of_another_model() {
    let model = TinyModel::new();
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default/tokenizer.json"),
        model.file("tokenizer.json"),
    )
    .unwrap();
    model_fails(&model, 3, &["error[tokenizer_mismatch]", "30522", "take both from one repository"]);
}

#[test]
fn rejects_a_folder_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&RERANK[..], &["--model", folder.path().to_str().unwrap()]].concat();
    fails(&arguments, "a", 3, &["error[model_not_found]", "config.json"]);
}
