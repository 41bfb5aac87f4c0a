use serde_json::{Value, json};

use crate::cohere::{CHAT_V1, GENERATE};
use crate::recorded::fold::{chunks, fold, normal};
use crate::recorded::laws::{answer_to, back, run};
use crate::{Asked, Failure, Pair, Stream, Task};

fn streamed(pair: &'static Pair, lines: &[Value]) -> (Vec<u8>, Stream) {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    run(pair, back(true), lines.as_bytes(), &[5])
}

fn text(index: Option<u64>, text: &str) -> Value {
    let mut line = json!({"is_finished": false, "event_type": "text-generation", "text": text});
    if let Some(index) = index {
        line["index"] = index.into();
    }
    line
}

#[test]
fn several_generations_are_told_apart() {
    let whole = json!({
        "id": "chatcmpl-filled", "prompt": "p",
        "generations": [{"id": "a", "text": "one", "finish_reason": "MAX_TOKENS"}, {"id": "b", "text": "two", "finish_reason": "COMPLETE"}],
        "meta": {"billed_units": {"input_tokens": 1, "output_tokens": 2}},
    });
    let end = json!({"is_finished": true, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole});
    let lines = [text(Some(1), "t"), text(Some(0), "on"), text(Some(1), "wo"), text(Some(0), "e"), end];
    let (sent, stream) = streamed(&GENERATE, &lines);
    assert_eq!(stream.outcome(), Some(Ok(())));
    let folded = fold(&chunks(&sent), Task::Completions);
    assert_eq!(folded, answer_to(&GENERATE, &whole, Asked::default()).unwrap());
    assert_eq!(folded["choices"][0]["finish_reason"], "length");
}

#[test]
fn the_oldest_streams_name_no_events() {
    let lines = [
        json!({"text": " a", "is_finished": false}),
        json!({"text": " b", "is_finished": false}),
        json!({"is_finished": true, "finish_reason": "MAX_TOKENS"}),
    ];
    let (sent, _) = streamed(&GENERATE, &lines);
    let folded = fold(&chunks(&sent), Task::Completions);
    assert_eq!(
        (&folded["choices"][0]["text"], &folded["choices"][0]["finish_reason"]),
        (&json!(" a b"), &json!("length"))
    );
}

#[test]
fn citations_of_a_chat_are_numbered_across_its_lines() {
    let cited = |text: &str| json!({"start": 0, "end": 1, "text": text, "document_ids": ["d"]});
    let whole =
        json!({"generation_id": "g", "text": "ab", "finish_reason": "COMPLETE", "citations": [cited("a"), cited("b")]});
    let lines = [
        json!({"is_finished": false, "event_type": "stream-start", "generation_id": "g"}),
        json!({"is_finished": false, "event_type": "search-results", "documents": [{"id": "d"}]}),
        text(None, "ab"),
        json!({"is_finished": false, "event_type": "citation-generation", "citations": [cited("a")]}),
        json!({"is_finished": false, "event_type": "citation-generation", "citations": [cited("b")]}),
        json!({"is_finished": true, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole}),
    ];
    let (sent, _) = streamed(&CHAT_V1, &lines);
    assert_eq!(normal(fold(&chunks(&sent), Task::Chat)), answer_to(&CHAT_V1, &whole, Asked::default()).unwrap());
}

#[test]
fn a_stream_that_fails_has_no_good_end() {
    let failed =
        json!({"is_finished": true, "event_type": "stream-error", "finish_reason": "ERROR", "err": "out of luck"});
    let ended = json!({"is_finished": true, "event_type": "stream-end", "finish_reason": "ERROR", "response": {}});
    let told = json!({"message": "out of luck"});
    for (line, message) in
        [(failed, "out of luck"), (ended, "the model failed to finish its answer"), (told, "out of luck")]
    {
        let (sent, stream) = streamed(&GENERATE, &[text(None, "a"), line]);
        assert!(!sent.ends_with(b"[DONE]\n\n"));
        let Some(Err(Failure::Provider(error))) = stream.outcome() else { panic!("{:?}", stream.outcome()) };
        assert_eq!(error.message, message);
    }
    let one = json!({"generations": [{"text": "a", "finish_reason": "ERROR"}]});
    assert!(matches!(answer_to(&GENERATE, &one, Asked::default()), Err(Failure::Provider(_))));
}
