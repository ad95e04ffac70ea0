//! Which pairs go through the model together, and in what order. The plan is data; the loop over it is
//! where cancelling, deadlines and progress are looked at.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// Tokens of a forward pass aimed at: enough to keep a device busy, few enough to stop soon. One thread of
/// WebAssembly is kept busy by less and takes longer.
pub(crate) const TARGET_TOKENS: usize =
    if cfg!(all(target_family = "wasm", not(feature = "gpu"))) { 512 } else { 2048 };

/// Pairs, as places in a list, grouped into forward passes.
///
/// Pairs lie end to end in a pass, so no token slot is padding, whatever the lengths; sorting by length
/// only brings equal lengths together, whose attention is computed in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    batches: VecDeque<Vec<usize>>,
}

impl BatchPlan {
    /// Passes of about equal size over `pairs`, longest first; every pass that `fits` refuses is halved.
    pub fn sorted(pairs: Range<usize>, lengths: &[usize], fits: impl Fn(&[usize]) -> bool) -> Self {
        let mut order: Vec<usize> = pairs.collect();
        order.sort_by_key(|&pair| std::cmp::Reverse(lengths[pair]));
        let passes = (tokens(&order, lengths) / TARGET_TOKENS).max(1);
        let mut plan = Self { batches: cut(&order, lengths, passes).into() };
        plan.halve_until(fits);
        plan
    }

    /// `pairs` in input order, to be cut by [`Self::next_within`] as time allows.
    pub fn in_order(pairs: Range<usize>) -> Self {
        let whole: Vec<usize> = pairs.collect();
        Self { batches: [whole].into_iter().filter(|batch| !batch.is_empty()).collect() }
    }

    /// The next pass.
    pub fn next_batch(&mut self) -> Option<Vec<usize>> {
        self.batches.pop_front()
    }

    /// The next pass, cut to what `remaining` allows at `tokens_per_second` and to what `fits`; none if the
    /// next pair would come too late, unless `at_least_one` is asked for.
    pub fn next_within(
        &mut self,
        lengths: &[usize],
        remaining: Duration,
        tokens_per_second: Option<f64>,
        at_least_one: bool,
        fits: impl Fn(&[usize]) -> bool,
    ) -> Option<Vec<usize>> {
        let mut batch = self.batches.pop_front()?;
        let tokens = tokens_per_second.map_or(0.0, |rate| rate * remaining.as_secs_f64());
        // Half the time that is left: an estimate that is off by two is still in time.
        let most = (tokens as usize / 2).min(TARGET_TOKENS);
        let mut planned = 0;
        let affordable = batch.iter().take_while(|&&pair| {
            planned += lengths[pair];
            planned <= most
        });
        let mut count = affordable.count();
        if count == 0 && !at_least_one && lengths[batch[0]] as f64 > tokens {
            self.batches.push_front(batch);
            return None;
        }
        count = count.max(1);
        while count > 1 && !fits(&batch[..count]) {
            count = count.div_ceil(2);
        }
        let rest = batch.split_off(count);
        if !rest.is_empty() {
            self.batches.push_front(rest);
        }
        Some(batch)
    }

    /// Puts a pass that the device could not hold back as two halves; false if it is a single pair.
    pub fn halve(&mut self, mut batch: Vec<usize>) -> bool {
        if batch.len() < 2 {
            return false;
        }
        let second = batch.split_off(batch.len().div_ceil(2));
        self.batches.push_front(second);
        self.batches.push_front(batch);
        true
    }

    /// The passes, in order.
    pub fn batches(&self) -> impl Iterator<Item = &[usize]> {
        self.batches.iter().map(Vec::as_slice)
    }

    fn halve_until(&mut self, fits: impl Fn(&[usize]) -> bool) {
        let mut planned = VecDeque::new();
        while let Some(batch) = self.batches.pop_front() {
            if batch.len() > 1 && !fits(&batch) {
                self.halve(batch);
            } else {
                planned.push_back(batch);
            }
        }
        self.batches = planned;
    }
}

/// Tokens of the pairs in `batch`.
pub(crate) fn tokens(batch: &[usize], lengths: &[usize]) -> usize {
    batch.iter().map(|&pair| lengths[pair]).sum()
}

