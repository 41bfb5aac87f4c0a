use proptest::prelude::*;

use super::*;
use crate::recorded::{self, pieces};

/// An event with nothing borrowed.
type Owned = (String, bool, Vec<u8>);

/// All events, fed in pieces of these lengths, how it ended, and whether anything was left over.
fn events(framing: Framing, stream: &[u8], lengths: &[usize]) -> (Vec<Owned>, Option<Broken>, bool) {
    let mut splitter = Splitter::new(framing);
    let mut found = Vec::new();
    let mut keep = |event: Event<'_>| found.push((event.name.to_owned(), event.is_error, event.data.to_vec()));
    for piece in pieces(stream, lengths) {
        if let Err(broken) = splitter.push(piece, &mut keep) {
            return (found, Some(broken), false);
        }
    }
    splitter.finish(&mut keep);
    (found, None, !splitter.rest().trim_ascii().is_empty())
}

fn data(framing: Framing, stream: &[u8]) -> Vec<String> {
    let (found, broken, _) = events(framing, stream, &[usize::MAX]);
    assert_eq!(broken, None);
    found.into_iter().map(|(_, _, data)| String::from_utf8(data).unwrap()).collect()
}

/// One frame with text headers.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for (name, value) in headers {
        written.push(name.len() as u8);
        written.extend_from_slice(name.as_bytes());
        written.push(7);
        written.extend_from_slice(&(value.len() as u16).to_be_bytes());
        written.extend_from_slice(value.as_bytes());
    }
    framed(&written, payload)
}

