use super::*;

fn parse(text: &str) -> Result<Vec<Document>, InputError> {
    parse_documents("in", text.as_bytes())
}

fn message(bytes: &[u8]) -> String {
    parse_documents("in", bytes).unwrap_err().to_string()
}

#[test]
fn an_array_jsonl_and_plain_lines_give_the_same_documents() {
    let expected = [Document::from("first"), Document::from("second")];
    for text in [
        r#"["first", "second"]"#,
        "\"first\"\n\"second\"\n",
        "first\nsecond",
        "\u{feff}first\r\n\r\nsecond\r\n",
    ] {
        assert_eq!(parse(text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn objects_keep_their_key_order() {
    let documents = parse("{\"b\":1,\"a\":2}\n").unwrap();
    assert_eq!(serde_json::to_string(&documents).unwrap(), r#"[{"b":1,"a":2}]"#);
}

#[test]
fn text_that_only_looks_like_json_is_text() {
    assert_eq!(parse("[1] A footnote\nplain \"quoted\" text\n\"Yes\", she said\n").unwrap().len(), 3);
}

#[test]
fn a_broken_line_is_named_by_its_number() {
    assert!(message(b"{\"a\":1}\n\n{\"a\":\n").starts_with("line 3 of in is not JSON"));
    assert!(message(b"not json\n{\"a\":1}\n").starts_with("line 1 of in is not JSON"));
    assert!(message(b"\"yes\"\nno\n").starts_with("line 2 of in is not JSON"));
}

#[test]
fn a_broken_array_is_not_taken_for_text() {
    assert!(message(b"[\"a\", \"b\"").starts_with("in begins as a JSON array"));
}

#[test]
fn documents_of_other_types_are_refused_with_their_place() {
    assert!(message(b"[\"a\", 7]").starts_with("element 1 of in is a number"));
    assert!(message(b"{\"a\":1}\nnull").starts_with("line 2 of in is null"));
}

#[test]
fn invalid_utf8_is_named_by_line_and_byte() {
    assert!(message(b"ok\nb\xffd").starts_with("in is not UTF-8 at line 2, byte 4 of the file"));
}

fn pairs(text: &'static [u8]) -> PairReader {
    PairReader { name: "in".to_owned(), reader: Box::new(text), line: 0, byte: 0 }
}

#[test]
fn pairs_are_objects_or_arrays_and_may_be_empty() {
    let text = b"{\"query\":\"q\",\"document\":\"d\",\"label\":1}\n\n[\"q\",\"\"]\n";
    let expected = [("q".to_owned(), "d".to_owned()), ("q".to_owned(), String::new())];
    assert_eq!(pairs(text).next_chunk().unwrap(), expected);
}

#[test]
fn a_bad_pair_is_named_by_its_line() {
    let message = |text| pairs(text).next_chunk().unwrap_err().to_string();
    assert!(message(b"[\"q\",\"d\"]\n[\"q\"]\n").starts_with("line 2 of in is another array"));
    assert!(message(b"{\"query\":\"q\"}").starts_with("line 1 of in is another object"));
    assert!(message(b"[\"q\",\"d\"]\n[\"q\",\"\xff\"]").contains("line 2, byte 16"));
}

#[test]
fn a_chunk_is_bounded() {
    let text: &'static [u8] = "[\"q\",\"d\"]\n".repeat(CHUNK_PAIRS + 3).leak().as_bytes();
    let mut reader = pairs(text);
    let sizes: Vec<usize> = (0..3).map(|_| reader.next_chunk().unwrap().len()).collect();
    assert_eq!(sizes, [CHUNK_PAIRS, 3, 0]);
}