/// `batch` in at most `parts` runs of about equally many tokens, none empty.
pub(crate) fn cut(batch: &[usize], lengths: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let total = tokens(batch, lengths);
    let (mut cut, mut part, mut planned) = (Vec::new(), Vec::new(), 0);
    for &pair in batch {
        part.push(pair);
        planned += lengths[pair];
        // The end of this part, in tokens from the start of the batch.
        if planned >= total * (cut.len() + 1) / parts {
            cut.push(std::mem::take(&mut part));
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_pair_is_planned_once(
            lengths in prop::collection::vec(1usize..513, 0..300),
            budget in 512usize..20_000,
        ) {
            let plan = BatchPlan::sorted(0..lengths.len(), &lengths, |batch| tokens(batch, &lengths) <= budget);
            let mut seen: Vec<usize> = plan.batches().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            prop_assert!(plan.batches().all(|batch| tokens(batch, &lengths) <= budget));
        }

        #[test]
        fn parts_are_whole_and_about_equal(
            lengths in prop::collection::vec(1usize..513, 1..100),
            parts in 1usize..20,
        ) {
            let batch: Vec<usize> = (0..lengths.len()).rev().collect();
            let cut = cut(&batch, &lengths, parts);
            prop_assert_eq!(cut.concat(), batch.clone());
            prop_assert!(cut.len() <= parts && cut.iter().all(|part| !part.is_empty()));
            let longest = lengths.iter().max().unwrap();
            let most = tokens(&batch, &lengths) / parts + longest + 1;
            prop_assert!(cut.iter().all(|part| tokens(part, &lengths) <= most));
        }

        #[test]
        fn a_pass_has_1024_tokens_where_there_are_that_many(lengths in prop::collection::vec(1usize..513, 1..300)) {
            let plan = BatchPlan::sorted(0..lengths.len(), &lengths, |_| true);
            let total: usize = lengths.iter().sum();
            for batch in plan.batches() {
                prop_assert!(tokens(batch, &lengths) >= total.min(1024), "{}", tokens(batch, &lengths));
            }
        }

        #[test]
        fn cutting_by_time_keeps_order_and_always_moves_on(
            lengths in prop::collection::vec(1usize..513, 1..60),
            rate in 1.0f64..1e6,
            ms in 0u64..500,
        ) {
            let mut plan = BatchPlan::in_order(0..lengths.len());
            let mut seen = Vec::new();
            while let Some(batch) =
                plan.next_within(&lengths, Duration::from_millis(ms), Some(rate), true, |batch| batch.len() < 9)
            {
                prop_assert!(!batch.is_empty() && batch.len() < 9);
                let affordable = rate * ms as f64 / 2000.0;
                prop_assert!(batch.len() == 1 || tokens(&batch, &lengths) as f64 <= affordable);
                seen.extend(batch);
            }
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn without_a_known_rate_one_pair_goes_first() {
        let mut plan = BatchPlan::in_order(0..5);
        let first = plan.next_within(&[9; 5], Duration::from_secs(60), None, true, |_| true);
        assert_eq!(first.as_deref(), Some(&[0][..]));
    }

    #[test]
    fn a_pair_that_would_come_too_late_stays() {
        let mut plan = BatchPlan::in_order(0..2);
        let mut next = |ms, at_least_one| {
            plan.next_within(&[100, 100], Duration::from_millis(ms), Some(1000.0), at_least_one, |_| true)
        };
        assert_eq!(next(99, false), None);
        assert_eq!(next(101, false), Some(vec![0]));
        assert_eq!(next(1, true), Some(vec![1]));
        assert_eq!(next(1000, true), None);
    }

    #[test]
    fn a_pass_that_failed_comes_back_in_halves_and_a_single_pair_does_not() {
        let mut plan = BatchPlan::in_order(0..3);
        let batch = plan.next_batch().unwrap();
        assert!(plan.halve(batch));
        assert_eq!(plan.batches().collect::<Vec<_>>(), [&[0, 1][..], &[2][..]]);
        assert!(!plan.halve(vec![7]));
    }
}
