//! Where a long text can be cut so that the tokens of its parts are those of the whole.

use tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;

use crate::pair::Tokenizer;

/// Bytes of a part: many beside what starting on one costs, few where only the beginning of a text is read.
const PART_BYTES: usize = 8 << 10;

/// The bytes that parts of a text have at least; a text has one part where `tokenizer` may look across spaces.
pub(crate) fn part_bytes(tokenizer: &Tokenizer) -> usize {
    let is_local = tokenizer.get_normalizer().is_none_or(|normalizer| normalizer.is_local())
        && tokenizer.get_pre_tokenizer().is_some_and(splits_at_spaces)
        && tokenizer.get_added_vocabulary().get_vocab().keys().all(|token| !token.contains(' '));
    if is_local { PART_BYTES } else { usize::MAX }
}

/// Whether a space always ends a word, and what follows gets the same tokens as at the beginning of a text.
fn splits_at_spaces(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    match pre_tokenizer {
        PreTokenizerWrapper::BertPreTokenizer(_) | PreTokenizerWrapper::WhitespaceSplit(_) => true,
        PreTokenizerWrapper::Metaspace(mark) => mark.split && mark.prepend_scheme == PrependScheme::Always,
        PreTokenizerWrapper::Sequence(steps) => {
            !steps.as_ref().is_empty() && steps.as_ref().iter().all(splits_at_spaces)
        }
        _ => false,
    }
}

/// The text in parts of at least so many bytes but for the last; one, if it is empty.
pub(crate) fn parts(text: &str, bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(place) = place_to_cut(text, bytes) else { return Some(text) };
        let (part, behind) = text.split_at(place);
        rest = Some(behind);
        Some(part)
    })
}

/// The first place behind so many bytes where one space stands between letters or digits of ASCII: no normalizer
/// joins these.
fn place_to_cut(text: &str, bytes: usize) -> Option<usize> {
    let is_between = |around: &[u8]| matches!(around, [left, b' ', right] if left.is_ascii_alphanumeric() && right.is_ascii_alphanumeric());
    Some(bytes + 1 + text.as_bytes().get(bytes..)?.windows(3).position(is_between)?)
}
