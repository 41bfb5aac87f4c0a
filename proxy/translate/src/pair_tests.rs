use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use crate::wire::Raw;

/// A provider for these tests: it takes two inputs at once, and says what it got.
static ECHO: Pair = Pair {
    provider: "echo",
    api: "test",
    params: Params {
        mapped: &["model", "input", "encoding_format", "stream"],
        dropped: &["user", "dimensions"],
        refused: &["instruction"],
    },
    how: How::Embeddings {
        batch: 2,
        request: |_, texts, cx| {
            #[derive(Serialize)]
            struct Body<'b>(&'b str, &'b [Text<'b>]);
            Outgoing::new("/embed", &Body(cx.model, texts))
        },
        answer: |reply, _| {
            let vectors: Vec<Raw<'_>> = reply.json()?;
            Ok(Vectors { vectors, ..Vectors::default() })
        },
    },
    error: |reply, secrets| ProviderError::read(reply.body, secrets),
};

fn ask(body: &Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Embeddings).unwrap();
    ECHO.request(&ask, &Cx { model: "m", default_max_tokens: None })
}

#[test]
fn inputs_go_in_batches_and_come_back_as_one() {
    let outgoing = ask(&json!({"input": ["a", "b", "c"], "encoding_format": "base64", "user": "u"})).unwrap();
    assert_eq!(outgoing.bodies, [&br#"["m",["a","b"]]"#[..], &br#"["m",["c"]]"#[..]]);
    assert_eq!((outgoing.dropped.as_slice(), outgoing.asked.base64), (&["user"][..], true));
    let back = crate::recorded::laws::back(false);
    let reply = |body: &'static [u8]| Reply { status: 200, header: &|_| None, body };
    let answer = ECHO.answer(&[reply(b"[[1],[2]]"), reply(b"[[3]]")], &back).unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let last = &answer["data"][2];
    assert_eq!((&last["index"], &last["embedding"]), (&json!(2), &json!([3])));
    assert!(ECHO.answer(&[], &back).is_err() && ECHO.answer(&[reply(b"{")], &back).is_err());
}

#[test]
fn the_table_is_obeyed() {
    let error = ask(&json!({"input": "a", "instruction": "x"})).unwrap_err();
    assert_eq!(error.param(), Some("instruction"));
    assert!(error.to_string().contains("(echo)"), "{error}");
    assert!(ask(&json!({"input": "a", "instruction": ""})).is_ok());
    let outgoing = ask(&json!({"input": "a", "dimensions": 5, "extra_params": {"user": "u"}})).unwrap();
    assert_eq!(outgoing.dropped, ["dimensions", "user"]);
    assert_eq!(ask(&json!({"input": [1, 2]})).unwrap_err().param(), Some("input"));
    assert_eq!(ask(&json!({"input": "a", "encoding_format": "int8"})).unwrap_err().param(), Some("encoding_format"));
}

#[test]
fn what_cannot_stream_says_so() {
    assert!(ECHO.stream(crate::recorded::laws::back(false)).is_none());
}

#[test]
fn names_are_escaped_in_paths() {
    assert_eq!(segment("amazon.titan-text:0/ü?"), "amazon.titan-text%3A0%2F%C3%BC%3F");
}
