use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(document: &Document, pointer: Pointer, on_key: bool) -> (u64, u64) {
    let mut problem = Problem::error(pointer, "");
    problem.on_key = on_key;
    let position = document.position(&problem);
    (position.line, position.column)
}

#[test]
fn every_key_and_value_has_its_place() {
    let document = Document::parse("a: 1\nlist:\n  - x: yes\n    \"y\": {z: 'q'}\n").unwrap();
    assert_eq!(document.value, json!({"a": 1, "list": [{"x": "yes", "y": {"z": "q"}}]}));
    let root = Pointer::root();
    let item = root.key("list").index(0);
    assert_eq!(at(&document, root.key("a"), true), (1, 1));
    assert_eq!(at(&document, root.key("a"), false), (1, 4));
    assert_eq!(at(&document, item.key("x"), false), (3, 8));
    assert_eq!(at(&document, item.key("y").key("z"), true), (4, 11));
    assert_eq!(at(&document, item.key("y").key("z"), false), (4, 14));
    assert_eq!(at(&document, item.key("y").key("absent"), false), (4, 5));
}

#[test]
fn duplicate_keys_are_all_found_and_the_first_counts() {
    let document = Document::parse("a: 1\nb: 2\na: 3\na: 4\n").unwrap();
    assert_eq!(document.value, json!({"a": 1, "b": 2}));
    let lines: Vec<_> = document.duplicates.iter().map(|(position, _)| position.line).collect();
    assert_eq!(lines, [3, 4]);
    assert!(document.duplicates[0].1.message.contains("first on line 1"));
}

#[test]
fn scalars_follow_yaml_1_2() {
    let document = Document::parse("[1, -2, 1.5, true, no, on, null, ~, 1_000, '5', 2023-05-15, 0x10, 1.10]").unwrap();
    let expected = json!([1, -2, 1.5, true, "no", "on", null, null, "1_000", "5", "2023-05-15", 16, 1.1]);
    assert_eq!(document.value, expected);
}

#[test]
fn nothing_is_an_empty_mapping() {
    for text in ["", "\n\n", "# only a comment\n", "---\n"] {
        assert_eq!(Document::parse(text).unwrap().value, json!({}), "{text:?}");
    }
}

#[test]
fn aliases_and_merges_work_and_point_to_their_use() {
    let document = Document::parse("base: &b {x: 1}\nuse: *b\nmore:\n  <<: *b\n  y: 2\n").unwrap();
    assert_eq!(document.value, json!({"base": {"x": 1}, "use": {"x": 1}, "more": {"x": 1, "y": 2}}));
    assert_eq!(at(&document, Pointer::root().key("use"), true), (2, 1));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let last = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![last; 10].join(", ")));
    }
    let deep = "[".repeat(100_000);
    let long = format!("a: {}", "{b: ".repeat(3000));
    let merges = format!("a: {}", "{<<: ".repeat(3000));
    // Followed to their end these would outlast any test run.
    for text in [laughs.as_str(), deep.as_str(), long.as_str(), merges.as_str(), "a: &a [*a]\n"] {
        assert!(Document::parse(text).is_err());
    }
}

#[test]
fn a_syntax_error_has_a_place_and_shows_no_source() {
    let error = Document::parse("key: sk-very-secret\nother: [1, 2\nmore: 3\n").unwrap_err();
    assert!(error.at.is_some_and(|at| at.line >= 2), "{error:?}");
    assert!(!error.message.contains("secret"), "{error:?}");
    assert!(!error.message.contains('\n'), "{error:?}");
}

#[test]
fn no_error_quotes_a_value() {
    for text in [
        "a: !!int sk-secret",
        "a: !!float sk-secret",
        "a: !!bool sk-secret",
        "a: !!null sk-secret",
        "a: !!binary sk-secret!",
        "a: !!map sk-secret",
        "a: \"sk-secret",
        "a: 'sk-secret",
        "a: sk-secret: x",
        "a: \"\\qsk-secret\"",
        "a: {sk-secret",
        "a: [sk-secret: {}",
        "a: @sk-secret",
        "a: `sk-secret",
        "? [sk-secret]\n: x",
        "? {sk-secret: x}\n: x",
        "a: |\n  sk-secret\n b: c",
        "a: sk-secret\n\tb: c",
        "a: b\n--- sk-secret\n",
    ] {
        if let Err(error) = Document::parse(text) {
            assert!(!error.message.contains("sk-secret"), "{text:?} → {}", error.message);
        }
    }
}

