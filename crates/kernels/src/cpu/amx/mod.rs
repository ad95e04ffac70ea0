//! Products in the matrix registers of AMX, which Intel's Xeons have since Sapphire Rapids: eight of 16 rows of 64
//! bytes.
//!
//! The compiler has no stable functions for them, hence assembly: Intel 64 manual, volume 1, chapter 18.

mod integers;

use std::arch::{asm, x86_64::__cpuid_count};
use std::sync::LazyLock;

pub(crate) use integers::multiply;

use super::bf16::Products;
use super::x86::Avx512;

/// The vectors beside the registers; processors with AMX have them.
type S = Avx512<true>;

/// Rows and columns of a tile of results: two registers either way, and the columns of a panel.
const SIDE: usize = 32;
/// Bytes of a line of the cache, and of a row of a register.
const LINE: usize = 64;

/// Whether the processor has these registers, and the system lets this process use them, which it is asked to.
pub(crate) fn is_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        // AMX-BF16, AMX-TILE and AMX-INT8.
        const BITS: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        __cpuid_count(7, 0).edx & BITS == BITS && may_be_used()
    });
    *IS_AVAILABLE
}

/// Asks Linux for leave, which holds for all threads: a signal takes more of the stack then.
#[cfg(target_os = "linux")]
fn may_be_used() -> bool {
    // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA)
    let mut call_and_result: isize = 158;
    // SAFETY: it touches no memory of the process.
    unsafe {
        asm!(
            "syscall",
            inout("rax") call_and_result,
            in("rdi") 0x1023,
            in("rsi") 18,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    call_and_result == 0
}

/// How other systems are asked has not been tried.
#[cfg(not(target_os = "linux"))]
fn may_be_used() -> bool {
    false
}

/// A function for `SIDE × SIDE` sums of products: `steps` times [`LINE`] bytes of rows `stride` bytes apart, with as many of
/// a panel, to rows `sums_stride` bytes apart.
macro_rules! products {
    ($name:ident, $multiply:literal) => {
        #[inline(always)]
        unsafe fn $name(
            (left, stride): (*const u8, usize),
            panel: *const u8,
            steps: usize,
            (sums, sums_stride): (*mut u8, usize),
        ) {
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{upper} + {stride}]",
                    "tileloadd tmm6, [{panel} + {line}]",
                    "tileloadd tmm7, [{panel} + {line} + 64]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm5, [{lower} + {stride}]",
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    concat!($multiply, " tmm2, tmm5, tmm6"),
                    concat!($multiply, " tmm3, tmm5, tmm7"),
                    "add {upper}, 64",
                    "add {lower}, 64",
                    "add {panel}, 2048",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {sums_stride}], tmm0",
                    "tilestored [{sums} + {sums_stride} + 64], tmm1",
                    "tilestored [{lower_sums} + {sums_stride}], tmm2",
                    "tilestored [{lower_sums} + {sums_stride} + 64], tmm3",
                    upper = inout(reg) left => _,
                    lower = inout(reg) left.add(16 * stride) => _,
                    stride = in(reg) stride,
                    panel = inout(reg) panel => _,
                    line = in(reg) 4 * SIDE,
                    steps = inout(reg) steps => _,
                    sums = in(reg) sums,
                    lower_sums = in(reg) sums.add(16 * sums_stride),
                    sums_stride = in(reg) sums_stride,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

// Of bytes, unsigned ones on the left, to i32.
products!(integer_products, "tdpbusd");
// Of bf16, to f32.
products!(float_products, "tdpbf16ps");

/// The shape of the registers, as this thread has it until it is dropped.
pub(crate) struct Configuration;

impl Configuration {
    #[inline(always)]
    unsafe fn load() -> Self {
        /// As LDTILECFG reads it.
        #[repr(C, align(64))]
        struct Shape {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        let mut shape =
            Shape { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shape.row_bytes[..8].fill(LINE as u16);
        shape.rows[..8].fill(16);
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack, readonly)) };
        Self
    }
}

impl Products for Configuration {
    #[inline(always)]
    unsafe fn begin() -> Self {
        unsafe { Self::load() }
    }

    #[inline(always)]
    unsafe fn sums(
        &self,
        left: (*const u8, usize),
        panel: *const u8,
        steps: usize,
        sums: (*mut u8, usize),
        _rows: usize,
    ) {
        unsafe { float_products(left, panel, steps, sums) }
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // Else the system would save 8 KB whenever another thread gets the processor.
        // SAFETY: the registers are this thread's.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
