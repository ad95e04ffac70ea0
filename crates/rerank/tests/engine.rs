//! The engine on the real default model.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{LazyLock, Mutex};

use crossrank::{
    Control, Description, Document, Error, Languages, LoadOptions, ModelStream, Precision, Request, Reranker,
    ScoreOptions, Warning, WindowRule,
};

mod default_model;
use default_model::{QUERY, assert_same_logits, files, load, logits, ragged, request};

const BERLIN: [&str; 3] = [
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    "Berlin is well known for its museums.",
    "New York City is famous for the Metropolitan Museum of Art.",
];

static RERANKER: LazyLock<Reranker> = LazyLock::new(|| load(&LoadOptions::default()));

#[test]
fn scores_the_model_cards_example() {
    let response = RERANKER.rerank(&request(BERLIN.map(str::to_owned))).unwrap();
    // The model card's values for the float model are 9.3, -4.0 and -11.2; int8 weights move them a little.
    for (found, expected) in logits(&response).iter().zip([9.3, -4.0, -11.2]) {
        assert!((found - expected).abs() < 0.35, "{found} {expected}");
    }
    assert_eq!(response.results.iter().map(|result| result.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(response.warnings.is_empty() && response.results[0].score().unwrap() > 0.999);
}

#[test]
fn fifty_ragged_documents_take_few_passes() {
    let response = RERANKER.rerank(&request(ragged(50))).unwrap();
    let usage = &response.usage;
    println!("{} tokens in {} passes", usage.tokens, usage.batches);
    let least = (512 * rayon::current_num_threads()).min(2048);
    assert!(usage.batches <= usage.tokens / least, "{} passes", usage.batches);
}

#[test]
fn a_tight_memory_budget_gives_the_same_answer_in_more_passes() {
    let documents = ragged(12);
    let whole = RERANKER.rerank(&request(documents.clone())).unwrap();
    let tight = load(&LoadOptions { memory_budget_bytes: Some(16 << 20), ..LoadOptions::default() });
    let parts = tight.rerank(&request(documents)).unwrap();
    assert!(parts.usage.batches > whole.usage.batches);
    assert_same_logits(&logits(&whole), &logits(&parts));
}

#[test]
fn a_budget_too_small_for_one_pair_says_how_much_it_needs() {
    let tiny = load(&LoadOptions { memory_budget_bytes: Some(1 << 20), ..LoadOptions::default() });
    let error = tiny.rerank(&request(ragged(2))).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { available: 1_048_576, .. }), "{error}");
    assert_eq!(error.code(), "out_of_memory");
}

#[test]
fn the_order_of_documents_never_changes_a_score() {
    let mut documents = ragged(9);
    let forward = RERANKER.rerank(&request(documents.clone())).unwrap();
    documents.reverse();
    let mut backward = logits(&RERANKER.rerank(&request(documents)).unwrap());
    backward.reverse();
    assert_same_logits(&logits(&forward), &backward);
}

#[test]
fn equal_documents_keep_their_order() {
    let response =
        RERANKER.rerank(&request([BERLIN[1], BERLIN[0], BERLIN[1], BERLIN[0]].map(str::to_owned))).unwrap();
    assert_eq!(response.results.iter().map(|result| result.index).collect::<Vec<_>>(), [1, 3, 0, 2]);
}

#[test]
fn the_best_window_of_a_long_document_counts() {
    let filler = "The museum island has many old buildings and a river. ".repeat(120);
    let long = format!("{filler}{} {filler}", BERLIN[0]);
    let mut asked = request([long.clone(), filler.clone()]);
    for rule in [WindowRule::Cohere, WindowRule::Jina] {
        asked.window = Some(rule);
        let response = RERANKER.rerank(&asked).unwrap();
        assert!(response.usage.pairs > 6, "{} windows", response.usage.pairs);
        assert_eq!(response.results[0].index, 0);
        assert!(response.results[0].logit.unwrap() > response.results[1].logit.unwrap() + 3.0, "{rule:?}");
    }
    asked.window = Some(WindowRule::None);
    let response = RERANKER.rerank(&asked).unwrap();
    assert_eq!(
        (response.usage.pairs, response.warnings),
        (2, vec![Warning::DocumentsTruncated { documents: 2 }])
    );
}

