use proptest::prelude::*;

use super::*;

fn raw(schema: &Value) -> Box<RawValue> {
    to_raw_value(schema).unwrap()
}

fn cleaned(schema: Value) -> Value {
    let raw = raw(&schema);
    serde_json::from_str(json_schema(&raw, "p").unwrap().get()).unwrap()
}

fn own(schema: Value) -> Value {
    serde_json::from_str(own_schema(&raw(&schema), "p").unwrap().get()).unwrap()
}

#[test]
fn what_fits_stays_as_it_is() {
    let text =
        r##"{ "type":"object", "properties":{"a":{"$ref":"#/$defs/a"}}, "$defs":{"a":{"type":["string","null"]}} }"##;
    let raw: Raw<'_> = serde_json::from_str(text).unwrap();
    assert!(matches!(json_schema(raw, "p").unwrap(), Cow::Borrowed(same) if same.get() == text));
}

#[test]
fn what_is_refused_is_left_out_or_said_in_other_words() {
    let schema = json!({"$schema": "s", "type": "object", "examples": [], "properties": {
        "examples": {"const": "x"},
        "n": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 2, "description": "d"},
    }, "$defs": {"x": {"$comment": "c"}}});
    assert_eq!(
        cleaned(schema),
        json!({"type": "object", "properties": {
            "examples": {"enum": ["x"]},
            "n": {"type": "number", "description": "d (exclusiveMinimum: 0, multipleOf: 2)"},
        }, "$defs": {"x": {}}})
    );
}

#[test]
fn the_old_kind_has_no_references() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["a", "lost"], "$defs": {
        "node": {"type": "object", "title": "N", "properties": {"next": {"$ref": "#/$defs/node"}}},
        "word": {"type": "string", "enum": ["x"]},
    }, "properties": {"a": {"$ref": "#/$defs/word", "description": "here"}, "$ref": {"type": "boolean"}}});
    assert_eq!(
        own(schema),
        json!({"type": "OBJECT", "required": ["a"], "properties": {
            "a": {"type": "STRING", "enum": ["x"], "description": "here"}, "$ref": {"type": "BOOLEAN"},
        }})
    );
    let lost = json!({"type": "object", "properties": {"a": {"$ref": "other.json#/x"}}});
    assert_eq!(own(lost), json!({"type": "OBJECT", "properties": {"a": {"type": "OBJECT"}}}));
}

#[test]
fn schemas_inside_themselves_end() {
    let one = json!({"$ref": "#/$defs/node", "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}},
    }});
    let text = own(one).to_string();
    assert_eq!(text.matches("next").count(), MOST_TIMES);
    let two = json!({"$ref": "#/$defs/node", "$defs": {
        "node": {"properties": {"a": {"$ref": "#/$defs/node"}, "b": {"$ref": "#/$defs/node"}}},
    }});
    assert_eq!(own(two).to_string().matches("\"a\"").count(), 3);
    assert_eq!(own(json!({"$ref": "#"})), json!({"type": "OBJECT"}));
}

#[test]
fn kinds_to_choose_from() {
    for (ours, theirs) in [
        (json!({"type": ["string", "null"]}), json!({"type": "STRING", "nullable": true})),
        (json!({"type": ["string", "integer"]}), json!({"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]})),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "null"}], "title": "t"}),
            json!({"type": "STRING", "nullable": true, "title": "t"}),
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "number"}]}),
            json!({"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}),
        ),
        (
            json!({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}]}),
            json!({"type": "OBJECT", "properties": {"a": {}, "b": {}}, "required": ["b"]}),
        ),
        (json!({"const": "a"}), json!({"type": "STRING", "enum": ["a"]})),
        (
            json!({"type": "integer", "enum": [1, 2], "description": "d"}),
            json!({"type": "INTEGER", "description": "d (enum: [1,2])"}),
        ),
        (
            json!({"type": "string", "format": "email", "pattern": "x"}),
            json!({"type": "STRING", "pattern": "x", "description": "(format: email)"}),
        ),
        (
            json!({"type": "array", "items": {"type": "string", "format": "date-time"}, "minItems": 1}),
            json!({"type": "ARRAY", "items": {"type": "STRING", "format": "date-time"}, "minItems": 1}),
        ),
    ] {
        assert_eq!(own(ours), theirs);
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    for text in ["5", "\"x\"", "[]", "true"] {
        let raw: Raw<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(json_schema(raw, "p").unwrap_err().param(), Some("p"));
        assert!(own_schema(raw, "p").is_err() && own_parameters(raw, "p").is_err());
    }
}

/// Each schema holds the next one twice: what that becomes is refused before it is made.
#[test]
fn schemas_that_grow_too_large_are_refused() {
    let defs: Map<String, Value> = (0..40)
        .map(|at| {
            let next = json!({"$ref": format!("#/$defs/{}", at + 1)});
            (at.to_string(), json!({"properties": {"a": next, "b": next}}))
        })
        .collect();
    let wide = json!({"$ref": "#/$defs/0", "$defs": defs});
    assert_eq!(own_schema(&raw(&wide), "tools[0]").unwrap_err().param(), Some("tools[0]"));
    let defs: Map<String, Value> =
        (0..900).map(|at| (at.to_string(), json!({"items": {"$ref": format!("#/$defs/{}", at + 1)}}))).collect();
    let deep = json!({"$ref": "#/$defs/0", "$defs": defs});
    assert_eq!(own_schema(&raw(&deep), "tools[0]").unwrap_err().param(), Some("tools[0]"));
    let all = json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "allOf": [{"$ref": "#/$defs/a"}]});
    assert!(own_schema(&raw(&all), "tools[0]").is_err());
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"$ref": "#/$defs/a"})),
        Just(json!({"$ref": "#"})),
        Just(json!({"type": ["string", "null"], "enum": ["x", 1]})),
        Just(json!({"const": 5, "exclusiveMinimum": 1, "format": "email"})),
        Just(json!({"type": "integer", "anyOf": []})),
        Just(json!(true)),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let keys = prop::sample::select(vec![
            "items",
            "anyOf",
            "oneOf",
            "allOf",
            "properties",
            "$defs",
            "type",
            "enum",
            "required",
        ]);
        let member = (keys, prop::collection::vec(inner, 0..3), any::<bool>()).prop_map(|(key, all, object)| {
            let value = match object {
                true => all.iter().zip(["a", "b", "c"]).map(|(value, key)| (key.to_owned(), value.clone())).collect(),
                false => Value::Array(all),
            };
            (key.to_owned(), value)
        });
        prop::collection::vec(member, 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_schema_panics_or_keeps_a_reference(schema in schemas()) {
        let raw = raw(&schema);
        let _ = json_schema(&raw, "p");
        if let Ok(own) = own_schema(&raw, "p") {
            for key in ["\"$ref\":", "\"$defs\":", "\"allOf\":", "\"const\":"] {
                prop_assert!(!own.get().contains(key), "{}", own.get());
            }
        }
    }
}
