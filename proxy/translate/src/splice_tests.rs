use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::json::{Member, members};

fn edit<'t>(text: &'t str, mut each: impl FnMut(&mut ObjectEdits<'t>, &Member<'t>)) -> ObjectEdits<'t> {
    let mut found = Vec::new();
    let count = members::<()>(text, |member| {
        found.push(member);
        Ok(())
    })
    .unwrap();
    let mut edits = ObjectEdits::new(text.find('{').unwrap(), count);
    found.iter().for_each(|member| each(&mut edits, member));
    edits
}

fn spliced(text: &str, edits: ObjectEdits<'_>) -> String {
    String::from_utf8(apply(text, edits.into_edits(text))).unwrap()
}

fn without(text: &str, keys: &[&str]) -> String {
    let edits = edit(text, |edits, member| {
        if keys.contains(&&*member.key) {
            edits.remove(member.span.clone());
        }
    });
    spliced(text, edits)
}

#[test]
fn removes_members_and_keeps_every_other_byte() {
    let text = " {\n \"a\" : 1 ,\t\"b\": [ 2 ], \"c\":{} }\n";
    assert_eq!(without(text, &["a"]), " {\n \t\"b\": [ 2 ], \"c\":{} }\n");
    assert_eq!(without(text, &["b"]), " {\n \"a\" : 1 , \"c\":{} }\n");
    assert_eq!(without(text, &["c"]), " {\n \"a\" : 1 ,\t\"b\": [ 2 ] }\n");
    assert_eq!(without(text, &["a", "b"]), " {\n \t \"c\":{} }\n");
    assert_eq!(without(text, &["b", "c"]), " {\n \"a\" : 1  }\n");
    assert_eq!(without(text, &["a", "b", "c"]), " {\n \t  }\n");
}

#[test]
fn inserts_with_a_comma_only_where_something_follows() {
    for (text, keys, expected) in [
        ("{ }", &[][..], r#"{"k":"v" }"#),
        (r#"{"a":1}"#, &[][..], r#"{"k":"v","a":1}"#),
        (r#"{"a":1}"#, &["a"][..], r#"{"k":"v"}"#),
    ] {
        let mut edits = edit(text, |edits, member| {
            if keys.contains(&&*member.key) {
                edits.remove(member.span.clone());
            }
        });
        edits.insert("k", "\"v\"");
        assert_eq!(spliced(text, edits), expected);
    }
}

#[test]
fn an_escaped_key_is_found_and_removed_whole() {
    assert_eq!(without(r#"{"mod\u0065l":"x","a\"b":2}"#, &["model"]), r#"{"a\"b":2}"#);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~\\n\"\\\\{}\\[\\],:é😀]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\]{0,3}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// An object's text with whitespace of any kind between its tokens.
fn spaced(object: &Map<String, Value>, spaces: &[String]) -> String {
    let mut spaces = spaces.iter().cycle().map(String::as_str);
    let mut space = || spaces.next().unwrap_or_default();
    let mut text = format!("{}{{", space());
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            text += &format!("{},", space());
        }
        text += &format!("{}{}{}:{}{}", space(), json!(key), space(), space(), value);
    }
    text + space() + "}" + space()
}

proptest! {
    #[test]
    fn splice_then_parse_is_parse_then_edit(
        object in prop::collection::btree_map("[a-z\"\\\\\\n😀]{0,3}", value(), 0..7),
        what in prop::collection::vec(0..3_u8, 7),
        add in any::<bool>(),
        spaces in prop::collection::vec("[ \t\r\n]{0,3}", 1..9),
    ) {
        let object: Map<String, Value> = object.into_iter().collect();
        let text = spaced(&object, &spaces);
        let mut expected = object.clone();
        let mut what = what.iter();
        let mut edits = edit(&text, |edits, member| match what.next() {
            Some(1) => {
                expected.remove(&*member.key);
                edits.remove(member.span.clone());
            }
            Some(2) => {
                expected.insert(member.key.to_string(), json!([1]));
                edits.replace(member.value_span(), "[1]");
            }
            _ => {}
        });
        if add {
            expected.insert("added".into(), json!(true));
            edits.insert("added", "true");
        }
        let result = spliced(&text, edits);
        prop_assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), Value::Object(expected), "{}", result);
    }
}