#[test]
fn progress_and_partial_rankings_grow_to_the_whole() {
    let (asked, seen) = (request(ragged(40)), Mutex::new(Vec::new()));
    let on_partial = |partial: Vec<crossrank::Ranked>| {
        seen.lock().unwrap().push(partial.iter().filter(|result| result.logit.is_some()).count());
    };
    let progress = Mutex::new(Vec::new());
    let on_progress =
        |step: crossrank::Progress| progress.lock().unwrap().push((step.pairs_done, step.pairs_total));
    let control =
        Control { on_progress: Some(&on_progress), on_partial: Some(&on_partial), ..Control::default() };
    let response = RERANKER.rerank_with(&asked, &control).unwrap();
    let (seen, progress) = (seen.into_inner().unwrap(), progress.into_inner().unwrap());
    assert!(seen.len() == response.usage.batches && seen.len() > 1 && seen.is_sorted());
    assert_eq!((*seen.last().unwrap(), *progress.last().unwrap()), (40, (40, 40)));
}

#[test]
fn top_n_min_score_and_documents_shape_the_answer() {
    let mut asked = request(BERLIN.map(str::to_owned));
    asked.top_n = Some(2);
    asked.return_documents = true;
    let response = RERANKER.rerank(&asked).unwrap();
    assert_eq!(response.results.len(), 2);
    assert_eq!(response.results[0].document, Some(BERLIN[0].into()));
    asked.min_score = Some(0.5);
    assert_eq!(RERANKER.rerank(&asked).unwrap().results.len(), 1);
    asked.top_n = Some(99);
    asked.min_score = None;
    assert_eq!(RERANKER.rerank(&asked).unwrap().results.len(), 3);
}

#[test]
fn compute_score_agrees_with_rerank_and_takes_empty_text() {
    let pairs: Vec<(String, String)> =
        BERLIN.iter().map(|document| (QUERY.to_owned(), (*document).to_owned())).collect();
    let scores = RERANKER.compute_score(&pairs, &ScoreOptions::default()).unwrap();
    let ranked = logits(&RERANKER.rerank(&request(BERLIN.map(str::to_owned))).unwrap());
    assert_same_logits(&scores.iter().map(|score| score.logit).collect::<Vec<_>>(), &ranked);
    let empty = RERANKER.compute_score(&[(String::new(), String::new())], &ScoreOptions::default()).unwrap();
    assert_eq!(empty[0].tokens, 3);
}

#[test]
fn text_in_another_language_is_answered_with_a_warning() {
    let english = load(&LoadOptions { languages: Languages::English, ..LoadOptions::default() });
    let documents = ["柏林有三百五十万居民。".to_owned(), "柏林以博物馆闻名。".to_owned()];
    let asked = Request::new("柏林有多少人口？", documents.map(Document::from).to_vec());
    let response = english.rerank(&asked).unwrap();
    assert_eq!(response.warnings[0].code(), "language_mismatch");
    assert_eq!(response.results.len(), 2);
}

#[test]
fn impossible_requests_say_what_to_pass() {
    let refuse = |change: fn(&mut Request)| {
        let mut asked = request(BERLIN.map(str::to_owned));
        change(&mut asked);
        let error = RERANKER.rerank(&asked).unwrap_err();
        assert_eq!(error.code(), "invalid_input");
        error.to_string()
    };
    assert!(refuse(|asked| asked.query = " \n".to_owned()).contains("query is empty"));
    assert!(refuse(|asked| asked.documents.clear()).contains("no documents"));
    assert!(refuse(|asked| asked.documents = vec!["x".into(); 10_001]).contains("10001 documents"));
    assert!(refuse(|asked| asked.top_n = Some(0)).contains("top_n 0"));
    assert!(refuse(|asked| asked.max_tokens_per_doc = 0).contains("max_tokens_per_doc 0"));
    assert!(refuse(|asked| asked.min_score = Some(7.0)).contains("min_score 7"));
    assert!(refuse(|asked| asked.rank_fields = Some(vec![])).contains("rank_fields"));
}

