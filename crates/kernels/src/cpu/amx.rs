//! Products of integers in the matrix registers of AMX, which Intel's Xeons have since Sapphire Rapids: eight of
//! 16 rows of 64 bytes. The integers are those of [`super::quantized`].
//!
//! The compiler has no stable functions for them, hence assembly: Intel 64 manual, volume 1, chapter 18.

use std::arch::{asm, x86_64::*};
use std::sync::LazyLock;

use super::aligned::Aligned;
use super::output::Part;
use super::quantized::{BLOCK, INPUTS_AT_ONCE, Panel, QuantizedProduct, quantize_block};
use super::simd::Simd;
use super::tile::tile;
use super::x86::Avx512;

/// The vectors that scale the integers; processors with AMX have them.
type S = Avx512<true>;

/// Rows and columns of a tile of results: two registers either way, and the columns of a panel.
const SIDE: usize = 32;
/// Bytes of a line of the cache.
const LINE: usize = 64;
/// Rows that are multiplied with one panel after the other.
const GROUP: usize = 8 * SIDE;
/// Rows that are scaled at once: with two vectors a row, what the vector registers hold.
const ROWS: usize = 8;

/// Whether the processor has these registers and the system lets this process use them, which it is asked to.
pub(crate) fn is_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        // AMX-TILE and AMX-INT8.
        const BITS: u32 = 1 << 24 | 1 << 25;
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

/// A [`QuantizedProduct`] in these registers.
///
/// # Safety
/// They must be available, and AVX-512 with VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
pub(crate) unsafe fn multiply(product: QuantizedProduct) {
    let QuantizedProduct { rows, inputs, panels, mut out } = product;
    let mut left = TileRows::new(inputs);
    let mut integers = Aligned::zeros(inputs.div_ceil(BLOCK) * SIDE * SIDE);
    let _configuration = unsafe { Configuration::load() };
    for (index, group) in rows.chunks(GROUP * inputs).enumerate() {
        unsafe { left.quantize(group) };
        let rows = group.len() / inputs;
        for panel in 0..out.bias.len().div_ceil(SIDE) {
            let weights = panels.panel(panel, inputs, SIDE);
            for first_row in (0..rows).step_by(SIDE) {
                unsafe {
                    out.prefetch::<S, SIDE>(index * GROUP + first_row, panel * SIDE);
                    left.times(first_row, rows, &weights, &mut integers);
                    for row in (first_row..rows.min(first_row + SIDE)).step_by(ROWS) {
                        let mut sums = left.scale(row, &weights, &integers);
                        weights.scale::<S>(&mut sums);
                        let part = Part { is_first: true, is_last: true };
                        out.add::<S, ROWS>(sums, index * GROUP + row, panel * SIDE, part);
                    }
                }
            }
        }
    }
}

/// Rows in 7 bits, side by side in whole registers.
struct TileRows {
    inputs: usize,
    /// Bytes of a row.
    stride: usize,
    values: Vec<u8>,
    /// Of every [`SIDE`] rows, for each block of columns, every row's scale,
    scales: Aligned,
    /// and what its zero point stands for, negated.
    zeros: Aligned,
}

impl TileRows {
    fn new(inputs: usize) -> Self {
        let stride = inputs.next_multiple_of(INPUTS_AT_ONCE);
        Self { inputs, stride, values: Vec::new(), scales: Aligned::default(), zeros: Aligned::default() }
    }

    fn blocks(&self) -> usize {
        self.inputs.div_ceil(BLOCK)
    }

    /// Where the scale and the zero of a row's first block are; the others' are [`SIDE`] apart.
    fn place(&self, row: usize) -> usize {
        row / SIDE * SIDE * self.blocks() + row % SIDE
    }

    #[inline(always)]
    unsafe fn quantize(&mut self, rows: &[f32]) {
        let count = (rows.len() / self.inputs).next_multiple_of(SIDE);
        // Behind a row's values are zeros of the weights, whatever is there.
        self.values.resize(count * self.stride, 0);
        self.scales.resize(count * self.blocks());
        self.zeros.resize(count * self.blocks());
        for (index, row) in rows.chunks_exact(self.inputs).enumerate() {
            let first = self.place(index);
            for (block, values) in row.chunks(BLOCK).enumerate() {
                let at = first + block * SIDE;
                let quantized = &mut self.values[index * self.stride + block * BLOCK..];
                unsafe { (self.scales[at], self.zeros[at]) = quantize_block::<S>(values, quantized) };
            }
        }
    }

