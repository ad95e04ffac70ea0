//! Where rows are and are computed.

/// A processor with its memory.
#[derive(Debug, Clone)]
pub enum Device {
    /// This machine's processor.
    Cpu,
    /// A GPU, through Burn.
    #[cfg(feature = "gpu")]
    Gpu(burn::tensor::Device),
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
            Device::Gpu(device) => device.memory_pool_usage().map(|usage| usage.bytes_in_use),
        }
    }
}
