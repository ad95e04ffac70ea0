//! Where rows are and are computed.

/// A processor with its memory.
#[derive(Debug, Clone)]
pub enum Device {
    /// This machine's processor.
    Cpu,
    /// A GPU.
    #[cfg(feature = "gpu")]
    Gpu(crate::Gpu),
}

impl Device {
    /// True for the CPU.
    pub fn is_cpu(&self) -> bool {
        match self {
            Device::Cpu => true,
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => false,
        }
    }

    /// Bytes of a GPU's memory that hold weights and working data; `None` where they are not counted.
    pub fn bytes_in_use(&self) -> Option<u64> {
        match self {
            Device::Cpu => None,
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Some(gpu.bytes_in_use()),
        }
    }

    /// Kernels that a GPU was given so far; 0 for the CPU.
    pub fn launches(&self) -> u64 {
        match self {
            Device::Cpu => 0,
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.launches(),
        }
    }
}
