//! Where a model runs.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "cuda")]
use crossrank_model::Gpu;
use crossrank_model::{Device, Precision};

use crate::Error;
use crate::guard::caught;

/// Where a model should run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU; never a software adapter.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first real GPU, or an error.
    Gpu,
    /// NVIDIA's CUDA, in builds with the feature `cuda`.
    Cuda,
    /// The adapter whose name contains this text, software adapters included.
    Adapter(String),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "auto" => DeviceChoice::Auto,
            "cpu" => DeviceChoice::Cpu,
            "gpu" => DeviceChoice::Gpu,
            "cuda" => DeviceChoice::Cuda,
            "" => {
                return Err(crate::request::option(
                    "device",
                    "\"\"",
                    "auto, cpu, gpu, cuda or an adapter's name",
                ));
            }
            name => DeviceChoice::Adapter(name.to_owned()),
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Cpu => "cpu",
            DeviceChoice::Gpu => "gpu",
            DeviceChoice::Cuda => "cuda",
            DeviceChoice::Adapter(name) => name,
        })
    }
}

/// What kind of processor a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// This machine's processor.
    Cpu,
    /// A GPU, discrete, integrated or virtual.
    Gpu,
    /// A GPU interface computed by the CPU: llvmpipe, SwiftShader. Slower than [`DeviceKind::Cpu`].
    Software,
}

/// A device this build can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The adapter's name, or `cpu`.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// The interface, `Vulkan`, `Metal`, `Dx12`…; of the CPU its vector instructions.
    pub backend: String,
    /// Whether it computes in f16.
    pub f16: bool,
    /// Bytes of the largest buffer a kernel can read, on a GPU.
    pub max_buffer_bytes: Option<u64>,
}

/// A device that is ready to hold tensors.
#[derive(Clone)]
pub(crate) struct OpenDevice {
    pub(crate) device: Device,
    pub(crate) info: DeviceInfo,
}

/// Every device this build can run on, the CPU first.
#[cfg(not(target_family = "wasm"))]
pub fn devices() -> Vec<DeviceInfo> {
    let devices = std::iter::once(cpu().info);
    #[cfg(feature = "gpu")]
    let devices =
        devices.chain(pollster::block_on(gpu::adapters()).iter().map(gpu::info).collect::<Vec<_>>());
    devices.collect()
}

pub(crate) async fn open(choice: &DeviceChoice) -> Result<OpenDevice, Error> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu()),
        #[cfg(feature = "gpu")]
        DeviceChoice::Auto => gpu::open(choice).await.or_else(|_| Ok(cpu())),
        #[cfg(not(feature = "gpu"))]
        DeviceChoice::Auto => Ok(cpu()),
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda => Ok(OpenDevice {
            device: Device::Gpu(Gpu::new(cubecl::Device::Cuda(Default::default()).client())),
            info: DeviceInfo {
                name: "cuda".to_owned(),
                kind: DeviceKind::Gpu,
                backend: "CUDA".to_owned(),
                f16: true,
                max_buffer_bytes: None,
            },
        }),
        #[cfg(feature = "gpu")]
        DeviceChoice::Gpu | DeviceChoice::Adapter(_) => gpu::open(choice).await,
        other => Err(Error::DeviceUnavailable {
            device: other.to_string(),
            problem:
                "this build does not contain it; build with the feature gpu or cuda, or use the device cpu"
                    .to_owned(),
        }),
    }
}

/// Runs a tiny model with known logits on a device, in f32 or f16.
///
/// # Errors
/// [`Error::DeviceUnavailable`] for a device that is not there or computes wrongly.
pub async fn self_test(choice: &DeviceChoice, precision: Precision) -> Result<(), Error> {
    let opened = open(choice).await?;
    let unavailable = |problem| Error::DeviceUnavailable { device: choice.to_string(), problem };
    let tolerance = match precision {
        Precision::F16 if !opened.info.f16 => {
            return Err(unavailable("it does not compute in f16; use dtype f32".to_owned()));
        }
        Precision::F16 => 2e-2,
        _ => 2e-4,
    };
    let tested = caught(opened.info.kind, crossrank_model::self_test(precision, &opened.device)).await;
    match tested {
        Ok(difference) if difference <= tolerance => Ok(()),
        Ok(difference) => Err(unavailable(format!(
            "its self-test is off by {difference:.1e}; update the graphics driver, or use the device cpu"
        ))),
        Err(error) => Err(unavailable(format!("its self-test failed: {error}"))),
    }
}

