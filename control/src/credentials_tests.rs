use serde_json::{Value, json};
use weirgate_config::schema;

use super::*;

/// A served entity with every block and, in each, every plaintext field that its type has.
fn everything() -> (ConfigSpec, usize) {
    let schema = schema::ENDPOINT.schema();
    let mut count = 0;
    let model = filled(schema, &schema["$defs"]["ExternalModelSpec"], &mut count);
    let config = json!({ "served_entities": [{ "external_model": model }] });
    (serde_json::from_value(config).unwrap(), count)
}

/// An object with a value for everything that the schema requires, for every object in it, and for every plaintext.
fn filled(root: &Value, schema: &Value, count: &mut usize) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut object = serde_json::Map::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let target = property["anyOf"][0]["$ref"].as_str().or(property["$ref"].as_str());
        let target = target.and_then(|path| root.pointer(path.trim_start_matches('#')));
        let value = match target {
            Some(block) if block.get("properties").is_some() => filled(root, block, count),
            Some(words) => words["enum"].get(0).or(words["oneOf"][0].get("const")).cloned().unwrap_or("openai".into()),
            None if name.ends_with("_plaintext") => {
                *count += 1;
                "sk-planted".into()
            }
            None => "us-east-1".into(),
        };
        if required.contains(&name.as_str()) || value.is_object() || name.ends_with("_plaintext") {
            object.insert(name.clone(), value);
        }
    }
    Value::Object(object)
}

#[test]
fn every_plaintext_field_of_every_provider_is_known() {
    let (mut config, count) = everything();
    assert!(count >= 12, "{count}");
    let found = of_config(&mut config);
    assert_eq!(found.len(), count);
    for credential in found {
        assert_eq!(credential.plaintext.take().unwrap().0, "sk-planted");
        let name = credential.at.as_str().rsplit('/').next().unwrap().to_owned();
        *credential.reference = Some(SecretRef(format!("{{{{secrets/weirgate.id/{name}}}}}")));
    }
    let text = serde_json::to_string(&config).unwrap();
    assert!(!text.contains("sk-planted"), "{text}");
    // Each reference is beside the plaintext that it stands for, and is found again.
    for (scope, key) in own_secrets(&config) {
        assert_eq!(scope, "weirgate.id");
        assert!(text.contains(&format!("\"{key}\":\"{{{{secrets/weirgate.id/{key}}}}}\"")), "{key} in {text}");
    }
    assert_eq!(own_secrets(&config).len(), count);
}

#[test]
fn own_references() {
    assert!(is_own("{{secrets/weirgate.abc/k}}"));
    for other in [
        "{{secrets/weirgate/k}}",
        "{{secrets/my.weirgate.x/k}}",
        "{{env/weirgate.x}}",
        "weirgate.x",
        "{{secrets/weirgate.x/}}",
    ] {
        assert!(!is_own(other), "{other}");
    }
}
