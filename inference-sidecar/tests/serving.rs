//! SmolLM2 and MiniLM over HTTP, through the real app.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code that clippy does not take for such"
)]

mod common;

use std::sync::{Arc, LazyLock};

use common::server::{LARGE, Server, Sizes, client};
use common::{MINILM, SMOLLM2};
use futures_util::future::join_all;
use serde_json::{Value, json};
use weirgate_inference::error::EngineError;
use weirgate_inference::exec::{Generator, GeneratorShape, RaggedBatch};
use weirgate_inference::http::App;
use weirgate_inference::load::ModelBody;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

static TEXT: LazyLock<Server> = LazyLock::new(|| Server::start(SMOLLM2, LARGE));
static VECTORS: LazyLock<Server> = LazyLock::new(|| Server::start(MINILM, LARGE));

/// What SmolLM2 answers greedily: "The capital of France is Paris."
fn france() -> Value {
    json!({"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0, "max_tokens": 20})
}

fn with(mut body: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn text(answer: &Value, choice: usize) -> &str {
    answer["choices"][choice]["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_chat_is_answered() {
    let answer = TEXT.ok(CHAT, france()).await;
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "m");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer["created"].as_i64().unwrap() > 1_700_000_000);
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"], json!({"role": "assistant", "content": "The capital of France is Paris."}));
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["logprobs"], Value::Null);
    // Seven tokens of text and the one that ends the turn.
    assert_eq!(answer["usage"], json!({"prompt_tokens": 37, "completion_tokens": 8, "total_tokens": 45}));
}

#[tokio::test]
async fn a_stream_holds_the_same_answer() {
    let body = with(france(), json!({"stream_options": {"include_usage": true}}));
    let chunks = TEXT.stream(CHAT, body).await;
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["created"]), (&chunks[0]["id"], &chunks[0]["created"]));
    }
    let (last, pieces) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], json!({"prompt_tokens": 37, "completion_tokens": 8, "total_tokens": 45}));
    assert!(pieces.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(pieces[0]["choices"][0]["delta"]["role"], "assistant");
    let content: String = pieces.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, "The capital of France is Paris.");
    let reasons: Vec<_> = pieces.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).collect();
    assert_eq!(reasons.last(), Some(&&json!("stop")));
    assert!(reasons[..reasons.len() - 1].iter().all(|reason| reason.is_null()));
    let plain = TEXT.stream(CHAT, with(france(), json!({"max_tokens": 1}))).await;
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn choices_differ_and_a_seed_repeats_them() {
    let body = |n: usize| json!({"prompt": "My favourite animal is", "n": n, "seed": 7, "max_tokens": 6});
    let first = TEXT.ok(COMPLETIONS, body(3)).await;
    let again = TEXT.ok(COMPLETIONS, body(3)).await;
    assert_eq!(first["choices"], again["choices"]);
    assert_ne!(text(&first, 0), text(&first, 1));
    assert_ne!(text(&first, 1), text(&first, 2));
    let single = TEXT.ok(COMPLETIONS, body(1)).await;
    assert_eq!(text(&single, 0), text(&first, 0));
    assert_eq!(first["usage"]["completion_tokens"], 18);
    let streamed = TEXT.stream(COMPLETIONS, body(3)).await;
    for choice in 0..3 {
        let of = |chunk: &Value| (chunk["choices"][0]["index"] == choice).then(|| text(chunk, 0).to_owned());
        assert_eq!(streamed.iter().filter_map(of).collect::<String>(), text(&first, choice));
    }
}

#[tokio::test]
async fn logprobs_of_a_chat_spell_the_answer() {
    let body = with(france(), json!({"logprobs": true, "top_logprobs": 3}));
    let answer = TEXT.ok(CHAT, body.clone()).await;
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let bytes: Vec<u8> =
        tokens.iter().flat_map(|token| serde_json::from_value::<Vec<u8>>(token["bytes"].clone()).unwrap()).collect();
    assert_eq!(bytes, b"The capital of France is Paris.");
    for token in tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        // Greedy: the chosen one is the likeliest.
        assert_eq!((&top[0]["token"], &top[0]["logprob"]), (&token["token"], &token["logprob"]));
        assert!(top.windows(2).all(|pair| pair[0]["logprob"].as_f64() >= pair[1]["logprob"].as_f64()));
        assert!(token["logprob"].as_f64().unwrap() <= 0.0);
    }
    let streamed = TEXT.stream(CHAT, body).await;
    let parts = streamed.iter().filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array());
    assert_eq!(&parts.flatten().cloned().collect::<Vec<_>>(), tokens);
}

