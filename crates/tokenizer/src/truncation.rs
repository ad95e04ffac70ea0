//! Hugging Face's rules for pairs that are too long.

/// Which side of a pair gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncation {
    /// The longer side, then both evenly: Hugging Face's `longest_first`.
    #[default]
    LongestFirst,
    /// The document alone: Hugging Face's `only_second`, as FlagEmbedding uses it.
    OnlySecond,
}

/// How a pair is fitted into a context.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Tokens of the pair at most, special tokens included.
    pub max_length: usize,
    /// Which side gives way.
    pub truncation: Truncation,
    /// Tokens of the query at most, before anything else is looked at.
    pub max_query_tokens: Option<usize>,
}

/// The tokens of query and document that are kept where `room` tokens are free for both.
///
/// `OnlySecond` cuts the query only where it fills the room by itself, which Hugging Face refuses.
pub fn truncated_lengths(
    query: usize,
    document: usize,
    room: usize,
    truncation: Truncation,
) -> (usize, usize) {
    if query + document <= room {
        return (query, document);
    }
    match truncation {
        Truncation::OnlySecond => (query.min(room), room.saturating_sub(query)),
        Truncation::LongestFirst => {
            let shorter = query.min(document);
            let (short, long) =
                if 2 * shorter <= room { (shorter, room - shorter) } else { (room / 2, room / 2 + room % 2) };
            if query <= document { (short, long) } else { (long, short) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fills_the_room_exactly_and_lengthens_nothing(
            query in 0usize..700, document in 0usize..9000, room in 2usize..600,
        ) {
            for truncation in [Truncation::LongestFirst, Truncation::OnlySecond] {
                let (kept_query, kept_document) = truncated_lengths(query, document, room, truncation);
                prop_assert!(kept_query <= query && kept_document <= document);
                prop_assert_eq!(kept_query + kept_document, room.min(query + document));
            }
        }
    }

    #[test]
    fn the_longer_side_gives_way_first_and_an_odd_token_goes_to_it() {
        assert_eq!(truncated_lengths(10, 100, 50, Truncation::LongestFirst), (10, 40));
        assert_eq!(truncated_lengths(100, 10, 50, Truncation::LongestFirst), (40, 10));
        assert_eq!(truncated_lengths(60, 100, 51, Truncation::LongestFirst), (25, 26));
        assert_eq!(truncated_lengths(100, 60, 51, Truncation::LongestFirst), (26, 25));
    }

    #[test]
    fn only_second_keeps_the_query() {
        assert_eq!(truncated_lengths(40, 100, 50, Truncation::OnlySecond), (40, 10));
        assert_eq!(truncated_lengths(60, 100, 50, Truncation::OnlySecond), (50, 0));
    }
}
