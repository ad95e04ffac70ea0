//! Which pairs go through the model together: those of all requests that wait, in turns, so that a long
//! request does not keep a short one waiting. The plan is data; the loop over it is in `run.rs`.

use std::collections::VecDeque;

/// Tokens that a request is given in its turn.
const TURN_TOKENS: usize = 512;

/// What one request has waiting.
#[derive(Debug)]
pub(crate) struct Lane {
    /// (pair, tokens), in the order in which they are scored.
    waiting: VecDeque<(usize, usize)>,
    tokens: usize,
    /// Tokens that it may still take before the turn is another's.
    credit: usize,
    /// Tokens of the longest pass that the request's deadline allows.
    pub(crate) longest_pass: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), tokens: 0, credit: TURN_TOKENS, longest_pass: usize::MAX }
    }
}

impl Lane {
    /// Appends a pair.
    pub(crate) fn push(&mut self, pair: usize, tokens: usize) {
        self.waiting.push_back((pair, tokens));
        self.tokens += tokens;
    }

    /// Tokens of the next pair.
    pub(crate) fn next_tokens(&self) -> Option<usize> {
        self.waiting.front().map(|(_, tokens)| *tokens)
    }

    fn pop(&mut self) -> Option<usize> {
        let (pair, tokens) = self.waiting.pop_front()?;
        self.tokens -= tokens;
        self.credit -= tokens;
        Some(pair)
    }
}

