use serde_json::json;

use super::*;
use crate::chat;

record! {
    /// For these tests.
    Sample {
        "a" => a: Option<u64>,
        "b" => b: Option<Text<'a>>,
        "c" => c: Texts<'a>,
    }
}

#[test]
fn unknown_members_are_kept_in_order() {
    let sample: Sample<'_> =
        serde_json::from_str(r#"{"x": [1,  2], "a": 5, "b": null, "y": "é\n", "c": "one"}"#).unwrap();
    assert_eq!((sample.a, sample.b, sample.c), (Some(5), None, Texts(vec!["one".into()])));
    let rest: Vec<_> = sample.rest.iter().map(|(key, value)| (&**key, value.get())).collect();
    assert_eq!(rest, [("x", "[1,  2]"), ("y", r#""é\n""#)]);
    let written = serde_json::to_string(&Members::of(&sample.rest, |key| key != "y")).unwrap();
    assert_eq!(written, r#"{"x":[1,  2]}"#);
}

#[test]
fn text_is_borrowed_unless_escaped() {
    let text: Text<'_> = serde_json::from_str(r#""plain""#).unwrap();
    assert!(matches!(text.0, Cow::Borrowed("plain")));
    let text: Text<'_> = serde_json::from_str(r#""a\"b""#).unwrap();
    assert_eq!(&*text, "a\"b");
}

#[test]
fn texts_are_one_or_many() {
    for (json, expected) in [("\"a\"", vec!["a"]), ("[\"a\",\"b\"]", vec!["a", "b"]), ("[]", vec![]), ("null", vec![])]
    {
        let Texts(texts) = serde_json::from_str(json).unwrap();
        assert_eq!(texts.iter().map(|text| &**text).collect::<Vec<_>>(), expected);
    }
    assert!(serde_json::from_str::<Texts<'_>>("[1]").is_err());
}

#[test]
fn errors_name_the_place() {
    for (body, place) in [
        (
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": 5}]}),
            "messages[1].content",
        ),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}), "messages[0].content[0]"),
        (json!({"messages": [], "tools": [{"type": "function", "function": {"name": 5}}]}), "tools[0].function.name"),
        (json!({"messages": [], "tool_choice": "perhaps"}), "tool_choice"),
        (json!({"messages": [], "response_format": {"type": "json_schema"}}), "response_format"),
        (json!({"messages": [], "seed": 1, "parallel_tool_calls": 1}), "parallel_tool_calls"),
    ] {
        let body = body.to_string();
        let error = chat::Request::read(&body).err().expect("an error");
        assert_eq!(error.param(), Some(place), "{body}: {error}");
        assert!(!error.to_string().contains(" at line "), "{error}");
    }
}
