//! `crossrank rerank`: documents in, ranking out.

use crossrank::{Cascade, Control, Document, Progress, Request};
use indicatif::ProgressBar;

use crate::cli::{Format, RerankArguments};
use crate::input::{InputError, documents, parse_documents};
use crate::output::{Ranking, format, say};

const SAMPLE_QUERY: &str = include_str!("../../sample/query.txt");
const SAMPLE_DOCUMENTS: &[u8] = include_bytes!("../../sample/documents.jsonl");

pub(crate) fn run(arguments: &RerankArguments) -> anyhow::Result<()> {
    // The input is read first: a broken line should not wait for a model.
    let request = request(arguments)?;
    let reranker = crate::model::load(&arguments.model)?;
    // Hidden by indicatif where standard error is no terminal.
    let bar = ProgressBar::new(0).with_message("pairs");
    let on_progress = |progress: Progress| {
        bar.set_length(progress.pairs_total as u64);
        bar.set_position(progress.pairs_done as u64);
    };
    let control = Control { on_progress: Some(&on_progress), ..Control::default() };
    let response = reranker.rerank_with(&request, &control);
    bar.finish_and_clear();
    let response = response?;
    response.warnings.iter().for_each(|warning| say(format_args!("warning[{}]: {warning}", warning.code())));
    if arguments.sample {
        say(format_args!("query: {}", request.query));
    }
    let ranking = Ranking {
        request: &request,
        response: &response,
        model: &reranker.model().name,
        options: &arguments.results,
    };
    let asked = arguments.results.format.or(arguments.sample.then_some(Format::Table));
    ranking.write(format(asked))
}

fn request(arguments: &RerankArguments) -> Result<Request, InputError> {
    let (query, documents) = query_and_documents(arguments)?;
    Ok(Request {
        top_n: arguments.results.top_n,
        rank_fields: arguments.rank_fields.clone(),
        max_tokens_per_doc: arguments.max_tokens_per_doc,
        return_documents: arguments.results.return_documents,
        min_score: arguments.results.min_score,
        deadline_ms: arguments.deadline_ms,
        window: arguments.window.map(Into::into),
        cascade: arguments.cascade_keep.map(|keep| Cascade { max_tokens: arguments.cascade_tokens, keep }),
        ..Request::new(query, documents)
    })
}

fn query_and_documents(arguments: &RerankArguments) -> Result<(String, Vec<Document>), InputError> {
    if arguments.sample {
        return Ok((SAMPLE_QUERY.trim().to_owned(), parse_documents("the sample", SAMPLE_DOCUMENTS)?));
    }
    let hint = "pass --query QUERY --documents FILE, or see an example with `crossrank rerank --sample`";
    let missing = |flag| InputError::Missing { flag, hint };
    let query = arguments.query.clone().ok_or_else(|| missing("--query"))?;
    let path = arguments.documents.as_deref().ok_or_else(|| missing("--documents"))?;
    Ok((query, documents(path)?))
}