#[tokio::test]
async fn logprobs_of_a_completion_have_offsets() {
    let answer =
        TEXT.ok(COMPLETIONS, json!({"prompt": "One, two,", "temperature": 0, "max_tokens": 4, "logprobs": 2})).await;
    let logprobs = &answer["choices"][0]["logprobs"];
    let tokens: Vec<String> = serde_json::from_value(logprobs["tokens"].clone()).unwrap();
    let offsets: Vec<usize> = serde_json::from_value(logprobs["text_offset"].clone()).unwrap();
    assert_eq!(tokens.concat(), text(&answer, 0));
    assert_eq!(offsets, (0..4).map(|at| tokens[..at].concat().chars().count()).collect::<Vec<_>>());
    for (at, token) in tokens.iter().enumerate() {
        assert_eq!(logprobs["top_logprobs"][at][token], logprobs["token_logprobs"][at]);
        assert_eq!(logprobs["top_logprobs"][at].as_object().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_stop_string_ends_the_answer_before_it() {
    // Begins in one token and ends in another.
    let body = with(france(), json!({"stop": ["zebra", "s Par"]}));
    let answer = TEXT.ok(CHAT, body.clone()).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "The capital of France i");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 6);
    let chunks = TEXT.stream(CHAT, body).await;
    let content: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, "The capital of France i");
}

