//! Attention without a matrix of scores (Dao et al. 2022, FlashAttention): a unit keeps one query and what it has
//! gathered so far in registers, while keys and values pass through workgroup memory.

use std::sync::OnceLock;

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::{Gpu, Matrix, VECTOR};
use crate::Segments;

/// Queries of a workgroup, one a unit.
const QUERIES: usize = 64;
/// Vectors of keys, and as many of values, in workgroup memory at a time: 8 KiB each in f32.
const VECTORS: usize = 512;
/// Keys whose scores are in registers at a time.
const KEYS: usize = 8;
/// Below every score; infinity is no number in WGSL.
const LOWEST: f32 = -1e30;

/// Which queries attend to which keys, put on the GPU when they are first asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttentionBlocks {
    all: OnceLock<Blocks>,
    first: OnceLock<Blocks>,
}

impl AttentionBlocks {
    /// Every query of every segment.
    pub(crate) fn all(&self, gpu: &Gpu, segments: &Segments) -> &Blocks {
        self.all.get_or_init(|| {
            let segments = segments.starts().into_iter().zip(segments.lengths());
            let blocks = segments.flat_map(|(start, &length)| {
                let starts = (start..start + length).step_by(QUERIES);
                starts.map(move |query| [query, QUERIES.min(start + length - query), start, length])
            });
            Blocks::new(gpu, blocks)
        })
    }

    /// One query for each segment.
    pub(crate) fn first(&self, gpu: &Gpu, segments: &Segments) -> &Blocks {
        self.first.get_or_init(|| {
            let segments = segments.starts().into_iter().zip(segments.lengths()).enumerate();
            Blocks::new(gpu, segments.map(|(index, (start, &length))| [index, 1, start, length]))
        })
    }
}

/// Up to 64 queries of one segment each: first query, queries, first key, keys.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    buffer: Handle,
    count: usize,
}

impl Blocks {
    fn new(gpu: &Gpu, blocks: impl Iterator<Item = [usize; 4]>) -> Self {
        let numbers: Vec<u32> = blocks.flatten().map(|number| number as u32).collect();
        Self { buffer: gpu.client.create_from_slice(u32::as_bytes(&numbers)), count: numbers.len() / 4 }
    }
}

/// Where a head's numbers are: vectors of a row, and the place of the first head in it.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Columns {
    width: usize,
    first: usize,
}

#[cube(launch_unchecked)]
fn attention_kernel<F: Float, N: Size>(
    query: &[Vector<F, N>],
    key_value: &[Vector<F, N>],
    blocks: &[u32],
    out: &mut [Vector<F, N>],
    queries: Columns,
    keys: Columns,
    values: Columns,
    scale: f32,
    #[comptime] head: usize,
    #[define(F)] _element: ElemType,
) {
    // Keys at a time, a whole number of steps.
    let tile = comptime!(VECTORS / head / KEYS * KEYS);
    let mut key_tile = Shared::<[Vector<F, N>]>::new_slice(VECTORS);
    let mut value_tile = Shared::<[Vector<F, N>]>::new_slice(VECTORS);
    let block = CUBE_POS_X as usize * 4;
    let place = CUBE_POS_Y as usize * head;
    let first_query = blocks[block] as usize;
    let query_count = blocks[block + 1] as usize;
    let first_key = blocks[block + 2] as usize;
    let key_count = blocks[block + 3] as usize;
    let unit = UNIT_POS as usize;
    // A unit without a query computes another's and stores nothing.
    let row = first_query + unit.min(query_count - 1);
    let mut asked = Array::<Vector<f32, N>>::new(head);
    let mut gathered = Array::<Vector<f32, N>>::new(head);
    #[unroll]
    for part in 0..head {
        let numbers = query[row * queries.width + queries.first + place + part];
        asked[part] = Vector::<f32, N>::cast_from(numbers) * Vector::new(scale);
        gathered[part] = Vector::new(0.0);
    }
    let mut highest = f32::new(LOWEST);
    let mut weights = f32::new(0.0);
    for start in range_stepped(0, key_count, tile) {
        sync_cube();
        #[unroll]
        for part in 0..comptime!(VECTORS / QUERIES) {
            let index = unit + part * QUERIES;
            let key = start + index / head;
            let mut key_numbers = Vector::new(F::new(0.0));
            let mut value_numbers = Vector::new(F::new(0.0));
            if key < key_count {
                let column = place + index % head;
                key_numbers = key_value[(first_key + key) * keys.width + keys.first + column];
                value_numbers = key_value[(first_key + key) * values.width + values.first + column];
            }
            key_tile[index] = key_numbers;
            value_tile[index] = value_numbers;
        }
        sync_cube();
        let in_tile = (key_count - start).min(tile);
        for near in range_stepped(0, in_tile, KEYS) {
            let mut scores = Array::<f32>::new(KEYS);
            let mut top = highest;
            #[unroll]
            for key in 0..KEYS {
                let mut score = Vector::<f32, N>::new(0.0);
                #[unroll]
                for part in 0..head {
                    let numbers = key_tile[(near + key) * head + part];
                    score += asked[part] * Vector::cast_from(numbers);
                }
                scores[key] = select(near + key < in_tile, score.dot(Vector::new(1.0)), LOWEST);
                top = top.max(scores[key]);
            }
            let fade = (highest - top).exp();
            highest = top;
            weights *= fade;
            #[unroll]
            for part in 0..head {
                gathered[part] *= Vector::new(fade);
            }
            #[unroll]
            for key in 0..KEYS {
                let weight = (scores[key] - highest).exp();
                weights += weight;
                #[unroll]
                for part in 0..head {
                    let numbers = value_tile[(near + key) * head + part];
                    gathered[part] += Vector::new(weight) * Vector::cast_from(numbers);
                }
            }
        }
    }
    if unit < query_count {
        let stored = (first_query + unit) * head * CUBE_COUNT_Y as usize + place;
        #[unroll]
        for part in 0..head {
            out[stored + part] = Vector::cast_from(gathered[part] / Vector::new(weights));
        }
    }
}

/// softmax(QKᵀ / √d) V for every block and head.
///
/// # Shapes
/// - `query`: `[queries, width]`, of which `hidden` columns from `query_column` on are the queries
/// - `key_value`: `[rows, width]`, keys in the `hidden` columns from `key_column` on, values in those behind them
/// - result: `[queries, hidden]`
pub(crate) fn attention(
    (query, query_column): (&Matrix, usize),
    (key_value, key_column): (&Matrix, usize),
    blocks: &Blocks,
    (heads, hidden): (usize, usize),
) -> Matrix {
    let out = query.gpu.empty(query.rows, hidden, query.f16);
    let columns = |matrix: &Matrix, first: usize| ColumnsLaunch::new(matrix.width / VECTOR, first / VECTOR);
    // Every index stays within the shapes above and the blocks, which are made of the segments.
    unsafe {
        attention_kernel::launch_unchecked(
            query.gpu.client(),
            CubeCount::Static(blocks.count as u32, heads as u32, 1),
            CubeDim::new_1d(QUERIES as u32),
            VECTOR,
            query.argument(VECTOR),
            key_value.argument(VECTOR),
            BufferArg::from_raw_parts(blocks.buffer.clone(), blocks.count * 4),
            out.argument(VECTOR),
            columns(query, query_column),
            columns(key_value, key_column),
            columns(key_value, key_column + hidden),
            ((hidden / heads) as f32).sqrt().recip(),
            hidden / heads / VECTOR,
            query.element(),
        );
    }
    out
}