    /// The products of [`SIDE`] of so many rows with a panel, for each block of columns. On the way the rows send for
    /// the next panel, each [`SIDE`] for their share: else waiting for it takes a twentieth of the time.
    #[inline(always)]
    unsafe fn times(&self, first_row: usize, rows: usize, panel: &Panel, integers: &mut Aligned) {
        let share = (BLOCK * SIDE).div_ceil(rows.div_ceil(SIDE)).next_multiple_of(LINE);
        for (block, integers) in integers.chunks_exact_mut(SIDE * SIDE).enumerate() {
            let registers = (self.inputs - block * BLOCK).min(BLOCK).div_ceil(INPUTS_AT_ONCE);
            let left = self.values[first_row * self.stride + block * BLOCK..].as_ptr();
            let weights = panel.values[block * BLOCK * SIDE..].as_ptr();
            let next = weights.wrapping_add(panel.values.len() + first_row / SIDE * share);
            unsafe {
                for line in (0..share).step_by(LINE) {
                    _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(line));
                }
                tiles(left, self.stride, weights, registers, integers.as_mut_ptr().cast());
            }
        }
    }

    /// What these products stand for, of [`ROWS`] rows, but for the scales of the columns.
    #[inline(always)]
    unsafe fn scale(&self, row: usize, panel: &Panel, integers: &Aligned) -> [[__m512; 2]; ROWS] {
        let first = self.place(row);
        unsafe {
            let mut sums =
                tile::<S, ROWS>(self.blocks(), self.zeros[first..].as_ptr(), SIDE, panel.sums.as_ptr());
            for (block, integers) in integers.chunks_exact(SIDE * SIDE).enumerate() {
                let integers = integers[row % SIDE * SIDE..][..ROWS * SIDE].as_ptr();
                let scales = self.scales[first + block * SIDE..][..ROWS].as_ptr();
                for (index, sums) in sums.iter_mut().enumerate() {
                    let scale = S::splat(*scales.add(index));
                    for (half, sum) in sums.iter_mut().enumerate() {
                        let integers =
                            _mm512_loadu_si512(integers.add(index * SIDE + half * S::LANES).cast());
                        *sum = S::mul_add(S::to_float(integers), scale, *sum);
                    }
                }
            }
            sums
        }
    }
}

/// `SIDE × SIDE` sums of products: `registers` times 64 columns of rows `stride` apart with as many of a panel.
#[inline(always)]
unsafe fn tiles(left: *const u8, stride: usize, weights: *const i8, registers: usize, sums: *mut i32) {
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {stride}]",
            "tileloadd tmm6, [{weights} + {line}]",
            "tileloadd tmm7, [{weights} + {line} + 64]",
            "tdpbusd tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{lower} + {stride}]",
            "tdpbusd tmm1, tmm4, tmm7",
            "tdpbusd tmm2, tmm5, tmm6",
            "tdpbusd tmm3, tmm5, tmm7",
            "add {upper}, 64",
            "add {lower}, 64",
            "add {weights}, 2048",
            "dec {registers}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 64], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 2112], tmm3",
            upper = inout(reg) left => _,
            lower = inout(reg) left.add(16 * stride) => _,
            stride = in(reg) stride,
            weights = inout(reg) weights => _,
            line = in(reg) 4 * SIDE,
            registers = inout(reg) registers => _,
            sums = in(reg) sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// The shape of the registers, as this thread has it until it is dropped.
struct Configuration;

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
        shape.row_bytes[..8].fill(INPUTS_AT_ONCE as u16);
        shape.rows[..8].fill(16);
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack, readonly)) };
        Self
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // Else the system would save 8 KB whenever another thread gets the processor.
        // SAFETY: the registers are this thread's.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
