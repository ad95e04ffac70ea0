//! Documents, and the text that the model reads of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Error;

/// A document as the caller has it: text, or an object with fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string or an object")]
pub enum Document {
    /// Plain text.
    Text(String),
    /// A record; the model reads it as YAML in its own key order.
    Object(Map<String, Value>),
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Document::Text(text.to_owned())
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Document::Text(text)
    }
}

/// The BEIR and TREC name of a document's identifier, which says nothing about its content.
const ID_FIELD: &str = "_id";

impl Document {
    /// The document's identifier, if it has one.
    pub fn id(&self) -> Option<String> {
        match self {
            Document::Object(fields) => match fields.get(ID_FIELD)? {
                Value::String(id) => Some(id.clone()),
                other => Some(other.to_string()),
            },
            Document::Text(_) => None,
        }
    }

    /// What the model reads: text as it is, an object as YAML of `rank_fields` in their order, of all
    /// its fields but `_id` without them. A single text field is read without its name.
    ///
    /// YAML in key order is Cohere's advice for structured documents (Rerank best practices). Names become
    /// words, `includedUsers` and `included_users` both `included users`: models have learnt from prose.
    pub fn text(&self, index: usize, rank_fields: Option<&[String]>) -> Result<String, Error> {
        let fields = match self {
            Document::Text(text) => return Ok(text.clone()),
            Document::Object(fields) => fields,
        };
        let mut chosen: Vec<(&String, &Value)> = match rank_fields {
            Some(names) => names.iter().filter_map(|name| fields.get_key_value(name)).collect(),
            None => fields.iter().filter(|(name, _)| *name != ID_FIELD).collect(),
        };
        if let (true, Some(names)) = (chosen.is_empty(), rank_fields) {
            return Err(Error::RankFields { index, fields: names.join(", ") });
        }
        chosen.retain(|(_, value)| !value.is_null());
        match chosen.as_slice() {
            [] => Ok(String::new()),
            [(_, Value::String(text))] => Ok(text.clone()),
            _ => {
                let record = named_in_words(chosen);
                serde_norway::to_string(&record).map_err(|source| Error::Yaml { index, source })
            }
        }
    }
}

fn named_in_words<'a>(fields: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Map<String, Value> {
    let mut named = Map::new();
    for (name, value) in fields {
        let mut name = words(name);
        // Two names of the same words stay apart.
        while named.contains_key(&name) {
            name.push('_');
        }
        named.insert(name, with_names_in_words(value));
    }
    named
}

fn with_names_in_words(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(named_in_words(fields)),
        Value::Array(items) => items.iter().map(with_names_in_words).collect(),
        other => other.clone(),
    }
}

/// A field's name as words: a word begins behind an underscore, and at a capital behind two small letters,
/// so that `pH` and `iPhone` stay whole.
fn words(name: &str) -> String {
    let letters: Vec<char> = name.trim_matches('_').chars().collect();
    let is_small = |place: usize| letters.get(place).is_some_and(|letter| letter.is_lowercase());
    let mut words = String::with_capacity(name.len() + 8);
    for (place, &letter) in letters.iter().enumerate() {
        if letter == '_' {
            words.push(' ');
        } else if letter.is_uppercase() && place > 1 && is_small(place - 1) && is_small(place - 2) {
            words.push(' ');
            // `userID` becomes `user ID`.
            if is_small(place + 1) { words.extend(letter.to_lowercase()) } else { words.push(letter) }
        } else {
            words.push(letter);
        }
    }
    if words.is_empty() { name.to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str, rank_fields: Option<&[&str]>) -> Result<String, Error> {
        let document: Document = serde_json::from_str(json).unwrap();
        let names = rank_fields.map(|names| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        document.text(7, names.as_deref())
    }

    #[test]
    fn text_is_read_as_it_is() {
        assert_eq!(text(r#"" two  spaces\n""#, None).unwrap(), " two  spaces\n");
    }

    #[test]
    fn an_object_is_yaml_in_its_own_key_order_without_its_id() {
        let record =
            r#"{"_id":"d7","title":"Pump","specs":{"power_w":90,"quiet":true},"tags":["a","b"],"none":null}"#;
        let yaml = "title: Pump\nspecs:\n  power w: 90\n  quiet: true\ntags:\n- a\n- b\n";
        assert_eq!(text(record, None).unwrap(), yaml);
    }

    #[test]
    fn names_of_fields_become_words() {
        let named = [
            "included_users",
            "includedUsers",
            "userID",
            "areaKm2",
            "pH",
            "iPhone",
            "__typename",
            "_",
            "Größe",
        ];
        let read = named.map(words);
        assert_eq!(
            read,
            [
                "included users",
                "included users",
                "user ID",
                "area km2",
                "pH",
                "iPhone",
                "typename",
                "_",
                "Größe"
            ]
        );
    }

    #[test]
    fn names_of_the_same_words_lose_nothing() {
        let record = r#"{"a_b":1,"a b":2,"rows":[{"maxTemp":3,"max_temp":4}]}"#;
        assert_eq!(text(record, None).unwrap(), "a b: 1\na b_: 2\nrows:\n- max temp: 3\n  max temp_: 4\n");
    }

    #[test]
    fn rank_fields_choose_and_order() {
        let record = r#"{"a":"first","b":"second","c":3}"#;
        assert_eq!(text(record, Some(&["c", "a", "absent"])).unwrap(), "c: 3\na: first\n");
        assert_eq!(text(record, Some(&["b"])).unwrap(), "second");
    }

    #[test]
    fn a_document_without_any_rank_field_is_named() {
        let error = text(r#"{"a":1}"#, Some(&["title", "text"])).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("document 7")), ("invalid_input", true));
        assert!(error.to_string().contains("title, text"));
    }

    #[test]
    fn a_table_stays_readable() {
        let record = r#"{"rows":[{"city":"Berlin","people":3520031},{"city":"Bonn","people":331885}]}"#;
        assert_eq!(
            text(record, None).unwrap(),
            "rows:\n- city: Berlin\n  people: 3520031\n- city: Bonn\n  people: 331885\n"
        );
    }

    #[test]
    fn identifiers_come_from_the_id_field() {
        let id = |json: &str| serde_json::from_str::<Document>(json).unwrap().id();
        assert_eq!(id(r#"{"_id":"d1","text":"x"}"#).as_deref(), Some("d1"));
        assert_eq!(id(r#"{"_id":12}"#).as_deref(), Some("12"));
        assert_eq!(id(r#""plain""#), None);
    }
}
