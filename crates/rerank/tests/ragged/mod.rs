//! Documents as search results are: of very different length.

/// Documents of lognormal length, median 200 tokens, sigma 0.6, at most 512: the usual spread.
pub(crate) fn ragged(count: usize) -> Vec<String> {
    let words =
        ["berlin", "people", "river", "census", "museum", "district", "live", "number", "old", "growth"];
    let mut state = 42_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            let normal = (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
            let length = (200.0 * (0.6 * normal).exp()).min(500.0) as usize;
            (0..length).map(|_| words[(uniform() * 10.0) as usize]).collect::<Vec<_>>().join(" ")
        })
        .collect()
}
