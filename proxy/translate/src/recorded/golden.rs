//! Golden files: one for each recording, in `tests/golden/<provider>/`.
//!
//! `ours` is the OpenAI request, written by hand; what else is in the file is made of it and of the recorded answer:
//! `path`, `headers`, `theirs`, `dropped`, and `answer` or `chunks` or `error`. `UPDATE_GOLDEN=1` writes it anew, to be
//! read before it is committed. `theirs` must also be what was recorded; where it is not, `differs` says why.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::laws::{answer, back, back_for, run};
use super::{Recorded, fold, mutated};
use crate::{Ask, Asked, Cx, Outgoing, Pair, Reply, Secrets};

/// What the golden files of a provider showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests that became what was recorded.
    pub same: usize,
    /// Requests that became something else, for the reason in the file.
    pub differ: usize,
    /// Recordings that OpenAI cannot ask for, of which only the answer is translated.
    pub answers_only: usize,
}

/// Compares all recordings with their golden files. `same` brings a request of the provider's into a normal form, in
/// which two that mean the same are equal. `model` is the provider's name for the model in a recording.
pub fn check(
    pairs: &[(&'static Pair, &Recorded)],
    model: impl Fn(&Recorded) -> String,
    same: impl Fn(Value) -> Value,
) -> Count {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut count = Count::default();
    let mut requests = Vec::new();
    for (pair, recorded) in pairs {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(&recorded.name);
        let path = path.with_extension("json");
        let golden: Value = match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).unwrap(),
            Err(_) if update || !recorded.can_ask => Value::Null,
            Err(error) => panic!("{}: {error}; write it, with a member `ours`", path.display()),
        };
        let made = made(pair, recorded, &golden, &model(recorded));
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        } else {
            assert_eq!(made, golden, "{}: read the difference, then UPDATE_GOLDEN=1", recorded.name);
        }
        if golden["ours"].is_null() {
            assert!(!recorded.can_ask, "{} has no `ours`, though OpenAI can ask it", recorded.name);
            count.answers_only += 1;
            continue;
        }
        requests.push((*pair, golden["ours"].to_string().into_bytes()));
        let decoded = |path: &Value| percent_decode_str(path.as_str().unwrap()).decode_utf8().unwrap().into_owned();
        let path = decoded(&made["path"]);
        let path = path.split('?').next().unwrap();
        let asked_there = decoded(&recorded.request["path"]);
        assert!(asked_there.ends_with(path), "{}: {path} is asked, recorded was {asked_there}", recorded.name);
        let equal = same(made["theirs"].clone()) == same(recorded.request["body"].clone());
        match (equal, golden["differs"].is_string()) {
            (true, false) => count.same += 1,
            (false, true) => count.differ += 1,
            (true, true) => panic!("{}: `differs` is no longer true", recorded.name),
            (false, false) => panic!(
                "{}: asks\n{:#}\nbut recorded was\n{:#}",
                recorded.name,
                same(made["theirs"].clone()),
                same(recorded.request["body"].clone())
            ),
        }
    }
    damage(&requests);
    count
}

/// Requests with damage are refused, or translated to JSON; nothing panics.
fn damage(requests: &[(&'static Pair, Vec<u8>)]) {
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let law = |(which, cuts): (prop::sample::Index, Vec<_>)| {
        let (pair, body) = &requests[which.index(requests.len())];
        let body = mutated(body.clone(), &cuts);
        let cx = Cx { model: "model", default_max_tokens: None };
        if let Ok(outgoing) = Ask::peek(&body, pair.task()).and_then(|ask| pair.request(&ask, &cx)) {
            for body in outgoing.bodies {
                prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
            }
        }
        Ok(())
    };
    runner.run(&(any::<prop::sample::Index>(), cuts), law).unwrap();
}

fn made(pair: &'static Pair, recorded: &Recorded, golden: &Value, model: &str) -> Value {
    let mut made = json!({});
    let mut asked = Asked { include_usage: true, ..Asked::default() };
    if !golden["ours"].is_null() {
        let body = golden["ours"].to_string();
        let ask = Ask::peek(body.as_bytes(), pair.task()).unwrap();
        let outgoing: Outgoing = pair.request(&ask, &Cx { model, default_max_tokens: None }).unwrap();
        asked = outgoing.asked;
        made["ours"] = golden["ours"].clone();
        if golden["differs"].is_string() {
            made["differs"] = golden["differs"].clone();
        }
        made["path"] = outgoing.path.into();
        made["headers"] = outgoing.headers.into_iter().map(|(name, value)| json!([name, value])).collect();
        let mut bodies = outgoing.bodies.iter().map(|body| serde_json::from_slice(body).unwrap());
        made["theirs"] = match outgoing.bodies.len() {
            1 => bodies.next().unwrap(),
            _ => Value::Array(bodies.collect()),
        };
        made["dropped"] = json!(outgoing.dropped);
    }
    if recorded.status >= 400 {
        let body = recorded.body().unwrap_or_default();
        let header = |name: &str| recorded.header(name);
        let reply = Reply { status: recorded.status as u16, header: &header, body: &body };
        made["error"] = serde_json::to_value(pair.error(&reply, &Secrets::default())).unwrap();
    } else if let Some(bytes) = recorded.streamed() {
        let (sent, _) = run(pair, back_for(asked), &bytes, &[usize::MAX]);
        made["chunks"] = fold::chunks(&sent).into();
    } else {
        let back = if golden["ours"].is_null() { back(false) } else { back_for(asked) };
        made["answer"] = answer(pair, recorded, &back).unwrap();
    }
    made
}
