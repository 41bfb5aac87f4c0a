use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::recorded::{self, Recorded, pieces};

fn fill() -> Fill {
    Fill { id: "filled-id".into(), created: 77, model: "filled-model".into() }
}

fn new(task: Task, include_usage: bool) -> Stream {
    Stream::new(task, include_usage, fill(), Secrets::new(["top-secret-key"]))
}

/// All that the client gets, `upstream` arriving in pieces of these lengths.
fn run(stream: &mut Stream, upstream: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut sent = Vec::new();
    for piece in pieces(upstream, lengths) {
        sent.extend_from_slice(&stream.push(&Bytes::copy_from_slice(piece)));
    }
    sent.extend_from_slice(&stream.finish());
    sent
}

/// What the client gets, for several ways of cutting, which must not matter.
fn through(upstream: &str, include_usage: bool) -> (String, Stream) {
    let mut stream = new(Task::Chat, include_usage);
    let whole = run(&mut stream, upstream.as_bytes(), &[usize::MAX]);
    for cut in cuts(upstream.as_bytes()) {
        let mut stream = new(Task::Chat, include_usage);
        let sent = run(&mut stream, upstream.as_bytes(), &cut);
        assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(&whole), "in pieces of {cut:?}");
    }
    (String::from_utf8(whole).unwrap(), stream)
}

/// The JSON of every event before `[DONE]`, which must be there.
fn chunks(sent: &str) -> Vec<Value> {
    let events = sent.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("no [DONE] in {sent}"));
    let lines: Vec<_> = events.split_terminator("\n\n").collect();
    lines.iter().map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

fn streams(provider: &str) -> Vec<(Recorded, Vec<u8>)> {
    let all = recorded::all(provider).into_iter();
    let streams: Vec<_> = all.filter_map(|recorded| recorded.sse().map(|sse| (recorded, sse))).collect();
    assert!(streams.len() > 2, "{provider}: {}", streams.len());
    streams
}

/// Lengths of the pieces in which a stream may come: 1, 3 and 7 bytes, all at once, and one event at a time.
fn cuts(stream: &[u8]) -> [Vec<usize>; 5] {
    let text = String::from_utf8_lossy(stream);
    [vec![1], vec![3], vec![7], vec![usize::MAX], text.split_inclusive("\n\n").map(str::len).collect()]
}

#[test]
fn openai_recordings_pass_byte_true() {
    for (recorded, sse) in streams("openai") {
        for cut in cuts(&sse) {
            let mut stream = new(recorded.task(), recorded.asked_for_usage());
            let sent = run(&mut stream, &sse, &cut);
            let name = &recorded.name;
            assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(&sse), "{name}, in pieces of {cut:?}");
            assert_eq!(stream.outcome(), Some(Ok(())), "{name}");
            assert!(stream.first_content_seen(), "{name}");
            assert_eq!(stream.usage().is_some(), recorded.asked_for_usage(), "{name}");
        }
    }
}

#[test]
fn openai_recordings_are_not_copied() {
    for (recorded, sse) in streams("openai") {
        let sse = Bytes::from(sse);
        let sent = new(recorded.task(), recorded.asked_for_usage()).push(&sse);
        assert_eq!((sent.as_ptr(), sent.len()), (sse.as_ptr(), sse.len()), "{}", recorded.name);
    }
}

#[test]
fn openai_usage_is_dropped_when_it_was_not_asked_for() {
    for (recorded, sse) in streams("openai") {
        let mut stream = new(recorded.task(), false);
        let sent = run(&mut stream, &sse, &[usize::MAX]);
        assert!(chunks(&String::from_utf8(sent).unwrap()).iter().all(|chunk| chunk["usage"].is_null()));
        assert_eq!(stream.usage().is_some(), recorded.asked_for_usage(), "{}", recorded.name);
    }
}

