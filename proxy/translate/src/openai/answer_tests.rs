use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::recorded;

fn fill() -> Fill {
    Fill { id: "filled-id".into(), created: 77, model: "filled-model".into() }
}

fn read(body: &str, task: Task) -> Result<Answer, Failure> {
    answer(&Bytes::copy_from_slice(body.as_bytes()), task, &fill(), &Secrets::default())
}

fn repaired(body: &str, task: Task) -> Value {
    serde_json::from_slice(&read(body, task).unwrap().body).unwrap()
}

#[test]
fn recorded_answers_pass_untouched_and_uncopied() {
    let mut seen = 0;
    for recorded in recorded::all("openai").iter().chain(&recorded::all("databricks-model-serving")) {
        let (Some(body), 200) = (recorded.body(), recorded.status) else { continue };
        let body = Bytes::from(body);
        let answer = answer(&body, recorded.task(), &fill(), &Secrets::default()).unwrap();
        assert_eq!((answer.body.as_ptr(), answer.body.len()), (body.as_ptr(), body.len()), "{}", recorded.name);
        let usage = &recorded.response["body"]["usage"];
        assert_eq!(answer.usage.unwrap().total(), usage["total_tokens"].as_u64().unwrap(), "{}", recorded.name);
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn recorded_errors_with_a_good_status_are_failures() {
    for recorded in recorded::all("openai").iter().chain(&recorded::all("databricks-model-serving")) {
        let (Some(body), 400..) = (recorded.body(), recorded.status) else { continue };
        let failure = answer(&body.into(), recorded.task(), &fill(), &Secrets::default()).unwrap_err();
        assert!(matches!(failure, Failure::Provider(_)), "{}: {failure:?}", recorded.name);
    }
}

#[test]
fn what_is_missing_or_empty_is_filled() {
    let message = json!({"role": "assistant", "content": ""});
    for body in [
        r#"{"choices":[{},{"message":null,"index":1},{"index":2,"message":{}}]}"#,
        r#" { "id":"","object":"","created":0,"model":"", "choices":[ { } ,{"index":1},{"index":2}] } "#,
        r#"{"id":null,"object":null,"created":null,"model":null,"choices":[{},{"index":1},{"index":2}],"usage":null}"#,
    ] {
        let answer = repaired(body, Task::Chat);
        assert_eq!(answer["id"], "filled-id");
        assert_eq!(answer["object"], "chat.completion");
        assert_eq!(answer["created"], 77);
        assert_eq!(answer["model"], "filled-model");
        assert_eq!(answer["choices"][0], json!({"message": message}));
        assert_eq!(answer["choices"][2], json!({"index": 2, "message": message}));
    }
    let completion = repaired(r#"{"choices":[{"text":"a"}],"created":5,"x":[1.0]}"#, Task::Completions);
    let expected = json!({"id": "filled-id", "object": "text_completion", "created": 5, "model": "filled-model",
        "choices": [{"text": "a"}], "x": [1.0]});
    assert_eq!(completion, expected);
    let embeddings = repaired(r#"{"data":[]}"#, Task::Embeddings);
    assert_eq!(embeddings, json!({"object": "list", "model": "filled-model", "data": []}));
}

#[test]
fn strange_but_valid_answers_are_kept() {
    let body =
        r#"{"id":"a","object":"o","created":1,"model":"m","choices":[{"message":{"role":"human","content":null}}]}"#;
    let answer = read(body, Task::Chat).unwrap();
    assert_eq!(answer.body, body);
    assert_eq!((answer.usage, answer.answer_chars), (None, 0));
}

#[test]
fn broken_answers_are_failures() {
    for (body, task, expected) in [
        ("", Task::Chat, Broken::NotJson),
        ("<html>", Task::Chat, Broken::NotJson),
        ("[]", Task::Chat, Broken::NotJson),
        ("{\"choices\":[]", Task::Chat, Broken::NotJson),
        ("data: {\"choices\":[]}\n\n", Task::Chat, Broken::NotJson),
        ("{}", Task::Chat, Broken::Lacks("choices")),
        (r#"{"choices":null}"#, Task::Completions, Broken::Lacks("choices")),
        (r#"{"choices":[5]}"#, Task::Chat, Broken::Lacks("choices")),
        (r#"{"choices":[]}"#, Task::Embeddings, Broken::Lacks("data")),
    ] {
        let failure = read(body, task).unwrap_err();
        assert_eq!(failure, Failure::Broken(expected), "{body}");
        assert_eq!(failure.status(), 502);
    }
    for body in
        [r#"{"error":{"message":"m"}}"#, r#"{"object":"error","message":"m"}"#, r#"{"error_code":"X","message":"m"}"#]
    {
        assert!(matches!(read(body, Task::Chat), Err(Failure::Provider(error)) if error.message == "m"), "{body}");
    }
}

proptest! {
    #[test]
    fn mutated_answers_stay_valid_or_fail(
        which in 0..100_usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let answers: Vec<_> =
            recorded::all("databricks-model-serving").into_iter().filter(|recorded| recorded.body().is_some()).collect();
        let recorded = &answers[which % answers.len()];
        let body = recorded::mutated(recorded.body().unwrap(), &cuts);
        for task in [Task::Chat, Task::Completions, Task::Embeddings] {
            if let Ok(answer) = answer(&Bytes::from(body.clone()), task, &fill(), &Secrets::default()) {
                prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok() || serde_json::from_slice::<Value>(&body).is_err());
            }
        }
    }
}