/// Strings that YAML could take for something else.
pub(crate) fn awkward_text() -> impl Strategy<Value = String> {
    let words = [
        "",
        " ",
        "  leading",
        "trailing ",
        "yes",
        "No",
        "on",
        "y",
        "true",
        "null",
        "~",
        "1",
        "1e3",
        "0x10",
        "0o7",
        "1_000",
        ".5",
        "-1",
        ".nan",
        "2023-05-15",
        "12:30:45",
        "a: b",
        "a:",
        ": a",
        "a #b",
        "# a",
        "- a",
        "-",
        "---",
        "...",
        "? a",
        "[a]",
        "{{secrets/a/b}}",
        "{a}",
        "*a",
        "&a",
        "!a",
        "!!int 5",
        "|",
        ">",
        "%YAML",
        "@a",
        "`a",
        "a\nb",
        "a\n",
        "\na",
        "a\n\nb\n\n",
        "a\tb",
        "\ta",
        "a\rb",
        "a\r\nb",
        "'",
        "\"",
        "it's \"x\"",
        "\\",
        "\\n",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{10ffff}",
        "<<",
        "=",
        "ü",
        "日本語",
        "a,b",
        "a, b",
        "\u{a0}x",
        "line\n  indented\nx",
        " \n ",
        "\u{1b}[0m",
    ];
    let long = (1usize..4000).prop_map(|length| "word ".repeat(length / 5) + &"x".repeat(length));
    prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 4 => any::<String>(), 2 => "[ -~\n\t]{0,40}", 1 => long]
}

#[test]
fn a_document_is_written_for_people() {
    let spec: crate::document::EndpointSpec = serde_json::from_value(json!({
        "name": "chat",
        "config": {
            "served_entities": [{
                "name": "a",
                "external_model": { "name": "gpt-4o", "provider": "openai", "task": "llm/v1/chat",
                    "openai_config": { "openai_api_key": "{{secrets/prod/openai}}" } },
            }],
            "traffic_config": { "routes": [{ "served_model_name": "a", "traffic_percentage": "100" }] },
        },
        "tags": [{ "key": "yes", "value": "1" }],
    }))
    .unwrap();
    let expected = "\
name: chat
config:
  served_entities:
    - name: a
      external_model:
        name: gpt-4o
        provider: openai
        task: llm/v1/chat
        openai_config:
          openai_api_key: \"{{secrets/prod/openai}}\"
  traffic_config:
    routes:
      - served_model_name: a
        traffic_percentage: 100
tags:
  - key: \"yes\"
    value: \"1\"
";
    assert_eq!(to_text(&spec).unwrap(), expected);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in crate::structure::tests::any_json(), text in awkward_text(), key in awkward_text(),
        fraction in -1e300f64..1e300, count in any::<u64>()) {
        let value = json!({ "value": value, "fraction": fraction, "count": count, "text": text, "list": [text, [text], {"k": text}, [], {}], "map": { key: text } });
        let written = to_text(&value).unwrap();
        let read = Document::parse(&written).map_err(|e| TestCaseError::fail(format!("{}\n{written}", e.message)))?;
        prop_assert_eq!(read.value, value, "{}", written);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Document::parse(&text);
    }

    #[test]
    fn both_ways_of_parsing_agree(text in "[-ab:{}\\[\\]&*!|>'\"#%@ \n\t0-9<?,.~]{0,80}|([ab]: ([*&]x |!!?[a-z]{0,4} )?[-1a~.'\"{}]{0,3}(\n|\n  |, )){0,8}") {
        let plain = serde_saphyr::from_str_with_options::<Option<Plain>>(&text, options());
        match (plain, Placed::parse(&text)) {
            (Ok(plain), Ok(placed)) => prop_assert_eq!(or_empty_mapping(plain.map(|plain| plain.0)), placed.value),
            (Err(_), Ok(placed)) => prop_assert!(!placed.duplicates.is_empty()),
            (Err(_), Err(_)) => {}
            (Ok(plain), Err(error)) => prop_assert!(false, "{:?} but {}", plain.map(|plain| plain.0), error.message),
        }
    }

    #[test]
    fn json_is_yaml(value in crate::structure::tests::any_json()) {
        let document = Document::parse(&serde_json::to_string_pretty(&json!({ "value": value })).unwrap()).unwrap();
        prop_assert_eq!(document.value, json!({ "value": value }));
    }
}