fn cpu() -> OpenDevice {
    OpenDevice {
        device: Device::Cpu,
        info: DeviceInfo {
            name: "cpu".to_owned(),
            kind: DeviceKind::Cpu,
            backend: crossrank_model::instructions().to_owned(),
            f16: false,
            max_buffer_bytes: None,
        },
    }
}

#[cfg(feature = "gpu")]
mod gpu {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

    use crossrank_model::{Device, Gpu};
    use cubecl::wgpu::{RuntimeOptions, WgpuSetup, try_init_device, wgpu};

    use super::{DeviceChoice, DeviceInfo, DeviceKind, OpenDevice};
    use crate::Error;

    /// Adapters that are in use: every model on one adapter shares its device.
    static OPEN: LazyLock<Mutex<HashMap<String, Device>>> = LazyLock::new(Mutex::default);

    fn opened() -> MutexGuard<'static, HashMap<String, Device>> {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without OpenGL, which cannot compute what the model needs and asks for a display.
    fn instance() -> wgpu::Instance {
        wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })
    }

    /// Every adapter, real GPUs first.
    pub(super) async fn adapters() -> Vec<wgpu::Adapter> {
        let mut adapters = instance().enumerate_adapters(wgpu::Backends::PRIMARY).await;
        adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        });
        adapters
    }

    pub(super) fn info(adapter: &wgpu::Adapter) -> DeviceInfo {
        let info = adapter.get_info();
        let limits = adapter.limits();
        DeviceInfo {
            kind: match info.device_type {
                wgpu::DeviceType::Cpu => DeviceKind::Software,
                _ => DeviceKind::Gpu,
            },
            name: info.name,
            backend: info.backend.to_string(),
            f16: adapter.features().contains(wgpu::Features::SHADER_F16),
            max_buffer_bytes: Some(limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)),
        }
    }

    pub(super) async fn open(choice: &DeviceChoice) -> Result<OpenDevice, Error> {
        let wanted = |adapter: &wgpu::Adapter| {
            let info = info(adapter);
            match choice {
                DeviceChoice::Adapter(name) => info.name.to_lowercase().contains(&name.to_lowercase()),
                _ => info.kind == DeviceKind::Gpu,
            }
        };
        let adapters = adapters().await;
        let Some(adapter) = adapters.iter().find(|adapter| wanted(adapter)) else {
            let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(unavailable(
                choice,
                format!("adapters found: {found}; `crossrank devices` lists them"),
            ));
        };
        let info = info(adapter);
        if let Some(device) = opened().get(&info.name) {
            return Ok(OpenDevice { device: device.clone(), info });
        }
        let created = create(choice, adapter).await?;
        // A browser's GPU can be lost and is then opened anew.
        let device = match cfg!(target_family = "wasm") {
            true => created,
            false => opened().entry(info.name.clone()).or_insert(created).clone(),
        };
        Ok(OpenDevice { device, info })
    }

    /// A device with every feature and limit of its adapter: CubeCL reads both from the adapter.
    async fn create(choice: &DeviceChoice, adapter: &wgpu::Adapter) -> Result<Device, Error> {
        // Without it CubeCL panics in a browser.
        if cfg!(target_family = "wasm") && !adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(unavailable(choice, "it has no timestamp-query, which the kernels need".to_owned()));
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & !wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| unavailable(choice, error.to_string()))?;
        let setup = WgpuSetup {
            instance: instance(),
            adapter: adapter.clone(),
            device,
            queue,
            backend: adapter.get_info().backend,
        };
        let device = RuntimeOptions::try_default().and_then(|options| try_init_device(setup, options));
        let device = device.map_err(|error| unavailable(choice, error.to_string()))?;
        Ok(Device::Gpu(Gpu::new(cubecl::Device::Wgpu(device).client())))
    }

    fn unavailable(choice: &DeviceChoice, problem: String) -> Error {
        Error::DeviceUnavailable { device: choice.to_string(), problem }
    }
}