#[test]
fn databricks_and_azure_recordings_equal_their_repair() {
    for (recorded, sse) in streams("databricks-model-serving").into_iter().chain(streams("azure-openai")) {
        let upstream = chunks(std::str::from_utf8(&sse).unwrap());
        for (cut, asked) in cuts(&sse).into_iter().flat_map(|cut| [(cut.clone(), false), (cut, true)]) {
            let mut stream = new(recorded.task(), asked);
            let sent = run(&mut stream, &sse, &cut);
            let sent = chunks(std::str::from_utf8(&sent).unwrap());
            let expected = repaired(&upstream, recorded.task(), asked);
            assert_eq!(sent.len(), expected.len(), "{}, asked: {asked}", recorded.name);
            for (sent, expected) in sent.iter().zip(&expected) {
                assert_eq!(sent, expected, "{}, asked: {asked}", recorded.name);
            }
            let last = upstream.iter().rev().find_map(|chunk| chunk["usage"]["total_tokens"].as_u64());
            assert_eq!(stream.usage().map(|usage| usage.total()), last, "{}", recorded.name);
        }
    }
}

/// Contract §8.6 on parsed chunks, as plainly as it can be said.
fn repaired(upstream: &[Value], task: Task, asked: bool) -> Vec<Value> {
    let or =
        |value: &Value, other: Value| if matches!(value.as_str(), None | Some("")) { other } else { value.clone() };
    let first = &upstream[0];
    let id = or(&first["id"], json!("filled-id"));
    let created = first["created"].as_u64().filter(|created| *created > 0).unwrap_or(77);
    let mut usage = None;
    let mut chunks = Vec::new();
    for chunk in upstream {
        let mut chunk = chunk.clone();
        chunk["object"] = or(&chunk["object"], json!(task.chunk_object()));
        chunk["model"] = or(&chunk["model"], json!("filled-model"));
        chunk["id"] = id.clone();
        chunk["created"] = json!(created);
        if chunk["usage"].is_object() {
            let only = chunk["choices"] == json!([]);
            let mut last = chunk.clone();
            if !only {
                chunk.as_object_mut().unwrap().remove("usage");
                let keep = ["id", "object", "created", "model", "usage"];
                last.as_object_mut().unwrap().retain(|key, _| keep.contains(&key.as_str()));
                last["choices"] = json!([]);
                chunks.push(chunk);
            }
            usage = Some(last);
        } else {
            chunks.push(chunk);
        }
    }
    chunks.extend(usage.filter(|_| asked));
    chunks
}

const HEAD: &str = r#""id":"a","object":"chat.completion.chunk","created":5,"model":"m""#;

fn chunk(rest: &str) -> String {
    format!("data: {{{HEAD},{rest}}}\n\n")
}

