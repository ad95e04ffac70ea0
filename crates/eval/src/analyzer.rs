//! From text to the terms that BM25 counts.

use std::fmt;

use frostem::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;
use whatlang::Lang;

use crate::EvalError;

/// Bytes of text that tell a language.
const SAMPLE_BYTES: usize = 1 << 16;

/// The stop words of Lucene's EnglishAnalyzer, so that figures stand beside Anserini's. In other languages the
/// inverse document frequency alone keeps frequent words down.
const ENGLISH_STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no",
    "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to",
    "was", "will", "with",
];

/// Words in lower case, stemmed by Snowball's rules for the language; text that is written without spaces in pairs
/// of neighbouring characters, as Lucene's CJKAnalyzer has it.
#[derive(Clone, Copy)]
pub struct Analyzer {
    language: &'static str,
    stemmer: Option<Stemmer>,
    stop_words: &'static [&'static str],
}

impl Analyzer {
    /// The analyzer of a language by its ISO 639 code.
    ///
    /// # Errors
    /// [`EvalError::Language`].
    pub fn new(code: &str) -> Result<Self, EvalError> {
        let two_letters = [("zh", Lang::Cmn), ("ja", Lang::Jpn), ("ko", Lang::Kor), ("th", Lang::Tha)];
        let known = two_letters.iter().find(|(letters, _)| *letters == code);
        match (Algorithm::from_name(code), known.map(|known| known.1).or_else(|| Lang::from_code(code))) {
            (Ok(algorithm), _) => Ok(Self::stemmed(algorithm)),
            (_, Some(language)) => Ok(Self::of(language)),
            _ => Err(EvalError::Language { found: code.to_owned() }),
        }
    }

    /// The analyzer for what `texts` look like.
    pub fn detect<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut sample = String::new();
        for text in texts {
            let room = SAMPLE_BYTES.saturating_sub(sample.len()).min(text.len());
            sample.push_str(&text[..text.floor_char_boundary(room)]);
            sample.push('\n');
        }
        Self::of(whatlang::detect_lang(&sample).unwrap_or(Lang::Eng))
    }

    fn of(language: Lang) -> Self {
        match Algorithm::from_name(language.code()) {
            Ok(algorithm) => Self::stemmed(algorithm),
            Err(_) => Self { language: language.eng_name(), stemmer: None, stop_words: &[] },
        }
    }

    fn stemmed(algorithm: Algorithm) -> Self {
        let language = algorithm.name();
        if algorithm == Algorithm::English {
            // Lucene's EnglishAnalyzer stems with the first of Porter's algorithms.
            let stemmer = Some(Stemmer::new(Algorithm::Porter));
            return Self { language, stemmer, stop_words: &ENGLISH_STOP_WORDS };
        }
        Self { language, stemmer: Some(Stemmer::new(algorithm)), stop_words: &[] }
    }

    /// Its language, in English.
    pub fn language(&self) -> &'static str {
        self.language
    }

    /// The terms of `text`, in order.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let text = text.to_lowercase();
        let words: Vec<(usize, &str)> = text.unicode_word_indices().collect();
        let mut terms = Vec::with_capacity(words.len());
        let mut joined = false;
        for (place, &(start, word)) in words.iter().enumerate() {
            if !stands_alone(word) {
                terms.extend(self.word(word));
                joined = false;
                continue;
            }
            let next =
                words.get(place + 1).filter(|next| next.0 == start + word.len() && stands_alone(next.1));
            match next {
                Some((_, next)) => terms.push(format!("{word}{next}")),
                None if joined => {}
                None => terms.push(word.to_owned()),
            }
            joined = next.is_some();
        }
        terms
    }

    fn word(&self, word: &str) -> Option<String> {
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        if self.stop_words.contains(&word) {
            return None;
        }
        Some(self.stemmer.map_or_else(|| word.to_owned(), |stemmer| stemmer.stem(word).into_owned()))
    }
}

/// A character of a script that puts no spaces between words: Han, Hiragana, Thai, Lao, Khmer, Burmese.
fn stands_alone(word: &str) -> bool {
    let spaceless = |letter: char| {
        matches!(letter, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
            | '\u{3041}'..='\u{309F}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
    };
    let mut letters = word.chars();
    letters.next().is_some_and(spaceless) && letters.all(|letter| !letter.is_alphabetic())
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Analyzer({})", self.language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(code: &str, text: &str) -> Vec<String> {
        Analyzer::new(code).unwrap().terms(text)
    }

    #[test]
    fn english_words_lose_endings_and_stop_words() {
        assert_eq!(terms("en", "The dog's RUNNING is at 3.5 km"), ["dog", "run", "3.5", "km"]);
    }

    #[test]
    fn every_language_has_its_own_stems() {
        assert_eq!(terms("de", "Häuser"), terms("de", "Haus"));
        assert_eq!(terms("es", "canciones"), terms("es", "canción"));
        assert_eq!(terms("ru", "городами"), terms("ru", "города"));
    }

    #[test]
    fn text_without_spaces_becomes_pairs_of_characters() {
        assert_eq!(terms("zh", "黑豹队 ok 分"), ["黑豹", "豹队", "ok", "分"]);
        assert_eq!(terms("ja", "東京タワー"), ["東京", "タワー"]);
    }

    #[test]
    fn the_language_is_read_from_the_text() {
        let spanish =
            ["¿Cuántas personas viven en Berlín? La ciudad tenía unos tres millones de habitantes."];
        assert_eq!(Analyzer::detect(spanish.into_iter()).language(), "spanish");
        assert_eq!(Analyzer::detect(["黑豹队的防守丢了多少分？"].into_iter()).language(), "Mandarin");
        assert!(matches!(Analyzer::new("english!"), Err(EvalError::Language { .. })));
    }
}
