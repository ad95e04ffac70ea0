//! Memory that begins where a line of the cache does: a vector of 64 bytes never lies in two.

use std::ops::{Deref, DerefMut};

/// The widest vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Floats, aligned to 64 bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
    length: usize,
}

impl Aligned {
    /// Zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let mut zeros = Self::default();
        zeros.resize(length);
        zeros
    }

    /// Makes room for `length` floats; those that are new are zero.
    pub(crate) fn resize(&mut self, length: usize) {
        self.lines.resize(length.div_ceil(16), Line([0.0; 16]));
        self.length = length;
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: lines are floats without anything between them, and there are as many as `length` needs.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}
