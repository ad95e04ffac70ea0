//! How a document longer than the model's context is split.

use std::{iter, ops::Range};

/// A published rule for splitting long documents; the best window's score is the document's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRule {
    /// Cohere's: windows side by side, each as long as the context allows (Rerank best practices).
    Cohere,
    /// Jina's: windows overlap by 80 tokens or a quarter, the last one ends where the document ends
    /// (`rerank` in the model repository of jina-reranker-v2-base-multilingual).
    Jina,
    /// One window; the rest of the document is not read.
    None,
}

/// Jina's `overlap_tokens`.
const JINA_OVERLAP: usize = 80;

/// The windows over `document_tokens` tokens where `room` tokens fit, in order; one at least, which is
/// empty for an empty document. A room of 0 is taken as 1: refuse it where the limit is set.
pub fn windows(document_tokens: usize, room: usize, rule: WindowRule) -> Vec<Range<usize>> {
    let room = room.max(1);
    if document_tokens <= room || rule == WindowRule::None {
        return iter::once(0..document_tokens.min(room)).collect();
    }
    let overlap = if rule == WindowRule::Jina { JINA_OVERLAP.min(room / 4) } else { 0 };
    let mut windows = Vec::new();
    let mut start = 0;
    while start + room < document_tokens {
        windows.push(start..start + room);
        start += room - overlap;
    }
    windows.push(match rule {
        WindowRule::Jina => document_tokens - room..document_tokens,
        WindowRule::Cohere | WindowRule::None => start..document_tokens,
    });
    windows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_is_read_and_no_window_is_too_long(tokens in 0usize..5000, room in 1usize..600) {
            for rule in [WindowRule::Cohere, WindowRule::Jina] {
                let windows = windows(tokens, room, rule);
                let mut reached = 0;
                for window in &windows {
                    prop_assert!(window.start <= reached && window.len() <= room);
                    prop_assert!(window.end > reached || tokens == 0);
                    reached = window.end;
                }
                prop_assert_eq!(reached, tokens);
            }
        }

        #[test]
        fn cohere_windows_share_nothing(tokens in 1usize..5000, room in 1usize..600) {
            let total: usize = windows(tokens, room, WindowRule::Cohere).iter().map(Range::len).sum();
            prop_assert_eq!(total, tokens);
        }

        #[test]
        fn jina_windows_are_full_overlap_and_end_with_the_document(tokens in 601usize..5000, room in 4usize..600) {
            let windows = windows(tokens, room, WindowRule::Jina);
            prop_assert!(windows.iter().all(|window| window.len() == room));
            prop_assert!(windows.windows(2).all(|pair| pair[0].end - pair[1].start >= JINA_OVERLAP.min(room / 4)));
        }
    }

    #[test]
    fn one_window_is_enough_for_what_fits() {
        let one = |window| Vec::from_iter([window]);
        for rule in [WindowRule::Cohere, WindowRule::Jina, WindowRule::None] {
            assert_eq!(windows(100, 100, rule), one(0..100));
            assert_eq!(windows(0, 100, rule), one(0..0));
        }
        assert_eq!(windows(101, 100, WindowRule::None), one(0..100));
    }

    #[test]
    fn the_rules_differ_as_published() {
        assert_eq!(windows(250, 100, WindowRule::Cohere), [0..100, 100..200, 200..250]);
        assert_eq!(windows(250, 100, WindowRule::Jina), [0..100, 75..175, 150..250]);
        assert_eq!(windows(260, 100, WindowRule::Jina), [0..100, 75..175, 150..250, 160..260]);
    }
}