fn framed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = ((headers.len() + payload.len() + 16) as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[test]
fn sse_events_have_names() {
    let stream = b"event: a\r\ndata: 1\r\n\r\ndata: 2\n\n: ping\n\nevent:b\ndata: 3\n\ndata: {\"x\":\ndata: 4}";
    let (found, broken, _) = events(Framing::Sse, stream, &[usize::MAX]);
    let named: Vec<_> = found.iter().map(|(name, _, data)| (&**name, std::str::from_utf8(data).unwrap())).collect();
    assert_eq!((named, broken), (vec![("a", "1"), ("", "2"), ("b", "3"), ("", "{\"x\":\n4}")], None));
}

#[test]
fn frames_say_what_they_are() {
    let stream = [
        frame(&[(":event-type", "chunk"), (":message-type", "event")], b"{\"a\":1}"),
        frame(&[(":exception-type", "throttlingException"), (":message-type", "exception")], b"{\"message\":\"m\"}"),
        frame(&[(":message-type", "error"), (":error-code", "500"), (":error-message", "text")], b""),
        framed(b"\x01a\x00\x01b\x01\x01c\x02x\x01d\x03xx\x01e\x04xxxx\x01f\x05xxxxxxxx\x01g\x06\x00\x01x\x01h\x08xxxxxxxx\x01i\x09xxxxxxxxxxxxxxxx\x0b:event-type\x07\x00\x01e", b"p"),
    ]
    .concat();
    let (found, broken, rest) = events(Framing::EventStream, &stream, &[5]);
    let owned = |name: &str, is_error, data: &[u8]| (name.to_owned(), is_error, data.to_vec());
    assert_eq!(
        found,
        [
            owned("chunk", false, b"{\"a\":1}"),
            owned("throttlingException", true, b"{\"message\":\"m\"}"),
            owned("500", true, b"text"),
            owned("e", false, b"p"),
        ]
    );
    assert_eq!((broken, rest), (None, false));
}

#[test]
fn recorded_frames_are_read() {
    let all = recorded::all("amazon-bedrock");
    let binary = all.iter().filter(|recorded| recorded.response["body_base64"].is_string());
    let mut seen = 0;
    for recorded in binary {
        let (found, broken, rest) = events(Framing::EventStream, &recorded.streamed().unwrap(), &[7]);
        assert_eq!((broken, rest), (None, false), "{}", recorded.name);
        assert!(found.iter().all(|(name, _, data)| !name.is_empty() && data.starts_with(b"{")), "{}", recorded.name);
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn any_wrong_bit_of_a_frame_is_noticed() {
    let good = frame(&[(":event-type", "chunk")], b"{\"a\":1}");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let (found, broken, rest) = events(Framing::EventStream, &[bad, good.clone()].concat(), &[3]);
        assert!(found.is_empty() && (broken.is_some() || rest), "bit {bit}");
    }
    for broken in [&[0, 0, 0, 8][..], &[0, 0, 0, 4]] {
        let mut prelude = [broken, &[0, 0, 0, 0]].concat();
        prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
        assert_eq!(events(Framing::EventStream, &prelude, &[usize::MAX]).1, Some(Broken::Damaged));
    }
    let headers_too_long = framed(b"\x09:event", b"");
    assert_eq!(events(Framing::EventStream, &headers_too_long, &[usize::MAX]).1, Some(Broken::Damaged));
}

#[test]
fn json_lines_need_no_last_line_end() {
    assert_eq!(data(Framing::JsonLines, b"{\"a\":1}\r\n\n  \n{\"b\":2}\n"), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(data(Framing::JsonLines, b"{\"a\":1}\n{\"b\":2}"), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(data(Framing::JsonLines, b"{\"a\":1}\n{\"b\":"), ["{\"a\":1}"]);
}

#[test]
fn the_objects_of_an_array_are_found() {
    let stream = br#"[{"a":"]}\"{","b":[1,{"c":[]}]},
 {"d":"\\"} , {} ]"#;
    assert_eq!(data(Framing::JsonArray, stream), [r#"{"a":"]}\"{","b":[1,{"c":[]}]}"#, r#"{"d":"\\"}"#, "{}"]);
    assert_eq!(data(Framing::JsonArray, br#"{"error":{"code":429}}"#), [r#"{"error":{"code":429}}"#]);
    assert_eq!(data(Framing::JsonArray, br#"[{"a":1},{"b":"#), [r#"{"a":1}"#]);
    assert_eq!(events(Framing::JsonArray, br#"[{"a":1},nope"#, &[usize::MAX]).1, Some(Broken::NotJson));
}

#[test]
fn what_is_held_back_is_bounded() {
    let long = "x".repeat(MAX_EVENT + 1);
    for (framing, stream) in [
        (Framing::Sse, format!("data: {long}\n\n")),
        (Framing::JsonLines, format!("{long}\n")),
        (Framing::JsonLines, long.clone()),
        (Framing::JsonArray, format!("[{{\"a\":\"{long}\"}}]")),
    ] {
        for lengths in [usize::MAX, 4096] {
            let (found, broken, _) = events(framing, stream.as_bytes(), &[lengths]);
            assert_eq!((found, broken), (vec![], Some(Broken::TooLong)), "{framing:?}");
        }
    }
    let huge = frame(&[], long.as_bytes());
    assert_eq!(events(Framing::EventStream, &huge, &[4096]).1, Some(Broken::TooLong));
    let spaces = " ".repeat(3 * MAX_EVENT);
    assert_eq!(events(Framing::JsonArray, spaces.as_bytes(), &[4096]).1, None);
}

/// What streams of JSON are made of.
const PARTS: &[&str] =
    &["{", "}", "[", "]", "\"", "\\", "a", "é", ",", ":", "\n", "\r\n", " ", "{\"k\":1}", "\"\\\"\""];

fn streams() -> impl Strategy<Value = (Framing, Vec<u8>)> {
    let text = prop::collection::vec(prop::sample::select(PARTS), 0..24).prop_map(|parts| parts.concat().into_bytes());
    let frames = prop::collection::vec(("[a-z]{0,4}", prop::collection::vec(any::<u8>(), 0..20)), 0..4);
    let frames = frames.prop_map(|frames| {
        frames.iter().flat_map(|(name, payload)| frame(&[(":event-type", name)], payload)).collect::<Vec<u8>>()
    });
    prop_oneof![
        text.clone().prop_map(|text| (Framing::JsonLines, text)),
        text.clone().prop_map(|text| (Framing::JsonArray, text)),
        text.prop_map(|text| (Framing::Sse, text)),
        frames.prop_map(|frames| (Framing::EventStream, frames)),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events((framing, stream) in streams(), lengths in prop::collection::vec(1..9_usize, 1..9)) {
        let whole = events(framing, &stream, &[usize::MAX]);
        prop_assert_eq!(events(framing, &stream, &lengths), whole.clone());
        prop_assert_eq!(events(framing, &stream, &[1]), whole);
    }

    #[test]
    fn any_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..256), lengths in prop::collection::vec(1..9_usize, 1..5)) {
        for framing in [Framing::Sse, Framing::EventStream, Framing::JsonLines, Framing::JsonArray] {
            prop_assert_eq!(events(framing, &stream, &lengths), events(framing, &stream, &[usize::MAX]));
        }
    }

    #[test]
    fn objects_come_out_as_they_went_in(
        objects in prop::collection::vec(prop::collection::btree_map("[a-z\"\\\\{}\\[\\]]{0,4}", "\\PC{0,8}", 0..4), 0..5),
        lengths in prop::collection::vec(1..9_usize, 1..5),
    ) {
        let objects: Vec<String> = objects.iter().map(|object| serde_json::to_string(object).unwrap()).collect();
        for (framing, stream) in [
            (Framing::JsonArray, format!("[{}]", objects.join(",\r\n"))),
            (Framing::JsonLines, objects.join("\n")),
            (Framing::Sse, objects.iter().map(|object| format!("data: {object}\n\n")).collect()),
        ] {
            let (found, broken, _) = events(framing, stream.as_bytes(), &lengths);
            let found: Vec<_> = found.into_iter().map(|(_, _, data)| String::from_utf8(data).unwrap()).collect();
            prop_assert_eq!((&found, broken), (&objects, None));
        }
    }
}
