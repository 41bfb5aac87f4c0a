use serde_json::{Value, json};

use super::*;
use crate::recorded::laws::back;
use crate::vertex::pair;
use crate::{Ask, Asked, Task};

fn outgoing(model: &str, body: Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Embeddings)?;
    pair(Task::Embeddings, model).unwrap().request(&ask, &Cx { model, default_max_tokens: None })
}

fn answered(pair: &Pair, replies: &[Value], asked: Asked) -> Result<Value, Failure> {
    let bodies: Vec<String> = replies.iter().map(Value::to_string).collect();
    let replies: Vec<_> =
        bodies.iter().map(|body| Reply { status: 200, header: &|_| None, body: body.as_bytes() }).collect();
    let mut back = back(false);
    back.asked = asked;
    pair.answer(&replies, &back).map(|answer| serde_json::from_slice(&answer.body).unwrap())
}

#[test]
fn each_model_gets_as_many_texts_as_it_takes() {
    let texts: Vec<String> = (0..7).map(|at| at.to_string()).collect();
    for (model, requests, method) in [
        ("textembedding-gecko@003", 2, "predict"),
        ("text-embedding-005", 1, "predict"),
        ("text-multilingual-embedding-002", 1, "predict"),
        ("gemini-embedding-001", 7, "predict"),
        ("gemini-embedding-2-preview", 7, "embedContent"),
    ] {
        let outgoing = outgoing(model, json!({"input": texts})).unwrap();
        assert_eq!(outgoing.bodies.len(), requests, "{model}");
        assert!(outgoing.path.ends_with(&format!(":{method}")), "{model}");
    }
}

#[test]
fn parameters_go_where_the_api_has_them() {
    let body = json!({"input": ["a", "b"], "dimensions": 8, "task_type": "T", "title": "t", "autoTruncate": false});
    let predict = outgoing("text-embedding-005", body.clone()).unwrap();
    let instance = |text: &str| json!({"content": text, "task_type": "T", "title": "t"});
    assert_eq!(
        serde_json::from_slice::<Value>(&predict.bodies[0]).unwrap(),
        json!({"instances": [instance("a"), instance("b")], "parameters": {"outputDimensionality": 8, "autoTruncate": false}})
    );
    let embed = outgoing("gemini-embedding-2", body).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&embed.bodies[1]).unwrap(),
        json!({"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 8, "task_type": "T", "title": "t", "autoTruncate": false})
    );
}

#[test]
fn token_ids_and_instructions_are_refused() {
    for body in [
        json!({"input": [1, 2]}),
        json!({"input": "a", "instruction": "i"}),
        json!({"input": "a", "encoding_format": "x"}),
    ] {
        assert!(outgoing("text-embedding-005", body).is_err());
    }
}

#[test]
fn batches_become_one_answer_in_the_form_asked_for() {
    let batch = |tokens: u64| json!({"predictions": [{"embeddings": {"values": [1.5, -2], "statistics": {"token_count": tokens}}}]});
    let ours = answered(&PREDICT_EMBEDDING, &[batch(2), batch(3)], Asked::default()).unwrap();
    assert_eq!(ours["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1.5, -2]}));
    assert_eq!(ours["usage"], json!({"prompt_tokens": 5, "total_tokens": 5}));
    let base64 = answered(&PREDICT_EMBEDDING, &[batch(2)], Asked { base64: true, ..Asked::default() }).unwrap();
    assert_eq!(base64["data"][0]["embedding"], "AADAPwAAAMA=");
    let embed = json!({"embedding": {"values": [1]}, "usageMetadata": {"promptTokenCount": 4}});
    let ours = answered(&EMBED_CONTENT, &[embed], Asked::default()).unwrap();
    assert_eq!((&ours["data"][0]["embedding"], &ours["usage"]["prompt_tokens"]), (&json!([1]), &json!(4)));
}

#[test]
fn what_is_no_answer() {
    let error = json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}});
    let Err(Failure::Provider(told)) = answered(&EMBED_CONTENT, &[error], Asked::default()) else { panic!("an error") };
    assert_eq!(told.implied_status(), 429);
    let lacks = answered(&PREDICT_GECKO, &[json!({})], Asked::default());
    assert_eq!(lacks, Err(Broken::Lacks("predictions").into()));
}