fn text(text: &str) -> String {
    chunk(&format!(r#""choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]"#))
}

const DONE_EVENT: &str = "data: [DONE]\n\n";

#[test]
fn one_id_and_one_time_for_all_chunks() {
    let bare = |members: &str| format!("data: {{{members}\"choices\":[{{}}]}}\n\n");
    let upstream = [
        bare(""),
        bare(r#""id":"","object":"","created":0,"model":"","#),
        bare(r#""id":"other","created":99,"model":"theirs","#),
        bare(r#""id":5,"created":1.5,"model":null,"object":null,"#),
        DONE_EVENT.into(),
    ]
    .concat();
    let (sent, _) = through(&upstream, false);
    let sent = chunks(&sent);
    assert!(sent.iter().all(|chunk| chunk["id"] == "filled-id" && chunk["created"] == 77));
    assert!(sent.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    let models: Vec<_> = sent.iter().map(|chunk| chunk["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["filled-model", "filled-model", "theirs", "filled-model"]);

    let upstream = format!("{}{}{DONE_EVENT}", text("x"), bare(r#""id":"b","created":6,"model":"m","#));
    let (sent, _) = through(&upstream, false);
    assert!(chunks(&sent).iter().all(|chunk| chunk["id"] == "a" && chunk["created"] == 5));
}

#[test]
fn framing_is_normalised() {
    let json = text("é");
    let json = json.trim_end().strip_prefix("data: ").unwrap();
    let spread = json.replace(",\"", ",\ndata:\"");
    let upstream = format!(
        ": hi\r\n\r\nevent: message\r\nid: 4\r\ndata: {spread}\r\n\r\n:ping\n\ndata:{json}\r\rdata:  [DONE] \n\n"
    );
    let (sent, _) = through(&upstream, false);
    let one_line = json.replace(",\"", ", \"");
    assert_eq!(sent, format!("data: {one_line}\n\ndata: {json}\n\n{DONE_EVENT}"));
}

#[test]
fn usage_comes_once_and_last() {
    let usage = |tokens: u64| {
        format!(r#""usage":{{"prompt_tokens":{tokens},"completion_tokens":1,"total_tokens":{}}}"#, tokens + 1)
    };
    let with_text =
        |tokens| chunk(&format!(r#""choices":[{{"index":0,"delta":{{"content":"x"}}}}],{}"#, usage(tokens)));
    let only = |tokens| chunk(&format!(r#""choices":[],{}"#, usage(tokens)));
    for events in [
        vec![with_text(1), with_text(2)],
        vec![with_text(1), only(2)],
        vec![only(1), with_text(2)],
        vec![only(1), text("x"), only(2), text("y")],
        vec![only(2), text("x")],
    ] {
        let upstream = events.concat() + DONE_EVENT;
        let (sent, stream) = through(&upstream, true);
        let sent = chunks(&sent);
        let (last, others) = sent.split_last().unwrap();
        assert!(others.iter().all(|chunk| chunk.get("usage").is_none()), "{upstream}");
        assert_eq!((&last["choices"], &last["usage"]["prompt_tokens"]), (&json!([]), &json!(2)), "{upstream}");
        assert_eq!((&last["id"], &last["model"], &last["created"]), (&json!("a"), &json!("m"), &json!(5)));
        assert_eq!(stream.usage().unwrap().total(), 3);

        let (sent, _) = through(&upstream, false);
        assert!(chunks(&sent).iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([])));
    }
    let null = text("x").replace("}\n\n", ",\"usage\":null}\n\n");
    assert_eq!(through(&format!("{null}{DONE_EVENT}"), false).0, format!("{null}{DONE_EVENT}"));
}

#[test]
fn nothing_follows_done() {
    let upstream = format!("{}{DONE_EVENT}{}{DONE_EVENT}data: garbage\n\ndata: cut", text("x"), text("y"));
    let (sent, stream) = through(&upstream, false);
    assert_eq!(sent, format!("{}{DONE_EVENT}", text("x")));
    assert_eq!(stream.outcome(), Some(Ok(())));
    let (sent, _) = through(&format!("{}data: [DONE]", text("x")), false);
    assert_eq!(sent, format!("{}{DONE_EVENT}", text("x")));
}

#[test]
fn the_providers_error_ends_the_stream() {
    for (event, code) in [
        (r#"data: {"error":{"message":"no top-secret-key","type":"server_error","code":"c"}}"#, "c"),
        (
            r#"data: {"object":"error","message":"no top-secret-key","type":"BadRequestError","param":null,"code":400}"#,
            "400",
        ),
        ("event: error\ndata: {\"error_code\":\"X\",\"message\":\"no top-secret-key\"}", "X"),
    ] {
        let (sent, stream) = through(&format!("{}{event}\n\n{}{DONE_EVENT}", text("x"), text("y")), false);
        assert_eq!(sent, text("x"));
        let Some(Err(Failure::Provider(error))) = stream.outcome() else { panic!("{event}") };
        assert_eq!((error.message.as_str(), error.code.as_deref()), ("no [masked]", Some(code)));
    }
    let (sent, stream) = through("{\"error\":\n{\"message\":\"m\"}}\n", false);
    assert_eq!(sent, "");
    assert!(!stream.first_content_seen() && matches!(stream.outcome(), Some(Err(Failure::Provider(_)))));
}

#[test]
fn a_stream_never_ends_in_silence() {
    let long = format!("data: \"{}\"\n\n", "x".repeat(crate::split::MAX_EVENT));
    for (rest, expected) in [
        ("", Broken::Truncated),
        ("data: {\"choices\":[", Broken::Truncated),
        ("data: {}\n", Broken::Truncated),
        (": ping\n\n", Broken::Truncated),
        ("data: [DONE", Broken::Truncated),
        ("data: {\"choices\":[\n\n", Broken::NotJson),
        ("data: [1]\n\n", Broken::NotJson),
        ("data: ok\n\n", Broken::NotJson),
        ("data: {\"a\":\"b\ndata: c\"}\n\n", Broken::NotJson),
    ] {
        let (sent, stream) = through(&format!("{}{rest}", text("x")), true);
        assert_eq!(sent, text("x"), "{rest}");
        assert_eq!(stream.outcome(), Some(Err(&Failure::Broken(expected))), "{rest}");
    }
    let mut stream = new(Task::Chat, false);
    run(&mut stream, long.as_bytes(), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Failure::Broken(Broken::TooLong))));
    let mut stream = new(Task::Chat, false);
    run(&mut stream, b"data: \"\xFF\"\n\n", &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Failure::Broken(Broken::NotJson))));
}

#[test]
fn content_is_seen_when_it_comes() {
    let mut stream = new(Task::Chat, false);
    let role = chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#);
    stream.push(&role.into());
    assert!(!stream.first_content_seen());
    stream.push(&text("four").into());
    assert!(stream.first_content_seen());
    assert_eq!((stream.answer_chars(), stream.usage(), stream.outcome()), (4, None, None));
}

/// Folds chunks of one choice into the message that they spell.
fn fold(chunks: &[Value]) -> (String, Vec<(String, String)>, Value) {
    let (mut content, mut calls, mut finish) = (String::new(), Vec::<(String, String)>::new(), Value::Null);
    for choice in chunks.iter().filter_map(|chunk| chunk["choices"].get(0)) {
        content += choice["delta"]["content"].as_str().unwrap_or_default();
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            calls.resize(calls.len().max(index + 1), Default::default());
            calls[index].0 += call["function"]["name"].as_str().unwrap_or_default();
            calls[index].1 += call["function"]["arguments"].as_str().unwrap_or_default();
        }
        if !choice["finish_reason"].is_null() {
            finish = choice["finish_reason"].clone();
        }
    }
    (content, calls, finish)
}

/// A provider's habits in one chunk: which members it leaves out or empties, and whether usage comes along.
fn habits() -> impl Strategy<Value = [u8; 5]> {
    prop::array::uniform5(0..3_u8)
}

fn with_habits(mut chunk: Value, habits: [u8; 5], at: usize) -> Value {
    let empty = [json!(""), json!(""), json!(0), json!("")];
    for ((key, empty), habit) in ["id", "object", "created", "model"].into_iter().zip(empty).zip(habits) {
        match habit {
            0 => {}
            1 => chunk[key] = empty,
            _ => drop(chunk.as_object_mut().unwrap().remove(key)),
        }
    }
    match habits[4] {
        0 => {}
        1 => chunk["usage"] = Value::Null,
        _ => chunk["usage"] = json!({"prompt_tokens": 3, "completion_tokens": at, "total_tokens": 3 + at}),
    }
    chunk
}

proptest! {
    #[test]
    fn folding_the_stream_gives_the_whole_answer(
        texts in prop::collection::vec("\\PC{0,6}", 0..6),
        calls in prop::collection::vec((0..3_usize, "[a-z\"{}:\\\\\n]{0,6}"), 0..6),
        habits in prop::collection::vec(habits(), 13),
        pretty in any::<bool>(),
        asked in any::<bool>(),
        lengths in prop::collection::vec(1..40_usize, 1..6),
    ) {
        let deltas = texts.iter().map(|text| json!({"content": text}));
        let deltas = deltas.chain(calls.iter().map(|(index, part)| {
            json!({"tool_calls": [{"index": index, "function": {"name": "f", "arguments": part}}]})
        }));
        let choices = deltas.map(|delta| json!({"index": 0, "delta": delta, "finish_reason": null}));
        let choices = choices.chain([json!({"index": 0, "delta": {}, "finish_reason": "stop"})]);
        let upstream: Vec<Value> = choices
            .zip(&habits)
            .enumerate()
            .map(|(at, (choice, habits))| {
                let chunk = json!({"id": "a", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": [choice]});
                with_habits(chunk, *habits, at)
            })
            .collect();
        let event = |chunk: &Value| match pretty {
            true => serde_json::to_string_pretty(chunk).unwrap().lines().map(|line| format!("data: {line}\r\n")).collect::<String>() + "\r\n",
            false => format!("data: {chunk}\n\n"),
        };
        let bytes = upstream.iter().map(event).collect::<String>() + DONE_EVENT;

        let mut stream = new(Task::Chat, asked);
        let sent = run(&mut stream, bytes.as_bytes(), &lengths);
        let sent = chunks(std::str::from_utf8(&sent).unwrap());
        prop_assert_eq!(fold(&sent), fold(&upstream));
        prop_assert!(sent.iter().all(|chunk| chunk["id"] == sent[0]["id"] && chunk["created"] == sent[0]["created"]));
        prop_assert!(sent.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["model"].is_string()));
        let usage = upstream.iter().rev().find_map(|chunk| chunk["usage"].as_object());
        let places: Vec<_> = sent.iter().enumerate().filter(|(_, chunk)| chunk["usage"].is_object()).collect();
        match usage.filter(|_| asked) {
            None => prop_assert!(places.is_empty()),
            Some(usage) => {
                prop_assert_eq!(places.len(), 1);
                prop_assert_eq!(places[0].0, sent.len() - 1);
                prop_assert_eq!(places[0].1["usage"].as_object(), Some(usage));
            }
        }
    }

    #[test]
    fn damaged_recordings_end_well_however_they_are_cut(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..5),
        asked in any::<bool>(),
        lengths in prop::collection::vec(1..600_usize, 1..6),
    ) {
        let all = damageable();
        let bytes = recorded::mutated(all[which.index(all.len())].clone(), &cuts);
        let sent = run(&mut new(Task::Chat, asked), &bytes, &lengths);
        let mut stream = new(Task::Chat, asked);
        prop_assert_eq!(&sent, &run(&mut stream, &bytes, &[usize::MAX]));
        prop_assert_eq!(sent.ends_with(DONE_EVENT.as_bytes()), stream.outcome() == Some(Ok(())));
        let sent = String::from_utf8(sent).unwrap();
        let whole = if stream.outcome() == Some(Ok(())) { sent } else { sent + DONE_EVENT };
        prop_assert!(stream.outcome().is_some());
        drop(chunks(&whole));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256), lengths in prop::collection::vec(1..9_usize, 1..5)) {
        let mut stream = new(Task::Chat, true);
        run(&mut stream, &bytes, &lengths);
        prop_assert!(stream.outcome().is_some());
    }
}

/// The smaller recorded streams, read once.
fn damageable() -> &'static [Vec<u8>] {
    static STREAMS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    STREAMS.get_or_init(|| {
        let all = ["openai", "databricks-model-serving", "azure-openai"].map(streams).into_iter().flatten();
        all.map(|(_, sse)| sse).filter(|sse| sse.len() < 8192).collect()
    })
}