#[tokio::test]
async fn prompts_come_as_text_or_tokens_one_or_several() {
    let body = |prompt: Value| json!({"prompt": prompt, "temperature": 0, "max_tokens": 3});
    let answer = TEXT.ok(COMPLETIONS, body(json!(["The sky is", "Water is"]))).await;
    assert_eq!((answer["choices"][0]["index"].clone(), answer["choices"][1]["index"].clone()), (json!(0), json!(1)));
    for (at, prompt) in ["The sky is", "Water is"].into_iter().enumerate() {
        let tokenizer = common::model(SMOLLM2).tokenizer;
        let tokens = tokenizer.encode_fast(prompt, false).unwrap().get_ids().to_vec();
        let single = TEXT.ok(COMPLETIONS, body(json!(tokens))).await;
        assert_eq!(text(&single, 0), text(&answer, at));
        assert_eq!(single["usage"]["prompt_tokens"], tokens.len());
        let echoed = TEXT.ok(COMPLETIONS, with(body(json!(tokens)), json!({"echo": true}))).await;
        assert_eq!(text(&echoed, 0), format!("{prompt}{}", text(&answer, at)));
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_reason() {
    let user = json!([{"role": "user", "content": "x"}]);
    let cases = [
        (CHAT, json!({}), 400, "messages", "messages"),
        (CHAT, json!({"messages": "x"}), 400, "messages", "expected a sequence"),
        (CHAT, json!({"messages": user, "max_tokens": 9000}), 400, "max_tokens", "8192"),
        (CHAT, json!({"messages": user, "tools": [{}]}), 400, "tools", "not supported"),
        (CHAT, json!({"messages": user, "temperature": "hot"}), 400, "temperature", "hot"),
        (CHAT, json!({"messages": user, "model": "other"}), 404, "model", "other"),
        (COMPLETIONS, json!({"prompt": "x", "logit_bias": {"49152": 1}}), 400, "logit_bias", "49152"),
        (COMPLETIONS, json!({"prompt": [49152]}), 400, "prompt", "49152"),
        (COMPLETIONS, json!({"prompt": ""}), 400, "prompt", "no tokens"),
        (COMPLETIONS, json!({"prompt": "x ".repeat(5 << 20), "echo": true, "n": 60}), 400, "prompt", "bytes"),
        (COMPLETIONS, json!({"prompt": "x", "n": 65}), 400, "n", "takes 64"),
        (EMBEDDINGS, json!({"input": "x"}), 400, "model", "/v1/completions"),
    ];
    for (path, body, wanted, param, says) in cases {
        let (status, answer) = TEXT.post(path, body.clone()).await;
        let error = &answer["error"];
        assert_eq!((status, error["param"].as_str()), (wanted, Some(param)), "{param} {answer}");
        assert!(error["message"].as_str().unwrap().contains(says), "{answer}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let (_, unknown) = TEXT.post(CHAT, json!({"messages": user, "model": "other"})).await;
    assert_eq!(unknown["error"]["code"], "model_not_found");
    let long = "word ".repeat(9000);
    let (status, answer) = TEXT.post(COMPLETIONS, json!({"prompt": long})).await;
    assert_eq!(status, 400);
    assert!(answer["error"]["message"].as_str().unwrap().contains("8192"), "{answer}");
}

#[tokio::test]
async fn a_body_must_be_json_and_not_too_large() {
    let send = async |body: String| {
        let response = client().post(format!("{}{CHAT}", TEXT.url)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    for body in ["", "{", "[]", "{\"model\": \"m\"} x", "\u{0}"] {
        let (status, answer) = send(body.into()).await;
        assert_eq!(status, 400, "{body:?}");
        assert!(answer["error"]["message"].is_string());
    }
    let (status, answer) = send(" ".repeat((32 << 20) + 1)).await;
    assert_eq!(status, 413);
    assert!(answer["error"]["message"].as_str().unwrap().contains("33554432"));
    assert_eq!(TEXT.get("/v1/nothing").await.0, 404);
    assert_eq!(TEXT.get(CHAT).await.0, 405);
}

#[tokio::test]
async fn the_model_is_listed() {
    let (status, list) = TEXT.get("/v1/models").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((status, &list["data"][0]["id"], &list["data"][0]["max_model_len"]), (200, &json!("m"), &json!(8192)));
    assert_eq!(TEXT.get("/v1/models/m").await.0, 200);
    assert_eq!(TEXT.get("/v1/models/other").await.0, 404);
}

#[tokio::test]
async fn before_the_model_is_loaded_clients_are_told_to_wait() {
    let server = Server::serve(Arc::new(App::new("m".into()).unwrap()));
    let (status, text) = server.get("/health").await;
    assert_eq!((status, text.as_str()), (503, r#"{"status":"loading"}"#));
    let response = server.request(CHAT, france()).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(TEXT.get("/health").await, (200, r#"{"status":"ok"}"#.into()));
}

#[tokio::test]
async fn sixteen_at_once_answer_as_each_alone() {
    let prompts =
        ["The sun", "In 1969,", "A recipe for bread needs flour, water, salt and", "def main():\n", "Zwei mal zwei"];
    let body =
        |at: usize| json!({"prompt": prompts[at % 5], "temperature": 0, "max_tokens": 6 + at % 3, "ignore_eos": true});
    let mut alone = Vec::new();
    for at in 0..5 {
        let longest = with(body(at), json!({"max_tokens": 8}));
        alone.push(text(&TEXT.ok(COMPLETIONS, longest).await, 0).to_owned());
    }
    let together = join_all((0..16).map(|at| TEXT.ok(COMPLETIONS, body(at)))).await;
    for (at, answer) in together.iter().enumerate() {
        assert_eq!(answer["usage"]["completion_tokens"], 6 + at % 3);
        assert!(alone[at % 5].starts_with(text(answer, 0)), "{at}: {answer} {:?}", alone[at % 5]);
    }
}

/// Keys and values of 16 tokens of SmolLM2: 30 layers, 3 heads of 64, f32.
const BLOCK_BYTES: usize = 30 * 2 * 3 * 64 * 4 * 16;

#[tokio::test]
async fn a_pool_too_small_for_all_gives_the_same_answers() {
    // Both begin with a block of their own; the older needs all three in the end.
    let tiny = Server::start(SMOLLM2, Sizes { kv_bytes: 3 * BLOCK_BYTES, max_batch_tokens: 7, ..LARGE });
    let body = |prompt: &str| json!({"prompt": prompt, "temperature": 0, "max_tokens": 30, "ignore_eos": true});
    let prompts = ["Once upon a time", "The history of"];
    let expected = join_all(prompts.map(|prompt| TEXT.ok(COMPLETIONS, body(prompt)))).await;
    let answers = join_all(prompts.map(|prompt| tiny.ok(COMPLETIONS, body(prompt)))).await;
    assert!(tiny.metric("num_preemptions_total").await > 0.0);
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_eq!(text(answer, 0), text(expected, 0));
    }
    tiny.until("kv_cache_usage_perc", 0.0).await;
    let (status, answer) = tiny.post(COMPLETIONS, with(body("x"), json!({"max_tokens": 80}))).await;
    assert_eq!(status, 400);
    assert!(answer["error"]["message"].as_str().unwrap().contains("holds 48 tokens"), "{answer}");
}

#[tokio::test]
async fn who_leaves_frees_his_blocks_and_his_place() {
    let narrow = Server::start(SMOLLM2, Sizes { max_running: 1, queue: 1, ..LARGE });
    let endless = || json!({"prompt": "Once", "max_tokens": 8000, "ignore_eos": true});
    let running = narrow.open_stream(COMPLETIONS, endless()).await;
    assert!(narrow.metric("kv_cache_usage_perc").await > 0.0);
    let waiting = tokio::spawn(narrow.request(COMPLETIONS, endless()).send());
    narrow.until("num_requests_waiting", 1.0).await;

    let refused = narrow.request(COMPLETIONS, endless()).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");

    waiting.abort();
    narrow.until("num_requests_waiting", 0.0).await;
    assert_eq!(narrow.metric("num_requests_running").await, 1.0);
    drop(running);
    narrow.until("num_requests_running", 0.0).await;
    narrow.until("kv_cache_usage_perc", 0.0).await;
    assert_eq!(narrow.metric("request_abandoned_total").await, 2.0);
    assert_eq!(narrow.metric("request_success_total").await, 0.0);
}

/// The real model, until it panics.
struct Mortal {
    model: Box<dyn Generator>,
    steps: usize,
}

impl Generator for Mortal {
    fn shape(&self) -> GeneratorShape {
        self.model.shape()
    }

    fn step(&mut self, batch: &RaggedBatch, logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.steps = self.steps.checked_sub(1).expect("as the test wants it");
        self.model.step(batch, logits)
    }
}

#[tokio::test]
async fn when_the_model_panics_nobody_is_left_hanging() {
    let mut model = common::model(SMOLLM2);
    let ModelBody::Decoder(real) = model.body else { panic!("not a decoder") };
    model.body = ModelBody::Decoder(Box::new(Mortal { model: real, steps: 3 }));
    let (server, ended) = Server::start_loaded(model, LARGE);
    let body = || json!({"prompt": "Once", "max_tokens": 500, "ignore_eos": true});
    let stream = server.request(COMPLETIONS, with(body(), json!({"stream": true}))).send();
    let whole = server.post(COMPLETIONS, body());
    let (stream, (status, error)) = tokio::join!(stream, whole);
    assert_eq!((status, &error["error"]["type"]), (500, &json!("server_error")));
    let text = stream.unwrap().text().await.unwrap();
    let last = text.trim_end().rsplit("data: ").next().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert!(last["error"]["message"].as_str().unwrap().contains("stopped"), "{text}");
    // What makes the process exit with a failure.
    assert!(ended.await.is_err());
    assert_eq!(server.post(COMPLETIONS, body()).await.0, 500);
}

#[tokio::test]
async fn embeddings_come_as_floats_or_base64() {
    let inputs = json!(["a cat", "a dog", "a cat"]);
    let floats = VECTORS.ok(EMBEDDINGS, json!({"input": inputs})).await;
    let vectors: Vec<Vec<f32>> = floats["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| serde_json::from_value(d["embedding"].clone()).unwrap())
        .collect();
    assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [384; 3]);
    assert_eq!(vectors[0], vectors[2]);
    let norm: f32 = vectors[0].iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-4);
    // [CLS] a cat [SEP], three times.
    assert_eq!(floats["usage"], json!({"prompt_tokens": 12, "total_tokens": 12}));

    let encoded =
        VECTORS.ok(EMBEDDINGS, json!({"input": inputs, "encoding_format": "base64", "dimensions": 384})).await;
    use base64::Engine as _;
    let text = encoded["data"][1]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let decoded: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(decoded, vectors[1]);
}

#[tokio::test]
async fn embeddings_that_cannot_be_made_are_refused() {
    let cases = [
        (EMBEDDINGS, json!({"input": "word ".repeat(600)}), "input", "602"),
        (EMBEDDINGS, json!({"input": "x".repeat(100_000)}), "input", "100000 bytes"),
        (EMBEDDINGS, json!({"input": [[1, 999_999]]}), "input", "999999"),
        (EMBEDDINGS, json!({"input": "x", "dimensions": 5}), "dimensions", "384"),
        (EMBEDDINGS, json!({"input": {}}), "input", "expected a string"),
        (CHAT, france(), "model", "/v1/embeddings"),
    ];
    for (path, body, param, says) in cases {
        let (status, answer) = VECTORS.post(path, body).await;
        assert_eq!((status, answer["error"]["param"].as_str()), (400, Some(param)), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
    }
}