/// The next pass, as (lane, pair); empty when nothing waits.
///
/// Lanes take turns by deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): each gets an equal share
/// of tokens, whatever the length of its pairs. Passes over what waits are about equally large, of `target_tokens`
/// and no more than twice that. Pairs lie end to end in a pass, so no token slot is padding.
pub(crate) fn next_pass(
    lanes: &mut [&mut Lane],
    turn: &mut usize,
    target_tokens: usize,
) -> Vec<(usize, usize)> {
    let waiting: usize = lanes.iter().map(|lane| lane.tokens).sum();
    let aim = waiting / (waiting / target_tokens).max(1);
    let (mut pass, mut planned, mut longest_pass) = (Vec::new(), 0, usize::MAX);
    while planned < aim {
        *turn %= lanes.len();
        let lane = &mut *lanes[*turn];
        match lane.next_tokens() {
            Some(tokens) if tokens <= lane.credit => {
                longest_pass = longest_pass.min(lane.longest_pass);
                if planned > 0 && planned + tokens > longest_pass {
                    break;
                }
                planned += tokens;
                pass.extend(lane.pop().map(|pair| (*turn, pair)));
            }
            next => {
                lane.credit = TURN_TOKENS + if next.is_some() { lane.credit } else { 0 };
                *turn += 1;
            }
        }
    }
    pass
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET_TOKENS: usize = 2048;

    fn lane(lengths: &[usize]) -> Lane {
        let mut lane = Lane::default();
        lengths.iter().enumerate().for_each(|(pair, &tokens)| lane.push(pair, tokens));
        lane
    }

    fn passes(mut lanes: Vec<Lane>) -> Vec<Vec<(usize, usize)>> {
        let (mut passes, mut turn) = (Vec::new(), 0);
        loop {
            let pass = next_pass(&mut lanes.iter_mut().collect::<Vec<_>>(), &mut turn, TARGET_TOKENS);
            if pass.is_empty() {
                return passes;
            }
            passes.push(pass);
        }
    }

    fn tokens(pass: &[(usize, usize)], requests: &[Vec<usize>]) -> usize {
        pass.iter().map(|&(lane, pair)| requests[lane][pair]).sum()
    }

    prop_compose! {
        fn requests()(lengths in prop::collection::vec(prop::collection::vec(1usize..1500, 1..60), 1..12))
            -> Vec<Vec<usize>> { lengths }
    }

    proptest! {
        #[test]
        fn every_pair_of_every_request_is_planned_once(requests in requests()) {
            let mut seen = passes(requests.iter().map(|lengths| lane(lengths)).collect()).concat();
            seen.sort_unstable();
            let pairs = |(lane, lengths): (usize, &Vec<usize>)| {
                (0..lengths.len()).map(move |pair| (lane, pair)).collect::<Vec<_>>()
            };
            prop_assert_eq!(seen, requests.iter().enumerate().flat_map(pairs).collect::<Vec<_>>());
        }

        #[test]
        fn a_pass_has_2048_tokens_where_that_many_wait(requests in requests()) {
            let mut waiting: usize = requests.iter().flatten().sum();
            for pass in passes(requests.iter().map(|lengths| lane(lengths)).collect()) {
                let found = tokens(&pass, &requests);
                prop_assert!(found >= waiting.min(TARGET_TOKENS), "{found} of {waiting}");
                // Twice the target where the rest would be less than one, and the pair that reaches the aim.
                prop_assert!(found < 2 * TARGET_TOKENS + 1500, "{found}");
                waiting -= found;
            }
        }

        #[test]
        fn no_request_gets_ahead_of_another_by_more_than_a_turn_and_a_pair(requests in requests()) {
            let mut got = vec![0; requests.len()];
            for pass in passes(requests.iter().map(|lengths| lane(lengths)).collect()) {
                pass.iter().for_each(|&(lane, pair)| got[lane] += requests[lane][pair]);
                let unfinished =
                    |lane: &usize| got[*lane] < requests[*lane].iter().sum::<usize>();
                let least = (0..requests.len()).filter(unfinished).map(|lane| got[lane]).min();
                for (lane, got) in got.iter().enumerate() {
                    let bound = least.unwrap_or(usize::MAX).saturating_add(2 * TURN_TOKENS + 1500);
                    prop_assert!(*got <= bound, "request {lane} got {got}, another {least:?}");
                }
            }
        }
    }

    #[test]
    fn a_short_request_behind_a_long_one_is_in_the_next_pass() {
        let (mut long, mut short) = (lane(&[500; 10_000]), lane(&[60; 5]));
        let mut turn = 0;
        next_pass(&mut [&mut long], &mut turn, TARGET_TOKENS);
        let pass = next_pass(&mut [&mut long, &mut short], &mut turn, TARGET_TOKENS);
        assert_eq!(pass.iter().filter(|(lane, _)| *lane == 1).count(), 5, "{pass:?}");
    }

    #[test]
    fn a_request_that_had_nothing_waiting_saves_no_turn_for_later() {
        let (mut late, mut other, mut turn) = (lane(&[]), lane(&[64; 500]), 0);
        next_pass(&mut [&mut late, &mut other], &mut turn, TARGET_TOKENS);
        (0..100).for_each(|pair| late.push(pair, 64));
        let pass = next_pass(&mut [&mut late, &mut other], &mut turn, TARGET_TOKENS);
        // A share each of the 2,048 tokens, however long one of them had been empty.
        assert_eq!(pass.iter().filter(|(lane, _)| *lane == 0).count(), TARGET_TOKENS / 64 / 2, "{pass:?}");
    }

    #[test]
    fn a_pass_is_no_longer_than_the_deadlines_of_those_in_it_allow() {
        let (mut hurried, mut other) = (lane(&[100; 9]), lane(&[100; 9]));
        hurried.longest_pass = 250;
        let pass = next_pass(&mut [&mut hurried, &mut other], &mut 0, TARGET_TOKENS);
        assert_eq!(pass, [(0, 0), (0, 1)]);
    }

    #[test]
    fn one_pair_goes_however_little_time_there_is() {
        let mut late = lane(&[100, 100]);
        late.longest_pass = 0;
        assert_eq!(next_pass(&mut [&mut late], &mut 0, TARGET_TOKENS), [(0, 0)]);
    }
}
