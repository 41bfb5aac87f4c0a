use super::*;
use crate::api::fixture;

#[test]
fn every_task_has_its_own_form() {
    let snapshot = fixture::snapshot("");
    let needed = |name: &str| {
        let document = document(&snapshot.endpoints[name]).unwrap();
        let path = &document["paths"][format!("/serving-endpoints/{name}/invocations")]["post"];
        assert_eq!(path["operationId"], "query");
        let streams = !path["responses"]["200"]["content"]["text/event-stream"].is_null();
        (document["components"]["schemas"]["Request"]["required"].clone(), streams)
    };
    assert_eq!(needed("chat"), (json!(["messages"]), true));
    assert_eq!(needed("completions"), (json!(["prompt"]), true));
    assert_eq!(needed("embeddings"), (json!(["input"]), false));
    assert_eq!(needed("custom"), (Value::Null, false));
}

#[test]
fn the_served_models_are_named() {
    let snapshot = fixture::snapshot("");
    let document = document(&snapshot.endpoints["embeddings"]).unwrap();
    let path = &document["paths"]["/serving-endpoints/embeddings/served-models/{served}/invocations"]["post"];
    assert_eq!(path["parameters"][0]["schema"]["enum"], json!(["v1-1"]));
}

#[test]
fn nothing_served_has_no_form() {
    assert!(document(&fixture::snapshot("").endpoints["empty"]).is_none());
}
