//! One validating pass over a JSON object that keeps where each member lies. Nothing is copied.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
pub(crate) struct Member<'a> {
    /// The key, decoded: `"mod\u0065l"` is `model` to an upstream, so it is here too.
    pub key: Cow<'a, str>,
    /// The value as it stands in the text.
    pub value: &'a str,
    /// From the key's opening quote to the end of the value.
    pub span: Range<usize>,
}

impl Member<'_> {
    /// Where the value lies in the text.
    pub fn value_span(&self) -> Range<usize> {
        self.span.end - self.value.len()..self.span.end
    }
}

/// Why a walk ended early.
#[derive(Debug)]
pub(crate) enum Fault<E> {
    /// The text is not one valid JSON value.
    Json(serde_json::Error),
    /// It is valid up to here, but not of the kind asked for.
    Kind,
    /// The callback said so.
    Stopped(E),
}

/// Calls `each` for every member of the object that `text` is, and returns their number. Validates the whole text.
pub(crate) fn members<'a, E>(text: &'a str, each: impl FnMut(Member<'a>) -> Result<(), E>) -> Result<usize, Fault<E>> {
    let mut walk = Walk { text, each, count: 0, stopped: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let end = json.deserialize_map(&mut walk).and_then(|()| json.end());
    settle(end, walk.stopped, walk.count)
}

/// Calls `each` for every element of the array that `text` is, and returns their number. Validates the whole text.
pub(crate) fn elements<'a, E>(text: &'a str, each: impl FnMut(&'a str) -> Result<(), E>) -> Result<usize, Fault<E>> {
    let mut walk = Walk { text, each, count: 0, stopped: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let end = json.deserialize_seq(Elements(&mut walk)).and_then(|()| json.end());
    settle(end, walk.stopped, walk.count)
}

/// The distance of `part` from the start of `text`, of which it is a piece.
pub(crate) fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The decoded string that the JSON value `raw` is; `None` if it is something else.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

/// `text` as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn settle<E>(end: serde_json::Result<()>, stopped: Option<E>, count: usize) -> Result<usize, Fault<E>> {
    match (end, stopped) {
        (_, Some(why)) => Err(Fault::Stopped(why)),
        (Err(error), None) if error.is_data() => Err(Fault::Kind),
        (Err(error), None) => Err(Fault::Json(error)),
        (Ok(()), None) => Ok(count),
    }
}

struct Walk<'a, F, E> {
    text: &'a str,
    each: F,
    count: usize,
    stopped: Option<E>,
}

impl<'a, E, F: FnMut(Member<'a>) -> Result<(), E>> Visitor<'a> for &mut Walk<'a, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&'a RawValue>()? {
            let value = map.next_value::<&'a RawValue>()?.get();
            self.count += 1;
            let start = offset(self.text, key.get());
            let span = start..offset(self.text, value) + value.len();
            // A key that is no Unicode text (a lone surrogate) is none that anyone looks for.
            let key = string(key.get()).unwrap_or(Cow::Borrowed(key.get()));
            if let Err(why) = (self.each)(Member { key, value, span }) {
                self.stopped = Some(why);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

struct Elements<'w, 'a, F, E>(&'w mut Walk<'a, F, E>);

impl<'a, E, F: FnMut(&'a str) -> Result<(), E>> Visitor<'a> for Elements<'_, 'a, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&'a RawValue>()? {
            self.0.count += 1;
            if let Err(why) = (self.0.each)(value.get()) {
                self.0.stopped = Some(why);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
