//! The GPU: kernels in CubeCL, Burn's compute language, which become WGSL, SPIR-V, Metal's language or CUDA.
//!
//! A layer is seven launches: a product ([`Weight`]) for queries, keys and values at once, [`attention`], a product with
//! the residual, [`Norm`], two products around GELU, [`Norm`]. Numbers are stored in f32 or f16 and added up in f32.

mod attention;
mod gather;
mod linear;
mod norm;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cubecl::prelude::*;
use cubecl::server::Handle;

pub(crate) use attention::{AttentionBlocks, attention};
pub(crate) use gather::{gather, stacked};
pub(crate) use linear::{Then, Weight};
pub(crate) use norm::Norm;

/// Numbers that one load brings: rows are read in vectors of four.
pub(crate) const VECTOR: usize = 4;

/// A GPU, and how much work it was given.
#[derive(Clone)]
pub struct Gpu {
    client: Client,
    launches: Arc<AtomicU64>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gpu").field(&self.client.name()).finish()
    }
}

/// A matrix in a GPU's memory, row by row.
#[derive(Clone, Debug)]
pub struct Matrix {
    gpu: Gpu,
    buffer: Handle,
    rows: usize,
    width: usize,
    f16: bool,
}

impl Gpu {
    /// The GPU of a CubeCL client.
    pub fn new(client: Client) -> Self {
        Self { client, launches: Arc::default() }
    }

    /// Kernels launched so far.
    pub fn launches(&self) -> u64 {
        self.launches.load(Ordering::Relaxed)
    }

    /// Bytes of its memory that hold weights and working data.
    pub(crate) fn bytes_in_use(&self) -> u64 {
        self.client.memory_report(cubecl::MemoryScope::Device).usage().bytes_in_use
    }

    fn client(&self) -> &Client {
        self.launches.fetch_add(1, Ordering::Relaxed);
        &self.client
    }

    /// A matrix that holds nothing yet.
    fn empty(&self, rows: usize, width: usize, f16: bool) -> Matrix {
        let bytes = rows * width * if f16 { 2 } else { 4 };
        Matrix { gpu: self.clone(), buffer: self.client.empty(bytes), rows, width, f16 }
    }

    /// A matrix of these numbers that lives as long as a model: rounded to f16 here, if asked for, so that the GPU
    /// never holds it twice.
    pub(crate) fn weight(&self, values: &[f32], width: usize, f16: bool) -> Matrix {
        let keep = |bytes: &[u8]| self.persistent(|| self.client.create_from_slice(bytes));
        let buffer = match f16 {
            true => keep(half::f16::as_bytes(&halves(values))),
            false => keep(f32::as_bytes(values)),
        };
        // The queue would hold the data of many matrices beside them. The next operation reports a failure.
        let _ = self.client.flush();
        Matrix { gpu: self.clone(), buffer, rows: values.len() / width, width, f16 }
    }

    /// Does `allocate` where memory is not given back to other uses.
    fn persistent<T: Send>(&self, allocate: impl FnOnce() -> T + Send) -> T {
        self.client.memory_persistent_allocation((), |()| allocate())
    }

    /// A matrix of these numbers that is used up.
    pub(crate) fn input(&self, values: &[f32], width: usize) -> Matrix {
        let buffer = self.client.create_from_slice(f32::as_bytes(values));
        Matrix { gpu: self.clone(), buffer, rows: values.len() / width, width, f16: false }
    }
}

fn halves(values: &[f32]) -> Vec<half::f16> {
    values.iter().map(|&value| half::f16::from_f32(value)).collect()
}

impl Matrix {
    /// Its numbers, row by row, in f32.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) async fn read(self) -> Result<Vec<f32>, String> {
        let bytes = self.gpu.client.read_async(vec![self.buffer]).await.map_err(|error| error.to_string())?;
        let bytes = bytes.first().ok_or("the GPU gave nothing back")?;
        Ok(match self.f16 {
            true => half::f16::from_bytes(bytes).iter().map(|value| value.to_f32()).collect(),
            false => f32::from_bytes(bytes).to_vec(),
        })
    }

    pub(crate) fn is_f16(&self) -> bool {
        self.f16
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    fn element(&self) -> ElemType {
        if self.f16 { half::f16::elem_type_native() } else { f32::elem_type_native() }
    }

    /// All of it, as an argument of a kernel that reads `size` numbers at a time.
    fn argument(&self, size: usize) -> BufferArg {
        // The length is the buffer's own: `rows` and `width` describe what was allocated or created.
        unsafe { BufferArg::from_raw_parts(self.buffer.clone(), self.rows * self.width / size) }
    }
}
