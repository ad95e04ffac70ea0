//! Panics of drivers and of other crates become errors here; none reaches a caller.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crossrank_model::ModelError;

use crate::Error;
use crate::device::DeviceKind;

/// Runs `work` on a device; a panic is the device's failure on a GPU, whose driver panics where its
/// memory ends, and a bug on the CPU.
///
/// What `work` borrows may be half changed after a panic: it must not be used again.
pub(crate) async fn caught<T>(
    kind: DeviceKind,
    work: impl Future<Output = Result<T, ModelError>>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map_err(Error::from),
        Err(panic) => Poll::Ready(Err(failure(kind, message(panic.as_ref())))),
    })
    .await
}

fn failure(kind: DeviceKind, problem: String) -> Error {
    match kind {
        DeviceKind::Cpu => Error::Internal { problem },
        DeviceKind::Gpu | DeviceKind::Software => Error::Model(ModelError::Device { problem }),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let fails = |kind| {
            let work = async {
                if kind == DeviceKind::Cpu { panic!("index {}", 7) } else { panic!("Out of Memory") }
            };
            pollster::block_on(caught::<()>(kind, work)).unwrap_err()
        };
        let bug = fails(DeviceKind::Cpu);
        assert!(bug.code() == "internal" && bug.to_string().contains("index 7"), "{bug}");
        let lost = fails(DeviceKind::Gpu);
        assert!(lost.code() == "device_lost" && lost.to_string().contains("Out of Memory"), "{lost}");
    }

    #[test]
    fn results_pass_unchanged() {
        assert_eq!(pollster::block_on(caught(DeviceKind::Gpu, async { Ok(7) })).unwrap(), 7);
        let error = pollster::block_on(caught::<()>(DeviceKind::Gpu, async { Err(ModelError::EmptyPair) }));
        assert_eq!(error.unwrap_err().code(), "invalid_input");
    }
}
