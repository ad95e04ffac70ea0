//! The normalizer part of a `tokenizer.json`, checked: `tokenizers` panics on a damaged normalization table.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper, Result};

/// Normalizers that change a character by itself and those that are joined to it.
const LOCAL: [&str; 10] = [
    "BertNormalizer",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Precompiled",
    "Strip",
    "StripAccents",
];

/// A normalizer whose normalization tables are sound.
pub(crate) struct CheckedNormalizer {
    normalizer: NormalizerWrapper,
    is_local: bool,
}

impl CheckedNormalizer {
    /// Whether it leaves a single space between two words alone, and each word the same without the other.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }
}

impl<'de> Deserialize<'de> for CheckedNormalizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        if !has_sound_tables(&json) {
            return Err(D::Error::custom("the normalizer's precompiled_charsmap is damaged"));
        }
        let is_local = is_local(&json);
        let normalizer = serde_json::from_value(json).map_err(D::Error::custom)?;
        Ok(Self { normalizer, is_local })
    }
}

impl Normalizer for CheckedNormalizer {
    fn normalize(&self, normalized: &mut NormalizedString) -> Result<()> {
        self.normalizer.normalize(normalized)
    }
}

fn is_local(json: &Value) -> bool {
    match json["type"].as_str() {
        Some("Sequence") => json["normalizers"].as_array().is_some_and(|steps| steps.iter().all(is_local)),
        // Of XLM-RoBERTa: more than one space.
        Some("Replace") => json["pattern"]["Regex"] == " {2,}",
        Some(kind) => LOCAL.contains(&kind),
        None => false,
    }
}

fn has_sound_tables(json: &Value) -> bool {
    match json {
        Value::Array(parts) => parts.iter().all(has_sound_tables),
        Value::Object(fields) => {
            let table = fields.get("precompiled_charsmap").map(|table| table.as_str().is_some_and(is_sound));
            let is_precompiled = fields.get("type").is_some_and(|kind| kind == "Precompiled");
            table.unwrap_or(!is_precompiled) && fields.values().all(has_sound_tables)
        }
        _ => true,
    }
}

/// SentencePiece's table in base64: the trie's length in bytes, a double array of 32-bit units, the
/// replacements.
fn is_sound(base64: &str) -> bool {
    base64::decode(base64).is_ok_and(|table| {
        let Some((length, rest)) = table.split_first_chunk() else { return false };
        let Some((trie, replacements)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            return false;
        };
        let (units, odd) = trie.as_chunks();
        let units: Vec<usize> = units.iter().map(|&unit| u32::from_le_bytes(unit) as usize).collect();
        odd.is_empty()
            && std::str::from_utf8(replacements)
                .is_ok_and(|replacements| every_lookup_ends(&units, replacements).is_some())
    })
}

/// Visits every node of the trie; `None` where a look-up would leave the trie or the replacements.
fn every_lookup_ends(units: &[usize], replacements: &str) -> Option<()> {
    let offset = |unit: usize| (unit >> 10) << ((unit & (1 << 9)) >> 6);
    let mut visited = vec![false; units.len()];
    let mut nodes = Vec::from([offset(*units.first()?)]);
    while let Some(node) = nodes.pop() {
        if std::mem::replace(visited.get_mut(node)?, true) {
            continue;
        }
        for byte in 1..=0xFF {
            let unit = *units.get(node ^ byte)?;
            // A leaf's unit has its highest bit set and is nobody's child.
            if unit & (1 << 31 | 0xFF) != byte {
                continue;
            }
            let child = node ^ byte ^ offset(unit);
            let has_leaf = (unit >> 8) & 1 == 1;
            if has_leaf && !replacements.is_char_boundary(units.get(child)? & !(1 << 31)) {
                return None;
            }
            nodes.push(child);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(units: &[u32], replacements: &str) -> Value {
        let mut bytes = Vec::from((4 * units.len() as u32).to_le_bytes());
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(replacements.as_bytes());
        serde_json::json!({"type": "Precompiled", "precompiled_charsmap": base64::encode(bytes)})
    }

    /// A root at 0 whose children are at 256 to 511, one of them "a" with its leaf at 512.
    fn units() -> Vec<u32> {
        let mut units = vec![0; 768];
        units[0] = 256 << 10;
        let (a, node) = (u32::from(b'a'), 256 ^ u32::from(b'a'));
        units[node as usize] = (node ^ 512) << 10 | 1 << 8 | a;
        units[512] = 1 << 31;
        units
    }

    #[test]
    fn takes_a_sound_table_and_uses_it() {
        let normalizer: CheckedNormalizer = serde_json::from_value(table(&units(), "b\0")).unwrap();
        let mut text = NormalizedString::from("xay");
        normalizer.normalize(&mut text).unwrap();
        assert_eq!(text.get(), "xby");
    }

    #[test]
    fn refuses_a_damaged_table() {
        let mut far_node = units();
        far_node[0] = 1 << 30;
        let mut far_replacement = units();
        far_replacement[512] |= 3;
        let mut far_leaf = units();
        far_leaf[256 ^ usize::from(b'a')] |= 1 << 30;
        let mut inside_a_character = units();
        inside_a_character[512] |= 1;
        let damaged = [
            table(&[], ""),
            table(&far_node, "b\0"),
            table(&far_replacement, "b\0"),
            table(&far_leaf, "b\0"),
            table(&inside_a_character, "é"),
            table(&units()[..500], "b\0"),
            serde_json::json!({"type": "Precompiled", "precompiled_charsmap": "?"}),
            serde_json::json!({"type": "Precompiled", "precompiled_charsmap": ""}),
            serde_json::json!({"type": "Precompiled"}),
        ];
        for json in damaged {
            let nested = serde_json::json!({"type": "Sequence", "normalizers": [json]});
            for json in [json, nested] {
                assert!(serde_json::from_value::<CheckedNormalizer>(json.clone()).is_err(), "{json:.200}");
            }
        }
    }
}
