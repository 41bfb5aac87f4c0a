use serde_json::{Value, json};

use crate::cohere::{EMBED, EMBED_V1};
use crate::recorded::laws::back_for;
use crate::{Ask, Asked, Broken, Cx, Failure, Outgoing, Pair, Reply, Task};

fn ask(pair: &Pair, body: Value) -> Outgoing {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Embeddings).unwrap();
    pair.request(&ask, &Cx { model: "m", default_max_tokens: None }).unwrap()
}

fn sent(pair: &Pair, body: Value) -> Value {
    serde_json::from_slice(&ask(pair, body).bodies[0]).unwrap()
}

fn answer(answers: &[Value], asked: Asked) -> Result<Value, Failure> {
    let bodies: Vec<String> = answers.iter().map(Value::to_string).collect();
    let replies: Vec<Reply<'_>> =
        bodies.iter().map(|body| Reply { status: 200, header: &|_| None, body: body.as_bytes() }).collect();
    Ok(serde_json::from_slice(&EMBED.answer(&replies, &back_for(asked))?.body).unwrap())
}

#[test]
fn what_openai_has_no_word_for_is_said_in_coheres() {
    assert_eq!(
        sent(&EMBED, json!({"input": "a", "dimensions": 256, "encoding_format": "base64", "user": "u"})),
        json!({"model": "m", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"], "output_dimension": 256})
    );
    assert_eq!(
        sent(
            &EMBED,
            json!({"input": ["a"], "input_type": "clustering", "embedding_types": ["int8"], "truncate": "START"})
        ),
        json!({"model": "m", "texts": ["a"], "input_type": "clustering", "embedding_types": ["int8"], "truncate": "START"})
    );
    assert_eq!(
        sent(&EMBED_V1, json!({"input": "a"})),
        json!({"model": "m", "texts": ["a"], "embedding_types": ["float"]})
    );
}

#[test]
fn more_than_a_batch_is_sent_in_several_and_answered_in_one() {
    let texts: Vec<String> = (0..200).map(|at| at.to_string()).collect();
    let outgoing = ask(&EMBED, json!({ "input": texts }));
    let batches: Vec<Value> = outgoing.bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
    let sizes: Vec<usize> = batches.iter().map(|body| body["texts"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [96, 96, 8]);
    assert_eq!(batches[2]["texts"][0], "192");
    let theirs =
        |at: u64| json!({"embeddings": {"float": [[at, 0.5]]}, "meta": {"billed_units": {"input_tokens": at}}});
    let ours = answer(&[theirs(1), theirs(2)], Asked::default()).unwrap();
    assert_eq!(ours["data"][1], json!({"object": "embedding", "index": 1, "embedding": [2, 0.5]}));
    assert_eq!(ours["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
}

#[test]
fn vectors_come_by_type_or_plain_and_as_asked() {
    let float = json!({"embeddings": {"float": [[1.0]], "int8": [[127]]}});
    let first = |answer: Value| answer["data"][0]["embedding"].clone();
    assert_eq!(first(answer(std::slice::from_ref(&float), Asked::default()).unwrap()), json!([1.0]));
    assert_eq!(first(answer(&[json!({"embeddings": {"int8": [[127]]}})], Asked::default()).unwrap()), json!([127]));
    assert_eq!(first(answer(&[json!({"embeddings": [[2.5]]})], Asked::default()).unwrap()), json!([2.5]));
    let asked = Asked { base64: true, ..Asked::default() };
    assert_eq!(first(answer(&[float], asked).unwrap()), "AACAPw==");
}

#[test]
fn what_is_no_vector_is_broken_and_an_error_an_error() {
    for broken in [json!({"embeddings": {"base64": ["AACAPw=="]}}), json!({"embeddings": 5}), json!({})] {
        assert_eq!(answer(&[broken], Asked::default()), Err(Broken::Lacks("embeddings").into()));
    }
    let error = answer(&[json!({"id": "r", "message": "no"})], Asked::default());
    assert!(matches!(error, Err(Failure::Provider(error)) if error.message == "no"));
}
