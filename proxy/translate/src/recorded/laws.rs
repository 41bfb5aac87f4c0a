//! What every pair must keep, on all recordings of its provider: [`check`].

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::fold::{chunks, events_of, fold, normal};
use super::{Recorded, mutated, pieces};
use crate::{Asked, Back, Failure, Fill, Pair, Reply, Secrets, Stream};

/// What is filled in where a recording leaves it out.
pub fn fill() -> Fill {
    Fill { id: "chatcmpl-filled".into(), created: 77, model: "filled-model".into() }
}

/// With nothing asked but perhaps usage.
pub fn back(include_usage: bool) -> Back {
    back_for(Asked { include_usage, ..Asked::default() })
}

/// With this asked.
pub fn back_for(asked: Asked) -> Back {
    Back { fill: fill(), secrets: Secrets::new(["top-secret-key"]), asked }
}

/// Translates a stream that comes in pieces of these lengths.
pub fn run(pair: &'static Pair, back: Back, bytes: &[u8], lengths: &[usize]) -> (Vec<u8>, Stream) {
    let mut stream = pair.stream(back).expect("the pair streams");
    let mut sent = Vec::new();
    for piece in pieces(bytes, lengths) {
        sent.extend_from_slice(&stream.push(&Bytes::copy_from_slice(piece)));
    }
    sent.extend_from_slice(&stream.finish());
    (sent, stream)
}

/// Translates a recorded whole answer.
pub fn answer(pair: &'static Pair, recorded: &Recorded, back: &Back) -> Result<Value, Failure> {
    let body = recorded.body().expect("a whole answer");
    let header = |name: &str| recorded.header(name);
    let reply = Reply { status: recorded.status as u16, header: &header, body: &body };
    let answer = pair.answer(&[reply], back)?;
    Ok(serde_json::from_slice(&answer.body).expect("JSON"))
}

/// Translates a whole answer made for a test.
pub fn answer_to(pair: &'static Pair, theirs: &Value, asked: Asked) -> Result<Value, Failure> {
    let body = theirs.to_string();
    let reply = Reply { status: 200, header: &|_| None, body: body.as_bytes() };
    let answer = pair.answer(&[reply], &back_for(asked))?;
    Ok(serde_json::from_slice(&answer.body).expect("JSON"))
}

