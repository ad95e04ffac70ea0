//! A model whose weights are still arriving: a download is never held whole.

use crossrank_model::{GgufHeader, ModelConfig, ModelError, WeightStream};
use crossrank_tokenizer::PairTokenizer;

use crate::device::{DeviceInfo, OpenDevice};
use crate::load::Prepared;
use crate::{Description, Error, LoadOptions, Reranker};

/// Bytes after which a GGUF header is looked for; then after twice as many.
const FIRST_LOOK: usize = 1 << 20;

/// A model whose weights are still arriving.
pub struct ModelStream {
    name: String,
    options: LoadOptions,
    opened: OpenDevice,
    state: State,
    bytes: u64,
}

enum State {
    /// A GGUF file brings configuration and tokenizer in its header.
    Header(Option<Beginning>),
    Weights(Box<(Prepared, WeightStream)>),
}

/// A GGUF file whose header is not complete.
struct Beginning {
    file: String,
    length: u64,
    bytes: Vec<u8>,
    look_at: usize,
}

impl ModelStream {
    /// Opens the device of a model whose small files are there; without `description` the weights are a GGUF
    /// file.
    ///
    /// # Errors
    /// As [`Reranker::load`], but for the weights.
    pub async fn open(
        name: impl Into<String>,
        description: Option<Description>,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let described = description.map(Description::read).transpose()?;
        let opened = crate::device::open(&options.device).await?;
        let name = name.into();
        let state = match described {
            Some(described) => State::new(name.clone(), described, &opened, options)?,
            None => State::Header(None),
        };
        Ok(Self { name, options: options.clone(), opened, state, bytes: 0 })
    }

    /// Starts the next weight file, of `length` bytes; the shards of a checkpoint come in any order.
    ///
    /// # Errors
    /// [`Error::Model`] if the file before it is not complete.
    pub fn begin_file(&mut self, name: impl Into<String>, length: u64) -> Result<(), Error> {
        self.bytes += length;
        match &mut self.state {
            State::Weights(weights) => Ok(weights.1.begin_file(name, length)?),
            State::Header(beginning) => {
                let (file, bytes) = (name.into(), Vec::new());
                *beginning = Some(Beginning { file, length, bytes, look_at: FIRST_LOOK });
                Ok(())
            }
        }
    }

    /// Takes the next bytes of the file, in pieces of any size.
    ///
    /// # Errors
    /// [`Error::Model`], and of a GGUF file those of its tokenizer; the stream is of no use after it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.state {
            State::Weights(weights) => Ok(weights.1.push(bytes)?),
            State::Header(None) => Ok(()),
            State::Header(Some(beginning)) => {
                beginning.bytes.extend_from_slice(bytes);
                match beginning.header()? {
                    Some(header) => self.begin_weights(header),
                    None => Ok(()),
                }
            }
        }
    }

    /// Bytes of weights kept so far, on the device and in memory.
    pub fn kept_bytes(&self) -> u64 {
        match &self.state {
            State::Weights(weights) => weights.1.kept_bytes(),
            State::Header(_) => 0,
        }
    }

    /// Where the model is going to run.
    pub fn device(&self) -> &DeviceInfo {
        &self.opened.info
    }

    /// The model, when all files have come.
    ///
    /// # Errors
    /// [`Error::Model`] for files that are not complete or do not fit together.
    pub async fn finish(self) -> Result<Reranker, Error> {
        match self.state {
            State::Weights(weights) => {
                let (prepared, weights) = *weights;
                prepared.with_weights(async { weights.finish() }, self.bytes).await
            }
            State::Header(beginning) => {
                let (file, length) = beginning.map_or((self.name, 0), |file| (file.file, file.bytes.len()));
                let problem = format!("it ended after {length} bytes, inside its header");
                Err(Error::Model(ModelError::Damaged { file, problem }))
            }
        }
    }

    fn begin_weights(&mut self, mut header: GgufHeader) -> Result<(), Error> {
        let description = Description::Gguf(std::mem::take(&mut header.metadata));
        let state = State::new(self.name.clone(), description.read()?, &self.opened, &self.options)?;
        if let (State::Header(Some(beginning)), State::Weights(weights)) =
            (std::mem::replace(&mut self.state, state), &mut self.state)
        {
            weights.1.begin_gguf(beginning.file, beginning.length, header)?;
            weights.1.push(&beginning.bytes)?;
        }
        Ok(())
    }
}

impl State {
    fn new(
        name: String,
        described: (ModelConfig, PairTokenizer),
        opened: &OpenDevice,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let prepared = Prepared::new(name, described, opened.clone(), options)?;
        let weights = prepared.weight_stream();
        Ok(State::Weights(Box::new((prepared, weights))))
    }
}

impl Beginning {
    /// The header, if it has come. It is looked for when the bytes have doubled, and at the end.
    fn header(&mut self) -> Result<Option<GgufHeader>, Error> {
        if self.bytes.len() < self.look_at && (self.bytes.len() as u64) < self.length {
            return Ok(None);
        }
        self.look_at = self.bytes.len() * 2;
        Ok(GgufHeader::read(&self.file, &self.bytes, self.length)?)
    }
}
