use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{document::EndpointSpec, schema, structure::tests::any_json};

fn refused(body: &str) -> String {
    match read::<EndpointSpec>(body.as_bytes(), &schema::ENDPOINT) {
        Ok(spec) => panic!("{body} was read as {spec:?}"),
        Err(BodyError::NotAnObject(text)) => text,
        Err(BodyError::Invalid(problems)) => sentence(&problems),
    }
}

#[test]
fn a_body_is_one_json_object() {
    let spec: EndpointSpec = read(br#" {"name": "a", "later": {"x": [null]}} "#, &schema::ENDPOINT).unwrap();
    assert_eq!(spec.name, "a");
    assert_eq!(object(b"").unwrap(), json!({}));
    for (body, part) in [
        ("[]", "not a JSON object"),
        ("5", "not a JSON object"),
        ("null", "not a JSON object"),
        (" ", "EOF"),
        ("{\"name\": \"a\"} {}", "trailing characters at line 1 column 15"),
        ("{\"name\": NaN}", "expected value"),
        ("{\"name\": 1e999}", "number out of range"),
        ("{\"name\": \"a\",}", "trailing comma"),
        ("{'name': 'a'}", "key must be a string"),
        ("{\"name\": \"\\ud800\"}", "not valid JSON"),
    ] {
        assert!(refused(body).contains(part), "{body}: {}", refused(body));
    }
    assert!(matches!(object(b"{\"name\": \"\xff\"}"), Err(text) if text.contains("UTF-8")));
}

#[test]
fn a_key_twice_is_named_with_its_path() {
    let body = r#"{"name": "a", "config": {"served_entities": [{}, {"name": "x", "n\u0061me": "y"}]}}"#;
    let text = refused(body);
    assert!(text.contains("`config.served_entities[1].name` is there twice"), "{text}");
    // Also below keys that nobody reads.
    assert!(refused(r#"{"name": "a", "later": [{"k": 1, "k": 1}]}"#).contains("`later[0].k`"));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{{\"x\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(object(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
    assert!(refused(&nested(MAX_DEPTH)).contains("deeper than 64"));
    let hole = "[{\"a\":".repeat(500_000);
    assert!(object(hole.as_bytes()).is_err());
}

#[test]
fn wrong_content_is_told_all_at_once_in_one_sentence() {
    let text = refused(r#"{"config": {"served_entities": [{"name": "a b"}]}, "tags": [{"value": 1}], "name": "x y"}"#);
    let expected = "config.served_entities[0].name: expected 1 to 63 letters, digits, - or _; \
                    name: expected 1 to 63 letters, digits, - or _; \
                    tags[0].value: expected text, found a number; put it in quotes; tags[0]: `key` is missing; expected text";
    assert_eq!(text, expected);
}

#[test]
fn numbers_are_whole_numbers() {
    let calls = |number: &str| {
        format!(r#"{{"name": "a", "rate_limits": [{{"renewal_period": "minute", "calls": {number}}}]}}"#)
    };
    assert!(read::<EndpointSpec>(calls("18446744073709551615").as_bytes(), &schema::ENDPOINT).is_ok());
    for wrong in ["3.0", "-1", "true", "\"5\"", "1e3", "18446744073709551616", "{}"] {
        let text = refused(&calls(wrong));
        assert!(text.starts_with("rate_limits[0].calls: "), "{wrong}: {text}");
    }
    let percent = |value: &str| {
        format!(
            r#"{{"name": "a", "config": {{"traffic_config": {{"routes": [{{"served_model_name": "a", "traffic_percentage": {value}}}]}}}}}}"#
        )
    };
    for right in ["90", "\"90\"", "\"090\"", "0"] {
        assert!(read::<EndpointSpec>(percent(right).as_bytes(), &schema::ENDPOINT).is_ok(), "{right}");
    }
    for wrong in ["3.0", "true", "\"3.0\"", "\"9O\"", "101", "\"101\"", "-1", "\"\"", "\" 5\"", "null", "[]"] {
        let text = refused(&percent(wrong));
        assert!(text.starts_with("config.traffic_config.routes[0]"), "{wrong}: {text}");
    }
}

#[test]
fn every_width_of_number_has_its_bounds() {
    #[derive(Debug, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
    #[serde(default)]
    struct Numbers {
        small: u8,
        port: u16,
        count: u32,
        signed: i32,
        time: i64,
        big: u64,
    }
    let shape = Shape::new(schema::of::<Numbers>());
    let read = |key: &str, number: &str| read::<Numbers>(format!("{{\"{key}\": {number}}}").as_bytes(), &shape);
    for (key, good, bad) in [
        ("small", ["0", "255"], ["-1", "256"]),
        ("port", ["0", "65535"], ["-1", "65536"]),
        ("count", ["0", "4294967295"], ["-1", "4294967296"]),
        ("signed", ["-2147483648", "2147483647"], ["-2147483649", "2147483648"]),
        ("time", ["-9223372036854775808", "9223372036854775807"], ["9223372036854775808", "18446744073709551615"]),
        ("big", ["0", "18446744073709551615"], ["-1", "18446744073709551616"]),
    ] {
        for number in good {
            assert!(read(key, number).is_ok(), "{key}: {number}");
        }
        for number in bad {
            let Err(BodyError::Invalid(problems)) = read(key, number) else { panic!("{key}: {number} is accepted") };
            let text = sentence(&problems);
            assert!(text.starts_with(key) && (text.contains("out of range") || text.contains("too large")), "{text}");
        }
    }
}

#[test]
fn no_text_quotes_a_value() {
    for body in [
        r#"{"name": sk-secret}"#,
        r#"{"name": "sk-secret"#,
        r#"{"name": "sk-secret", "config": "sk-secret"}"#,
        r#"{"name": "a", "config": {"served_entities": [{"external_model": {"provider": "openai", "name": "m",
            "task": "llm/v1/chat", "openai_config": {"openai_api_key": ["sk-secret"], "openai_api_key_plaintext": {"sk": "sk-secret"}}}}]}}"#,
        "sk-secret",
        "\"sk-secret\"",
    ] {
        assert!(!refused(body).contains("sk-secret"), "{}", refused(body));
    }
}

