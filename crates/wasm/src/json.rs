//! JavaScript values as JSON: what an HTTP request would have carried, in the same key order.

use js_sys::JSON;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::JsError;

/// Reads `value` as JSON.
///
/// # Errors
/// `invalid_input`, with what JavaScript or serde says.
pub(crate) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Result<T, JsError> {
    let text = JSON::stringify(value).map_err(|error| {
        let message = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
        let message = message.unwrap_or_else(|| "a value has no JSON form".to_owned());
        JsError::invalid_input(format!("{message}; pass strings, numbers, lists and plain objects"))
    })?;
    // Undefined for undefined itself.
    let text = text.as_string().unwrap_or_else(|| "null".to_owned());
    serde_json::from_str(&with_whole_characters(text))
        .map_err(|error| JsError::invalid_input(format!("{error}; see the types of this package")))
}

/// `value` as a JavaScript object.
pub(crate) fn to_js(value: &Value) -> JsValue {
    // What serde_json writes is JSON.
    JSON::parse(&value.to_string()).unwrap_or(JsValue::UNDEFINED)
}

/// Replaces halves of characters, which only JavaScript strings can hold, by U+FFFD, as `TextEncoder` does.
///
/// `JSON.stringify` writes them, and nothing else, as escapes from `\ud800` to `\udfff`.
fn with_whole_characters(mut json: String) -> String {
    let mut from = 0;
    while let Some(escape) = json[from..].find('\\').map(|place| from + place) {
        if matches!(json.as_bytes().get(escape + 1..escape + 4), Some([b'u', b'd', b'8'..=b'f'])) {
            json.replace_range(escape + 2..escape + 6, "fffd");
        }
        from = escape + 2;
    }
    json
}