#[test]
fn a_document_of_five_megabytes_is_read_to_its_limit() {
    let response =
        RERANKER.rerank(&request(["berlin people ".repeat(380_000), BERLIN[0].to_owned()])).unwrap();
    assert_eq!(response.results[0].index, 1);
    assert_eq!(response.warnings, [Warning::DocumentsTruncated { documents: 1 }]);
}

#[test]
fn every_precision_keeps_the_order_of_a_clear_example() {
    for precision in [Precision::Q8, Precision::Q4] {
        let rounded = load(&LoadOptions { precision: Some(precision), ..LoadOptions::default() });
        let response = rounded.rerank(&request(BERLIN.map(str::to_owned))).unwrap();
        assert_eq!(response.results.iter().map(|result| result.index).collect::<Vec<_>>(), [0, 1, 2]);
    }
    let options = LoadOptions { precision: Some(Precision::F16), ..LoadOptions::default() };
    let refused = Reranker::load(files(), &options).err().unwrap();
    assert_eq!(refused.code(), "device_unavailable");
}

#[test]
fn products_of_integers_stay_close_to_those_of_floats() {
    let request = request(ragged(50));
    let expected = logits(&RERANKER.rerank(&request).unwrap());
    // On ePQA q8 is off by 0.03 and at most 0.4; see docs/performance.md.
    for (precision, least, most, furthest) in [(Precision::Q8, 0.0, 0.1, 0.5), (Precision::Q4, 0.1, 0.5, 2.0)]
    {
        let integers = load(&LoadOptions { precision: Some(precision), ..LoadOptions::default() });
        let found = logits(&integers.rerank(&request).unwrap());
        let off: Vec<f32> =
            found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).collect();
        let (mean, max) = (off.iter().sum::<f32>() / 50.0, off.iter().copied().fold(0.0, f32::max));
        println!("{precision:?}: logits off by {mean:.3} in the mean and {max:.3} at most");
        assert!(mean > least && mean <= most && max <= furthest, "{precision:?}: {mean} {max}");
    }
}

#[test]
fn a_streamed_model_is_the_loaded_one_and_pauses_let_a_cancel_in() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/default");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let streamed = pollster::block_on(async {
        let options = LoadOptions { precision: Some(Precision::F32), ..LoadOptions::default() };
        let description = Description::HuggingFace {
            config_json: read("config.json").into(),
            tokenizer_json: read("tokenizer.json").into(),
        };
        let mut stream = ModelStream::open("default", Some(description), &options).await?;
        let weights = read("model.safetensors");
        stream.begin_file("model.safetensors", weights.len() as u64)?;
        weights.chunks(100_003).try_for_each(|piece| stream.push(piece))?;
        assert!(stream.kept_bytes() > 30 << 20, "{} bytes kept", stream.kept_bytes());
        stream.finish().await
    })
    .unwrap();
    let request = request(ragged(20));
    let (found, expected) = (streamed.rerank(&request).unwrap(), RERANKER.rerank(&request).unwrap());
    assert_eq!(logits(&found), logits(&expected));
    assert_eq!(streamed.model().weight_bytes, RERANKER.model().weight_bytes);

    let passes = std::sync::atomic::AtomicUsize::new(0);
    let cancel = crossrank::CancelToken::default();
    let pause = || {
        passes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let cancel = cancel.clone();
        Box::pin(async move { cancel.cancel() }) as _
    };
    let control = Control { pause: Some(&pause), cancel: cancel.clone(), ..Control::default() };
    assert!(matches!(streamed.rerank_with(&request, &control), Err(Error::Cancelled)));
    assert_eq!(passes.into_inner(), 1);
}
