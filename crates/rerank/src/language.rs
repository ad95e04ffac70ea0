//! Does the text look like what the model was trained on?

use whatlang::{Lang, detect};

/// The languages of a model's training data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Languages {
    /// English only, as MS MARCO.
    English,
    /// Many; nothing to warn about.
    #[default]
    Multilingual,
}

/// Bytes of the text that are looked at.
const SAMPLE_BYTES: usize = 4096;
/// Detection of shorter text is guesswork.
const MIN_LETTERS: usize = 40;

/// What `texts` look like, if it is not what the model knows.
pub(crate) fn mismatch<'a>(languages: Languages, texts: impl Iterator<Item = &'a str>) -> Option<String> {
    if languages == Languages::Multilingual {
        return None;
    }
    let mut sample = String::new();
    for text in texts {
        let room = SAMPLE_BYTES.saturating_sub(sample.len());
        sample.push_str(&text[..text.floor_char_boundary(room.min(text.len()).min(512))]);
        sample.push('\n');
        if sample.len() >= SAMPLE_BYTES {
            break;
        }
    }
    let letters = sample.chars().filter(|letter| letter.is_alphabetic()).count();
    let foreign = sample.chars().filter(|letter| letter.is_alphabetic() && !is_latin(*letter)).count();
    let info = detect(&sample)?;
    // Another script shows in a few letters already; a language of the same script does not.
    if foreign * 2 > letters {
        return Some(format!("{:?} script", info.script()));
    }
    (letters >= MIN_LETTERS && info.lang() != Lang::Eng && info.is_reliable())
        .then(|| info.lang().eng_name().to_owned())
}

/// ASCII, Latin-1 and the Latin extensions.
fn is_latin(letter: char) -> bool {
    matches!(letter, '\0'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str]) -> Option<String> {
        mismatch(Languages::English, texts.iter().copied())
    }

    #[test]
    fn english_is_what_an_english_model_knows() {
        let text =
            "How many people live in Berlin? The city had three and a half million inhabitants in 2016.";
        assert_eq!(found(&[text]), None);
        assert_eq!(found(&["def add(a, b): return a + b", "fn main() {}"]), None);
        assert_eq!(found(&["Berlin"]), None);
        assert_eq!(found(&[""]), None);
    }

    #[test]
    fn names_the_language_or_the_script() {
        let spanish = "¿Cuántas personas viven en Berlín? La ciudad tenía unos tres millones y medio de habitantes en 2016.";
        assert_eq!(found(&[spanish]).as_deref(), Some("Spanish"));
        let german = "Wie viele Menschen leben in Berlin? Die Stadt hatte im Jahr 2016 rund dreieinhalb Millionen Einwohner.";
        assert_eq!(found(&[german]).as_deref(), Some("German"));
        assert_eq!(found(&["柏林有多少人口？"]).as_deref(), Some("Mandarin script"));
        assert_eq!(found(&["Сколько людей живёт в Берлине?"]).as_deref(), Some("Cyrillic script"));
    }

    #[test]
    fn a_multilingual_model_knows_them_all() {
        assert_eq!(mismatch(Languages::Multilingual, ["柏林有多少人口？"].into_iter()), None);
    }
}
