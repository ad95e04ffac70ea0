//! Errors as JavaScript sees them: an `Error` with `code` and `hint`.

use std::error::Error as _;

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// What becomes an `Error` when it leaves this module.
pub struct JsError {
    code: &'static str,
    message: String,
}

impl JsError {
    /// An argument that the caller must change.
    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self { code: "invalid_input", message: message.into() }
    }

    /// The browser does not give what was asked of it.
    #[cfg(feature = "threads")]
    pub(crate) fn device_unavailable(message: impl Into<String>) -> Self {
        Self { code: "device_unavailable", message: message.into() }
    }
}

impl From<crossrank::Error> for JsError {
    fn from(error: crossrank::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(" (because: {error})"));
            cause = error.source();
        }
        Self { code: error.code(), message }
    }
}

impl From<JsError> for JsValue {
    fn from(JsError { code, message }: JsError) -> Self {
        // What was wrong and what to do next are two halves of one sentence.
        let (problem, hint) = message.split_once("; ").unwrap_or((&message, ""));
        let error = js_sys::Error::new(problem);
        for (key, value) in [("code", code), ("hint", hint)] {
            // Setting a property of a new object does not fail.
            let _ = Reflect::set(&error, &key.into(), &value.into());
        }
        error.into()
    }
}
