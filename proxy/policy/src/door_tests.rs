use super::*;

fn provider(status: u16) -> Refusal {
    Refusal::of_provider(
        "openai",
        ProviderError {
            status,
            message: "no such model".into(),
            kind: Some("invalid_request_error".into()),
            code: Some(json!("model_not_found")),
            body: json!({"error": {"message": "no such model"}}),
            retry_after: Some(600),
            ..ProviderError::default()
        },
    )
}

fn body(rendered: &Rendered) -> Value {
    serde_json::from_slice(&rendered.body).unwrap()
}

#[test]
fn own_refusals_have_the_shape_of_their_door() {
    let refusal = Refusal::new(Reason::InvalidParameter, "n must be 1 to 5").at("n");
    let openai = refusal.render(Door::OpenAi, "openai");
    assert_eq!(openai.status, 400);
    assert_eq!(
        body(&openai),
        json!({"error": {"message": "n must be 1 to 5", "type": "invalid_request_error", "param": "n", "code": "invalid_value"}})
    );
    let databricks = refusal.render(Door::Databricks, "openai");
    assert_eq!(body(&databricks), json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "n must be 1 to 5"}));
}

#[test]
fn provider_status_by_door() {
    // (provider, /v1, Databricks): product.md §2 and contract §8.7.
    let table = [
        (400, 400, 400),
        (401, 403, 403),
        (403, 403, 403),
        (404, 404, 400),
        (409, 400, 400),
        (413, 413, 400),
        (422, 422, 400),
        (429, 429, 429),
        (500, 502, 502),
        (503, 503, 502),
        (529, 529, 502),
    ];
    for (given, openai, databricks) in table {
        assert_eq!(provider(given).render(Door::OpenAi, "openai").status, openai, "{given}");
        assert_eq!(provider(given).render(Door::Databricks, "openai").status, databricks, "{given}");
    }
}

#[test]
fn databricks_quotes_the_provider_as_json_text() {
    let rendered = body(&provider(404).render(Door::Databricks, "openai"));
    let quoted: Value = serde_json::from_str(rendered["message"].as_str().unwrap()).unwrap();
    assert_eq!(quoted["external_model_provider"], "openai");
    assert_eq!(quoted["external_model_error"]["error"]["message"], "no such model");
    assert!(rendered.get("error").is_none(), "the SDK would use it in place of the message");
}

#[test]
fn retry_after_is_whole_seconds_from_1_to_60() {
    assert_eq!(provider(429).render(Door::Databricks, "openai").retry_after, Some(60));
    assert_eq!(provider(404).render(Door::Databricks, "openai").retry_after, None);
    let own = Refusal::new(Reason::EngineNotReady, "starting");
    assert_eq!(own.render(Door::OpenAi, "x").retry_after, Some(1));
}

#[test]
fn a_broken_stream_ends_with_both_shapes() {
    let event = Refusal::new(Reason::UpstreamClosed, "cut").stream_event("openai");
    assert_eq!(event["error"]["message"], "cut");
    assert_eq!(event["error_code"], "INTERNAL_ERROR");
    assert_eq!(event["message"], "cut");
}

#[test]
fn a_refused_credential_does_not_quote_the_providers_text_about_keys() {
    let rendered = body(&provider(401).render(Door::OpenAi, "openai"));
    assert!(!rendered["error"]["message"].as_str().unwrap().contains("no such model"));
}
