//! How sure a difference is: resampling over queries, with a fixed seed.

use fastrand::Rng;

use crate::metrics::mean;

const SEED: u64 = 0x00C0_FFEE;
const SAMPLES: usize = 10_000;

/// The 95 % bootstrap interval (percentiles) of the mean of `values`.
pub fn bootstrap_interval(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mut random = Rng::with_seed(SEED);
    let mut sample = || {
        let drawn: f64 = values.iter().map(|_| values[random.usize(..values.len())]).sum();
        drawn / values.len() as f64
    };
    let mut means: Vec<f64> = (0..SAMPLES).map(|_| sample()).collect();
    means.sort_unstable_by(f64::total_cmp);
    (means[SAMPLES / 40], means[SAMPLES - 1 - SAMPLES / 40])
}

/// The two-sided p-value of the paired randomisation test: how often the means of two systems differ as much when
/// the system that each query's value belongs to is drawn by lot.
pub fn randomisation_test(before: &[f64], after: &[f64]) -> f64 {
    let differences: Vec<f64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
    // Sums in another order differ in their last digits; those are ties.
    let observed = mean(&differences).abs() - 1e-12;
    let mut random = Rng::with_seed(SEED);
    let mut extreme = || {
        let flipped =
            differences.iter().map(|difference| if random.bool() { *difference } else { -difference });
        flipped.sum::<f64>().abs() / differences.len().max(1) as f64 >= observed
    };
    let count = (0..SAMPLES).filter(|_| extreme()).count();
    (count + 1) as f64 / (SAMPLES + 1) as f64
}
