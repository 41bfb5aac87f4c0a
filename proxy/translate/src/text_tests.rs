use super::*;

fn chars(json: &str) -> u64 {
    tally(json).chars
}

#[test]
fn counts_characters_not_bytes_and_escapes_as_one() {
    assert_eq!(chars(r#""héllo""#), 5);
    assert_eq!(chars(r#""a\n\"\\b""#), 5);
    assert_eq!(chars(r#""\u00e9\\u0""#), 4);
    assert_eq!(chars(r#""""#), 0);
}

#[test]
fn counts_text_members_and_passes_over_the_rest() {
    let messages = r#"[{"role":"user","content":[{"type":"text","text":"four"},{"type":"image_url","image_url":{"url":"data:xxxx","detail":"low"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}]"#;
    let tally = tally(messages);
    assert_eq!(tally.chars, 4 + 1 + 7);
    assert!(tally.only_objects());
}

#[test]
fn a_passed_over_member_ends_with_its_object() {
    assert_eq!(chars(r#"[{"content":"Hi","role":"user"},{"content":"you","role":{"x":"y"}},{"text":"!"}]"#), 6);
}

#[test]
fn counts_token_ids_as_four() {
    assert_eq!(chars("[[1, 22],[-3]]"), 12);
    assert_eq!(chars("[1]"), 4);
}

#[test]
fn knows_arrays_of_objects() {
    for (json, only) in
        [("[]", false), ("[{}]", true), ("[ {} , {\"a\":[{},{}]} ]", true), ("[{},1]", false), ("[\"a\"]", false)]
    {
        assert_eq!(tally(json).only_objects(), only, "{json}");
    }
}

#[test]
fn finds_the_first_content_of_a_stream() {
    assert_eq!(chars(r#"[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#), 0);
    assert_eq!(chars(r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#), 0);
    assert_eq!(chars(r#"[{"delta":{"content":"Hi"},"index":0,"logprobs":{"content":[{"token":"Hi"}]}}]"#), 2);
    assert_eq!(chars(r#"[{"delta":{"reasoning_content":"Hm"},"index":0}]"#), 2);
    assert_eq!(chars(r#"[{"text":" a","index":0}]"#), 2);
}

#[test]
fn deep_nesting_needs_no_stack() {
    let deep = "[".repeat(500_000) + &"]".repeat(500_000);
    assert_eq!(chars(&deep), 0);
}
