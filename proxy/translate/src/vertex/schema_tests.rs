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
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["a"], "$defs": {
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
    assert_eq!(text.matches("next").count(), DEEPEST);
    let two = json!({"$ref": "#/$defs/node", "$defs": {
        "node": {"properties": {"a": {"$ref": "#/$defs/node"}, "b": {"$ref": "#/$defs/node"}}},
    }});
    let refused = own_schema(&raw(&two), "tools[0]").unwrap_err();
    assert_eq!(refused.param(), Some("tools[0]"));
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
            json!({"type": "INTEGER", "description": "d (one of [1,2])"}),
        ),
        (json!({"type": "string", "format": "email", "pattern": "x"}), json!({"type": "STRING", "pattern": "x"})),
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
