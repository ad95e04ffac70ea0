//! Texts as vectors, for a dense first stage.

use crossrank_model::{BiEncoder, PackedPairs, Precision};
use crossrank_tokenizer::PairTokenizer;
use rayon::prelude::*;

use crate::device::{DeviceInfo, DeviceKind};
use crate::guard::caught;
use crate::{Error, LoadOptions, ModelFiles};

/// Tokens of a forward pass: enough for a matrix product, little beside any memory budget.
const PASS_TOKENS: usize = 2048;

/// A sentence encoder with mean pooling that is ready to embed.
pub struct Embedder {
    model: BiEncoder,
    tokenizer: PairTokenizer,
    /// The special tokens around a single text.
    around: [u32; 2],
    max_tokens: usize,
    device: DeviceInfo,
}

impl Embedder {
    /// Loads a sentence encoder in f32: a folder of sentence-transformers, for example all-MiniLM-L6-v2.
    ///
    /// # Errors
    /// As [`crate::Reranker::load`].
    pub fn load(files: ModelFiles, options: &LoadOptions) -> Result<Self, Error> {
        let (config, tokenizer) = files.description.read()?;
        let opened = pollster::block_on(crate::device::open(&options.device))?;
        crate::load::check(&config, &tokenizer, &opened.info)?;
        let max_tokens = options.max_tokens.unwrap_or(usize::MAX).min(config.max_tokens());
        let template = tokenizer.pair(&[], &[]).ids;
        let (Some(first), Some(last)) = (template.first(), template.last()) else {
            return Err(Error::TokenizerMismatch {
                problem: "its template has no special tokens".to_owned(),
            });
        };
        let around = [*first, *last];
        let kind = opened.info.kind;
        let model = async { BiEncoder::load(config, files.checkpoint, Precision::F32, &opened.device) };
        let model = pollster::block_on(caught(kind, model))?;
        Ok(Self { model, tokenizer, around, max_tokens, device: opened.info })
    }

    /// Where it runs.
    pub fn device(&self) -> &DeviceInfo {
        &self.device
    }

    /// One vector of length 1 per text, in order; what a text has beyond the encoder's length is not read.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], and [`Error::Model`] when the device fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let ids: Vec<Vec<u32>> = texts.par_iter().map(|text| self.ids(text)).collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|text| ids[*text].len());
        let mut passes: Vec<Vec<usize>> = Vec::new();
        let mut tokens = PASS_TOKENS;
        for text in order {
            tokens += ids[text].len();
            if tokens > PASS_TOKENS {
                passes.push(Vec::new());
                tokens = ids[text].len();
            }
            passes.last_mut().into_iter().for_each(|pass| pass.push(text));
        }
        let forward = |pass: &Vec<usize>| self.forward(pass, &ids);
        let vectors: Vec<Vec<Vec<f32>>> = match self.device.kind {
            DeviceKind::Cpu => passes.par_iter().map(forward).collect::<Result<_, _>>()?,
            _ => passes.iter().map(forward).collect::<Result<_, _>>()?,
        };
        let mut embedded = vec![Vec::new(); texts.len()];
        let found = passes.into_iter().flatten().zip(vectors.into_iter().flatten());
        found.for_each(|(text, vector)| embedded[text] = vector);
        Ok(embedded)
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut ids = self.tokenizer.tokenize(text)?;
        ids.truncate(self.max_tokens.saturating_sub(self.around.len()));
        ids.insert(0, self.around[0]);
        ids.push(self.around[1]);
        Ok(ids)
    }

    fn forward(&self, pass: &[usize], ids: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Error> {
        let mut packed = PackedPairs::default();
        pass.iter().for_each(|text| packed.push(&ids[*text], &vec![0; ids[*text].len()]));
        pollster::block_on(caught(self.device.kind, self.model.forward(&packed)))
    }
}