#[test]
fn a_sentence_has_an_end() {
    let list = vec!["0"; 100_000].join(",");
    let text = refused(&format!("{{\"name\": \"a\", \"tags\": [{list}]}}"));
    assert!(text.len() < MAX_SENTENCE + 8, "{}", text.len());
}

/// Where to put a key a second time: how often to go down, which way each time.
fn doubled(value: &Value, ways: &[usize]) -> Option<String> {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let (way, rest) = ways.split_first()?;
            let chosen = map.keys().nth(way % map.len())?.clone();
            let inside = doubled(&map[&chosen], rest);
            let again = inside.is_none().then(|| format!("{}: 0", json!(chosen)));
            let entries = map.iter().map(|(key, value)| {
                let value = inside.clone().filter(|_| *key == chosen).unwrap_or_else(|| value.to_string());
                format!("{}: {value}", json!(key))
            });
            Some(format!("{{{}}}", entries.chain(again).collect::<Vec<_>>().join(",")))
        }
        Value::Array(items) => {
            let (index, text) = items.iter().enumerate().find_map(|(i, item)| Some((i, doubled(item, ways)?)))?;
            let items = items.iter().enumerate().map(|(i, v)| if i == index { text.clone() } else { v.to_string() });
            Some(format!("[{}]", items.collect::<Vec<_>>().join(",")))
        }
        _ => None,
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<EndpointSpec>(&body, &schema::ENDPOINT);
    }

    #[test]
    fn no_json_like_text_panics(body in "[{}\\[\\]\":,0-9eE.+\\-a-z\\\\ \n]{0,80}") {
        let _ = read::<EndpointSpec>(body.as_bytes(), &schema::ENDPOINT);
    }

    #[test]
    fn sound_json_is_read_as_it_is(value in any_json(), pretty in any::<bool>()) {
        let value = json!({ "value": value });
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(object(text.as_bytes()), Ok(value));
    }

    #[test]
    fn a_key_twice_is_always_found(value in any_json(), ways in prop::collection::vec(0usize..8, 1..8)) {
        let value = json!({ "value": value, "name": "a" });
        let text = doubled(&value, &ways).unwrap();
        let error = object(text.as_bytes()).unwrap_err();
        prop_assert!(error.contains("is there twice"), "{}: {}", text, error);
    }

    #[test]
    fn any_json_body_is_judged_without_panic(value in any_json()) {
        let body = json!({ "name": "a", "config": value }).to_string();
        let _ = read::<EndpointSpec>(body.as_bytes(), &schema::ENDPOINT);
    }
}
