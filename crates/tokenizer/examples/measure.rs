//! Seconds to load a tokenizer.json and tokens per second on one thread.
//!
//!     cargo run --release -p crossrank-tokenizer --example measure -- TOKENIZER_JSON TEXT_FILE
//!
//! The text file has one document a line.

use std::{error::Error, io::Write, time::Instant};

use crossrank_tokenizer::PairTokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args().skip(1);
    let (Some(tokenizer), Some(texts)) = (paths.next(), paths.next()) else {
        return Err("usage: measure TOKENIZER_JSON TEXT_FILE".into());
    };
    let mut out = std::io::stdout();
    let bytes = std::fs::read(tokenizer)?;
    for _ in 0..3 {
        let started = Instant::now();
        PairTokenizer::from_bytes(&bytes)?;
        writeln!(out, "load {:.3} s, drop included", started.elapsed().as_secs_f64())?;
    }
    let tokenizer = PairTokenizer::from_bytes(&bytes)?;
    let texts = std::fs::read_to_string(texts)?;
    // The second pass finds its words in the tokenizer's cache.
    for pass in ["first", "second"] {
        let started = Instant::now();
        let mut tokens = 0;
        for text in texts.lines() {
            tokens += tokenizer.tokenize(text)?.len();
        }
        let seconds = started.elapsed().as_secs_f64();
        let per_second = tokens as f64 / seconds;
        writeln!(out, "{pass} pass: {tokens} tokens in {seconds:.3} s, {per_second:.0} tokens/s")?;
    }
    Ok(())
}