/// Checks the laws on all recordings of these pairs, and returns how many there were. `whole_of` makes the whole
/// answer that a provider's stream stands for, in the provider's schema, to compare with.
///
/// - A stream gives the same bytes however it is cut.
/// - Folding it gives what the whole answer is translated to.
/// - Usage comes if it was asked for, once and last; nothing else depends on whether it was.
/// - However the bytes are damaged or cut off, nothing panics, every event is JSON, and `[DONE]` comes only with a
///   good end.
/// - A good answer is translated, an error is read with its message.
pub fn check(pairs: &[(&'static Pair, &Recorded)], whole_of: impl Fn(&Recorded) -> Option<Value>) -> usize {
    for (pair, recorded) in pairs {
        let name = &recorded.name;
        if recorded.status >= 400 {
            errors(pair, recorded);
        } else if let Some(bytes) = recorded.streamed() {
            let (sent, stream) = run(pair, back(true), &bytes, &[usize::MAX]);
            assert_eq!(stream.outcome(), Some(Ok(())), "{name}");
            for cut in [vec![1], vec![3], vec![7], vec![5, 64, 2, 900]] {
                let (again, _) = run(pair, back(true), &bytes, &cut);
                assert_eq!(text(&again), text(&sent), "{name} in pieces of {cut:?}");
            }
            let folded = normal(fold(&chunks(&sent), pair.task()));
            assert_eq!(folded["usage"].is_object(), stream.usage().is_some(), "{name}");
            let (unasked, _) = run(pair, back(false), &bytes, &[usize::MAX]);
            let mut without = folded.clone();
            without.as_object_mut().unwrap().remove("usage");
            assert_eq!(normal(fold(&chunks(&unasked), pair.task())), without, "{name}");
            if let Some(whole) = whole_of(recorded) {
                let body = serde_json::to_vec(&whole).unwrap();
                let header = |name: &str| recorded.header(name);
                let reply = Reply { status: 200, header: &header, body: &body };
                let whole = pair.answer(&[reply], &back(true)).unwrap();
                let whole: Value = serde_json::from_slice(&whole.body).unwrap();
                assert_eq!(folded, normal(whole), "{name}: the folded stream and the whole answer");
            }
            cut_off(pair, recorded, &bytes, &sent);
        } else {
            let answer = answer(pair, recorded, &back(false)).unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
            assert_eq!(answer["object"], pair.task().answer_object(), "{name}");
        }
    }
    damage(pairs);
    pairs.len()
}

/// A stream cut off anywhere before its end is never a success, and what was sent is a beginning of what would be.
fn cut_off(pair: &'static Pair, recorded: &Recorded, bytes: &[u8], all: &[u8]) {
    let step = (bytes.len() / 40).max(1);
    for end in (0..bytes.len()).step_by(step) {
        let (sent, stream) = run(pair, back(true), &bytes[..end], &[usize::MAX]);
        let outcome = stream.outcome().expect("an end");
        assert!(all.starts_with(&sent), "{} cut at {end}", recorded.name);
        assert_eq!(outcome.is_ok(), sent.len() == all.len(), "{} cut at {end}: {outcome:?}", recorded.name);
    }
}

fn errors(pair: &'static Pair, recorded: &Recorded) {
    let name = &recorded.name;
    let body = recorded.body().unwrap_or_default();
    let header = |name: &str| recorded.header(name);
    let reply = Reply { status: recorded.status as u16, header: &header, body: &body };
    let error = pair.error(&reply, &Secrets::default());
    assert!(!error.message.is_empty() && !error.message.starts_with('{'), "{name}: {error:?}");
    let failure = pair.answer(&[reply], &back(false)).map(|answer| answer.body).expect_err(name);
    assert!(matches!(failure, Failure::Provider(_) | Failure::Broken(_)));
}

/// Mutated and cut bytes of all recordings.
fn damage(pairs: &[(&'static Pair, &Recorded)]) {
    let bodies: Vec<(&'static Pair, bool, Vec<u8>)> = pairs
        .iter()
        .filter(|(_, recorded)| recorded.status < 400)
        .filter_map(|(pair, recorded)| match recorded.streamed() {
            Some(bytes) => Some((*pair, true, bytes)),
            None => recorded.body().map(|bytes| (*pair, false, bytes)),
        })
        .filter(|(_, _, bytes)| bytes.len() < 16 * 1024)
        .collect();
    if bodies.is_empty() {
        return;
    }
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..5);
    let lengths = prop::collection::vec(1..600_usize, 1..6);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let law = |(which, cuts, lengths): (prop::sample::Index, Vec<_>, Vec<usize>)| {
        let (pair, streamed, bytes) = &bodies[which.index(bodies.len())];
        let bytes = mutated(bytes.clone(), &cuts);
        if !*streamed {
            let reply = Reply { status: 200, header: &|_| None, body: &bytes };
            if let Ok(answer) = pair.answer(&[reply], &back(false)) {
                prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok());
            }
            return Ok(());
        }
        let (sent, stream) = run(pair, back(true), &bytes, &lengths);
        let (whole, _) = run(pair, back(true), &bytes, &[usize::MAX]);
        prop_assert_eq!(text(&sent), text(&whole));
        let done = b"data: [DONE]\n\n";
        prop_assert_eq!(sent.ends_with(done), stream.outcome() == Some(Ok(())));
        let events = sent.strip_suffix(done).unwrap_or(&sent);
        events_of(std::str::from_utf8(events).unwrap());
        Ok(())
    };
    runner.run(&(any::<prop::sample::Index>(), cuts, lengths), law).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
