//! A GGUF file is a whole model: the same answers as the files of Hugging Face's that it was made of.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use crossrank::{Description, Document, LoadOptions, ModelFiles, ModelStream, Request, Reranker, Response};
use crossrank_model::Checkpoint;

fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path)
}

/// The checkpoint that `xlmr-f16.gguf` was made of, with the tokenizer that went into it.
fn hugging_face() -> Reranker {
    let read = |path: &str| std::fs::read(golden(path)).unwrap().into();
    let files = ModelFiles {
        name: "xlmr-f16".to_owned(),
        description: Description::HuggingFace {
            config_json: read("model/xlmr-f16/config.json"),
            tokenizer_json: read("tokenizer/tiny-xlmr-jina.json"),
        },
        checkpoint: Checkpoint::open_folder(&golden("model/xlmr-f16")).unwrap(),
    };
    Reranker::load(files, &LoadOptions::default()).unwrap()
}

fn request() -> Request {
    let long = "Berlin Ｂｅｒｌｉｎ 人工知能 ﬁne café <mask> the end. ".repeat(20);
    let documents =
        ["Berlin is a city", "", "  two   spaces ", "日本語のテキスト", &long].map(Document::from);
    Request::new("how many people live in Berlin?", documents.to_vec())
}

fn logits(response: &Response) -> Vec<(usize, Option<f32>)> {
    response.results.iter().map(|result| (result.index, result.logit)).collect()
}

#[test]
fn a_gguf_file_ranks_as_the_files_it_was_made_of() {
    let gguf = ModelFiles::open_gguf(&golden("gguf/xlmr-f16.gguf")).unwrap();
    assert_eq!(gguf.name, "xlmr-f16");
    let gguf = Reranker::load(gguf, &LoadOptions::default()).unwrap();
    let expected = hugging_face().rerank(&request()).unwrap();
    assert_eq!(logits(&gguf.rerank(&request()).unwrap()), logits(&expected));
    assert_eq!(gguf.model().max_tokens, 128);
}

#[test]
fn a_streamed_gguf_file_needs_no_other() {
    let whole = std::fs::read(golden("gguf/xlmr-f16.gguf")).unwrap();
    let stream = |bytes: &[u8], length: usize, piece: usize| {
        pollster::block_on(async {
            let mut stream = ModelStream::open("streamed", None, &LoadOptions::default()).await?;
            stream.begin_file("xlmr-f16.gguf", length as u64)?;
            bytes.chunks(piece).try_for_each(|piece| stream.push(piece))?;
            stream.finish().await
        })
    };
    let expected = hugging_face().rerank(&request()).unwrap();
    for piece in [1 << 10, 1 << 16, whole.len()] {
        let streamed = stream(&whole, whole.len(), piece).unwrap();
        assert_eq!(logits(&streamed.rerank(&request()).unwrap()), logits(&expected), "{piece}");
        assert_eq!(streamed.model().weight_bytes, whole.len() as u64);
    }
    let code = |result: Result<Reranker, crossrank::Error>| result.err().unwrap().code();
    assert_eq!(code(stream(&whole[..5_000], whole.len(), 512)), "integrity_mismatch");
    assert_eq!(code(stream(&whole[..whole.len() - 100], whole.len(), 512)), "integrity_mismatch");
    assert_eq!(code(stream(b"<!doctype html>", 15, 4)), "integrity_mismatch");
    assert_eq!(code(stream(b"", 0, 1)), "integrity_mismatch");
}

#[test]
fn a_file_that_is_no_gguf_is_refused() {
    let safetensors = golden("model/xlmr/model.safetensors");
    let error = ModelFiles::open_gguf(&safetensors).err().unwrap();
    assert_eq!(error.code(), "model_unreadable");
    let absent = ModelFiles::open_gguf(&golden("gguf/none.gguf")).err().unwrap();
    assert_eq!(absent.code(), "model_not_found");
}
