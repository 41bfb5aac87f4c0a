use serde_json::{Value, json};

use super::testbed::{Testbed, ada, bob, local, openai};
use crate::Deployment;

const CHAT: &str = "llm/v1/chat";

/// Fails unless the message names all of these.
fn says(answer: &(u16, Value), code: &str, words: &[&str]) {
    assert_eq!((answer.0, answer.1["error_code"].as_str()), (400, Some(code)), "{answer:?}");
    for word in words {
        assert!(answer.1["message"].as_str().unwrap().contains(word), "no `{word}` in {answer:?}");
    }
}

#[tokio::test]
async fn an_external_endpoint_is_ready_at_once() {
    let bed = Testbed::new();
    bed.secret(&ada(), "scope", "key", "sk-planted");
    let mut entity = openai("openai_embeddings", "text-embedding-ada-002", "llm/v1/embeddings");
    entity["external_model"]["openai_config"] = json!({ "openai_api_key": "{{secrets/scope/key}}" });
    let body = json!({
        "name": "e",
        "config": { "name": "ignored", "served_entities": [entity], "unknown": 1 },
        "rate_limits": [{ "calls": 100, "key": "user", "renewal_period": "minute" }],
        "tags": [{ "key": "team", "value": "gen-ai" }],
        "description": null,
        "telemetry_config": { "telemetry_profile_id": "dropped" },
        "newer_field": {},
    });
    let made = bed.ok("POST", "", body).await;
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let now = crate::now_ms();
    assert!(made["creation_timestamp"].as_u64().unwrap().abs_diff(now) < 60_000);
    let expected = json!({
        "name": "e", "id": id, "creator": "ada@example.com", "creator_display_name": "ada@example.com",
        "creator_kind": "User", "creation_timestamp": made["creation_timestamp"],
        "last_updated_timestamp": made["creation_timestamp"],
        "state": { "ready": "READY", "config_update": "NOT_UPDATING" },
        "tags": [{ "key": "team", "value": "gen-ai" }],
        "task": "llm/v1/embeddings", "endpoint_type": "EXTERNAL_MODEL", "route_optimized": false, "description": "",
        "rate_limits": [{ "calls": 100, "key": "user", "renewal_period": "minute" }],
        "permission_level": "CAN_MANAGE",
        "config": {
            "config_version": 1,
            "traffic_config": { "routes": [{
                "served_model_name": "openai_embeddings", "served_entity_name": "openai_embeddings", "traffic_percentage": 100,
            }] },
            "served_entities": [{
                "name": "openai_embeddings",
                "external_model": {
                    "name": "text-embedding-ada-002", "provider": "openai", "task": "llm/v1/embeddings",
                    "openai_config": { "openai_api_key": "{{secrets/scope/key}}" },
                },
                "state": { "deployment": "DEPLOYMENT_READY", "deployment_state_message": "" },
                "creator": "ada@example.com",
                "creation_timestamp": made["config"]["served_entities"][0]["creation_timestamp"],
            }],
        },
    });
    assert_eq!(made, expected);
    assert_eq!(bed.ok("GET", "/e", Value::Null).await, made);
    let list = bed.ok("GET", "", Value::Null).await;
    let summary = &list["endpoints"][0];
    assert_eq!(summary["state"], made["state"]);
    assert_eq!(summary["config"]["served_entities"][0]["name"], "openai_embeddings");
    assert!(summary["config"].get("traffic_config").is_none());
    // Restarted, the same.
    let bed = bed.restarted();
    assert_eq!(bed.ok("GET", "/e", Value::Null).await, made);
    assert_eq!(bed.call("POST", "", json!({ "name": "e" })).await.1["error_code"], "RESOURCE_ALREADY_EXISTS");
    assert_eq!(bed.ok("DELETE", "/e", Value::Null).await, json!({}));
    assert_eq!(bed.call("GET", "/e", Value::Null).await.1["error_code"], "RESOURCE_DOES_NOT_EXIST");
    assert_eq!(bed.call("DELETE", "/..%2Fe", Value::Null).await.0, 404);
    assert_eq!(bed.ok("GET", "", Value::Null).await, json!({ "endpoints": [] }));
    assert!(bed.control.store.record("e").is_none() && !bed.file("e").exists());
}

#[tokio::test]
async fn values_sent_in_the_clear_are_sealed_and_never_shown() {
    let bed = Testbed::new();
    let config = json!({ "served_entities": [openai("a", "gpt-4", CHAT)] });
    let made = bed.ok("POST", "", json!({ "name": "e", "config": config })).await;
    let block = &made["config"]["served_entities"][0]["external_model"]["openai_config"];
    assert_eq!(*block, json!({}));
    let file = std::fs::read_to_string(bed.file("e")).unwrap();
    assert!(
        !file.contains("sk-planted")
            && file.contains(&format!("{{{{secrets/weirgate.{}/", made["id"].as_str().unwrap()))
    );
    for name in std::fs::read_dir(bed.control.store.folder()).unwrap() {
        let bytes = std::fs::read(name.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(10).any(|window| window == b"sk-planted"));
    }
    // Read, change, write does not carry them over.
    let again = json!({ "served_entities": made["config"]["served_entities"] });
    says(&bed.call("PUT", "/e/config", again).await, "INVALID_PARAMETER_VALUE", &["credential is missing"]);
    // Nor can anyone name the scope.
    let mut theft = openai("a", "gpt-4", CHAT);
    let reference = file.split('"').find(|part| part.contains("weirgate.")).unwrap_or_default().trim().to_owned();
    let reference = if reference.is_empty() {
        format!("{{{{secrets/weirgate.{}/k}}}}", made["id"].as_str().unwrap())
    } else {
        reference
    };
    theft["external_model"]["openai_config"] = json!({ "openai_api_key": reference });
    let answer = bed.call("PUT", "/e/config", json!({ "served_entities": [theft] })).await;
    says(&answer, "INVALID_PARAMETER_VALUE", &["openai_api_key", "own"]);
}

#[tokio::test]
async fn all_violations_are_named_together() {
    let bed = Testbed::new();
    let mut other_task = openai("b", "m", "llm/v1/embeddings");
    other_task["external_model"]["openai_config"] = json!({ "openai_api_key": "{{secrets/nowhere/key}}" });
    let body = json!({
        "name": "e",
        "config": {
            "served_entities": [openai("a", "gpt-4", CHAT), other_task],
            "traffic_config": { "routes": [{ "served_model_name": "a", "traffic_percentage": "90" }] },
        },
        "tags": [{ "key": "k" }, { "key": "k" }],
    });
    let answer = bed.call("POST", "", body).await;
    says(&answer, "INVALID_PARAMETER_VALUE", &["nowhere", "90", "twice", "same task", "served_entities[1]"]);
    assert_eq!(bed.ok("GET", "", Value::Null).await["endpoints"], json!([]));
    assert!(bed.control.store.record("e").is_none() && !bed.file("e").exists());
}

#[tokio::test]
async fn a_config_is_replaced_in_parts() {
    let bed = Testbed::new();
    let two = json!({
        "served_entities": [openai("current", "gpt-4", CHAT), openai("challenger", "gpt-5", CHAT)],
        "traffic_config": { "routes": [
            { "served_model_name": "current", "traffic_percentage": "90" },
            { "served_entity_name": "challenger", "traffic_percentage": "10" },
        ] },
    });
    let made = bed.ok("POST", "", json!({ "name": "e", "config": two })).await;
    let shares = |answer: &Value| {
        let routes = answer["config"]["traffic_config"]["routes"].as_array().unwrap().clone();
        routes.iter().map(|route| route["traffic_percentage"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(shares(&made), [90, 10]);
    let half = json!({ "name": "ignored", "traffic_config": { "routes": [
        { "served_model_name": "current", "traffic_percentage": 50 },
        { "served_model_name": "challenger", "traffic_percentage": 50 },
    ] } });
    let split = bed.ok("PUT", "/e/config", half.clone()).await;
    assert_eq!((shares(&split), split["config"]["config_version"].as_u64()), (vec![50, 50], Some(2)));
    assert!(split["last_updated_timestamp"].as_u64() > made["last_updated_timestamp"].as_u64());
    // The same once more is a version of its own.
    let same = bed.ok("PUT", "/e/config", half).await;
    assert_eq!(same["config"]["config_version"], 3);
    assert!(same["last_updated_timestamp"].as_u64() > split["last_updated_timestamp"].as_u64());
    // Same names: the split stays. An entity that stays as it is keeps its time.
    let entities = json!({ "served_entities": [openai("challenger", "gpt-6", CHAT), openai("current", "gpt-4", CHAT)], "rate_limits": [] });
    let kept = bed.ok("PUT", "/e/config", entities).await;
    assert_eq!((shares(&kept), kept["config"]["config_version"].as_u64()), (vec![50, 50], Some(4)));
    // Other names, several: no split to keep.
    let other = json!({ "served_entities": [openai("x", "gpt-6", CHAT), openai("current", "gpt-4", CHAT)] });
    says(&bed.call("PUT", "/e/config", other).await, "INVALID_PARAMETER_VALUE", &["traffic_config"]);
    // One: all of it. And another task.
    let one = json!({ "served_entities": [openai("x", "e", "llm/v1/embeddings")] });
    let one = bed.ok("PUT", "/e/config", one).await;
    assert_eq!((shares(&one), &one["task"]), (vec![100], &json!("llm/v1/embeddings")));
    says(
        &bed.call("PUT", "/e/config", json!({})).await,
        "INVALID_PARAMETER_VALUE",
        &["served_entities", "traffic_config"],
    );
    let turned = json!({ "served_entities": [local("system.ai.small", "1")] });
    says(&bed.call("PUT", "/e/config", turned).await, "INVALID_PARAMETER_VALUE", &["external"]);
    assert_eq!(bed.ok("GET", "/e", Value::Null).await, one);
}

#[tokio::test]
async fn tags_limits_and_settings() {
    let bed = Testbed::new();
    let config = json!({ "served_entities": [openai("a", "gpt-4", CHAT)] });
    bed.ok("POST", "", json!({ "name": "e", "config": config, "tags": [{ "key": "z" }] })).await;
    let patch = json!({ "add_tags": [{ "key": "b", "value": "1" }, { "key": "a" }, { "key": "z", "value": "2" }], "delete_tags": ["a", "none"] });
    let tags = json!({ "tags": [{ "key": "b", "value": "1" }, { "key": "z", "value": "2" }] });
    assert_eq!(bed.ok("PATCH", "/e/tags", patch).await, tags);
    let many: Vec<Value> = (0..20).map(|i| json!({ "key": format!("k{i}") })).collect();
    says(&bed.call("PATCH", "/e/tags", json!({ "add_tags": many })).await, "INVALID_PARAMETER_VALUE", &["tags"]);

    let limits = json!({ "rate_limits": [{ "key": "user", "renewal_period": "minute", "calls": 10 }] });
    assert_eq!(bed.ok("PUT", "/e/rate-limits", limits.clone()).await, limits);
    let twice = json!({ "rate_limits": [{ "renewal_period": "minute", "calls": 10 }, { "key": "endpoint", "renewal_period": "minute", "calls": 1 }] });
    says(&bed.call("PUT", "/e/rate-limits", twice).await, "INVALID_PARAMETER_VALUE", &["rate_limits[1]"]);
    assert_eq!(bed.ok("PUT", "/e/rate-limits", json!({ "rate_limits": [] })).await, json!({ "rate_limits": [] }));

    let table = json!({ "enabled": true, "catalog_name": "c", "schema_name": "s" });
    let block = json!({ "inference_table_config": table, "usage_tracking_config": { "enabled": true } });
    let mut shown = block.clone();
    shown["inference_table_config"]["table_name_prefix"] = json!("e");
    assert_eq!(bed.ok("PUT", "/e/ai-gateway", block.clone()).await, shown);
    let renamed = json!({ "inference_table_config": { "enabled": true, "catalog_name": "d", "schema_name": "s" } });
    says(&bed.call("PUT", "/e/ai-gateway", renamed.clone()).await, "INVALID_PARAMETER_VALUE", &["catalog_name"]);
    assert_eq!(bed.ok("PUT", "/e/ai-gateway", json!({})).await, json!({}));
    let mut shown = renamed.clone();
    shown["inference_table_config"]["table_name_prefix"] = json!("e");
    assert_eq!(bed.ok("PUT", "/e/ai-gateway", renamed.clone()).await, shown);

    let mail = json!({ "email_notifications": { "on_update_failure": ["a@b.c"] } });
    let told = json!({ "name": "e", "email_notifications": { "on_update_failure": ["a@b.c"] } });
    assert_eq!(bed.ok("PATCH", "/e/notifications", mail).await, told);
    let telemetry = json!({ "telemetry_config": { "telemetry_profile_id": "p" } });
    says(&bed.call("PATCH", "/e/telemetry-config", telemetry).await, "INVALID_PARAMETER_VALUE", &["telemetry_config"]);
    let export = json!({ "uc_system_metrics_export_state": "FIRST_PARTY_EXPORT_ENABLED" });
    let shown = bed.ok("PATCH", "/e/system-metrics-export-state", export).await;
    assert_eq!(shown["uc_system_metrics_export_state"], "FIRST_PARTY_EXPORT_ENABLED");
    // None of this is config.
    assert_eq!(shown["config"]["config_version"], 1);
}

#[tokio::test]
async fn rights() {
    let bed = Testbed::new();
    let mut entity = openai("a", "gpt-4", CHAT);
    let config = json!({ "served_entities": [entity.clone()] });
    bed.ok("POST", "", json!({ "name": "e", "config": config })).await;
    for (method, path) in [("GET", "/e"), ("DELETE", "/e"), ("PUT", "/e/config"), ("PATCH", "/e/tags")] {
        let (status, answer) = bed.as_user(&bob(), method, path, json!({})).await;
        assert_eq!((status, &answer["error_code"]), (403, &json!("PERMISSION_DENIED")), "{method} {path}");
    }
    assert_eq!(bed.as_user(&bob(), "GET", "", Value::Null).await.1, json!({ "endpoints": [] }));
    // A scope that is not the caller's is as good as none.
    bed.secret(&ada(), "hers", "key", "v");
    entity["external_model"]["openai_config"] = json!({ "openai_api_key": "{{secrets/hers/key}}" });
    let body = json!({ "name": "f", "config": { "served_entities": [entity] } });
    says(&bed.as_user(&bob(), "POST", "", body.clone()).await, "INVALID_PARAMETER_VALUE", &["openai_api_key", "hers"]);
    bed.ok("POST", "", body).await;
    bed.write(
        "g",
        "name: g\nmanaged_by: file\npermissions: [{ user_name: ada@example.com, permission_level: CAN_MANAGE }]\n",
    );
    let (status, answer) = bed.call("DELETE", "/g", Value::Null).await;
    assert!(status == 403 && answer["message"].as_str().unwrap().contains("file"), "{answer}");
}

#[tokio::test]
async fn a_first_deployment_waits_for_its_models() {
    let bed = Testbed::new();
    bed.stand("system.ai.small", Deployment::Creating);
    let config = json!({
        "served_entities": [local("system.ai.small", "1"), local("system.ai.large", "3")],
        "traffic_config": { "routes": [
            { "served_model_name": "small-1", "traffic_percentage": 60 },
            { "served_model_name": "large-3", "traffic_percentage": 40 },
        ] },
    });
    let made = bed.ok("POST", "", json!({ "name": "pt", "config": config })).await;
    assert_eq!(made["state"], json!({ "ready": "NOT_READY", "config_update": "IN_PROGRESS" }));
    assert!(made.get("config").is_none());
    let pending = &made["pending_config"];
    assert_eq!(pending["served_entities"][0]["state"]["deployment"], "DEPLOYMENT_CREATING");
    assert_eq!(pending["served_models"][0]["model_version"], "1");
    assert_eq!((&pending["config_version"], &made["task"]), (&json!(1), &json!(CHAT)));
    assert!(pending["start_time"].as_u64().unwrap() >= made["creation_timestamp"].as_u64().unwrap());
    assert_eq!(bed.call("PUT", "/pt/config", config.clone()).await.1["error_code"], "RESOURCE_CONFLICT");
    assert_eq!(bed.call("POST", "", json!({ "name": "pt" })).await.1["error_code"], "RESOURCE_ALREADY_EXISTS");
    bed.tick();
    // It goes on after a restart.
    let bed = bed.restarted();
    bed.stand("system.ai.small", Deployment::Creating);
    assert_eq!(bed.ok("GET", "/pt", Value::Null).await["state"]["config_update"], "IN_PROGRESS");
    bed.stand("system.ai.small", Deployment::Ready);
    bed.tick();
    let done = bed.ok("GET", "/pt", Value::Null).await;
    assert_eq!(done["state"], json!({ "ready": "READY", "config_update": "NOT_UPDATING" }));
    assert!(done.get("pending_config").is_none() && done["id"] == made["id"]);
    assert_eq!(done["config"]["config_version"], 1);
    let entity = &done["config"]["served_entities"][0];
    assert_eq!(
        (&entity["creator"], &entity["foundation_model"]["name"]),
        (&json!("ada@example.com"), &json!("system.ai.small"))
    );
}

#[tokio::test]
async fn the_old_config_serves_until_the_new_one_is_ready_and_stays_if_it_never_is() {
    let bed = Testbed::new();
    let small = json!({ "served_entities": [local("system.ai.small", "1")] });
    let made = bed.ok("POST", "", json!({ "name": "pt", "config": small })).await;
    assert_eq!(made["state"]["ready"], "READY");
    bed.stand("system.ai.large", Deployment::Creating);
    let large = json!({ "served_entities": [local("system.ai.large", "3"), local("system.ai.small", "2")], "traffic_config": { "routes": [{ "served_model_name": "large-3", "traffic_percentage": 100 }] } });
    let updating = bed.ok("PUT", "/pt/config", large.clone()).await;
    assert_eq!(updating["state"], json!({ "ready": "READY", "config_update": "IN_PROGRESS" }));
    assert_eq!((&updating["config"], &updating["pending_config"]["config_version"]), (&made["config"], &json!(2)));
    let cancelled = bed.ok("POST", "/pt/config/cancel", Value::Null).await;
    assert_eq!(
        (&cancelled["state"]["config_update"], &cancelled["config"]),
        (&json!("UPDATE_CANCELED"), &made["config"])
    );
    assert_eq!(bed.call("POST", "/pt/config/cancel", Value::Null).await.0, 409);
    bed.ok("PUT", "/pt/config", large.clone()).await;
    bed.stand("system.ai.large", Deployment::Failed("out of memory".into()));
    bed.tick();
    let failed = bed.ok("GET", "/pt", Value::Null).await;
    assert_eq!(failed["state"], json!({ "ready": "READY", "config_update": "UPDATE_FAILED" }));
    assert!(failed.get("pending_config").is_none() && failed["config"] == made["config"]);
    let states: Vec<&Value> =
        failed["failed_config"]["served_entities"].as_array().unwrap().iter().map(|e| &e["state"]).collect();
    assert_eq!(states[0]["deployment_state_message"], "out of memory");
    assert_eq!(
        (&states[0]["deployment"], &states[1]["deployment"]),
        (&json!("DEPLOYMENT_FAILED"), &json!("DEPLOYMENT_ABORTED"))
    );
    // The next update is allowed.
    bed.stand("system.ai.large", Deployment::Ready);
    let done = bed.ok("PUT", "/pt/config", large).await;
    assert_eq!(
        (&done["state"]["config_update"], &done["config"]["config_version"]),
        (&json!("NOT_UPDATING"), &json!(2))
    );
    assert!(done.get("failed_config").is_none());
}

#[tokio::test]
async fn a_first_deployment_that_fails_shows_why() {
    let bed = Testbed::new();
    bed.stand("system.ai.small", Deployment::Failed("no such file".into()));
    bed.ok("POST", "", json!({ "name": "pt", "config": { "served_entities": [local("system.ai.small", "1")] } })).await;
    bed.tick();
    let failed = bed.ok("GET", "/pt", Value::Null).await;
    assert_eq!(failed["state"], json!({ "ready": "NOT_READY", "config_update": "UPDATE_FAILED" }));
    assert_eq!(failed["config"]["served_entities"][0]["state"]["deployment_state_message"], "no such file");
    assert!(failed.get("failed_config").is_none() && failed.get("pending_config").is_none());
}

#[tokio::test]
async fn edits_of_files_show_with_a_new_version() {
    let bed = Testbed::new();
    let document = |model: &str| {
        format!("name: f\nconfig: {{ served_entities: [{{ entity_name: {model}, entity_version: \"1\" }}] }}\n")
    };
    bed.write("f", &document("system.ai.small"));
    let admin = weirgate_policy::identity::Principal { admin: true, ..ada() };
    let made = bed.as_user(&admin, "GET", "/f", Value::Null).await.1;
    assert_eq!((&made["creator"], &made["config"]["config_version"]), (&json!("file"), &json!(1)));
    bed.write("f", &format!("{}description: d\n", document("system.ai.small")));
    let described = bed.as_user(&admin, "GET", "/f", Value::Null).await.1;
    assert_eq!((&described["description"], &described["config"]["config_version"]), (&json!("d"), &json!(1)));
    assert!(described["last_updated_timestamp"].as_u64() > made["last_updated_timestamp"].as_u64());
    bed.write("f", &document("system.ai.vectors"));
    let changed = bed.as_user(&admin, "GET", "/f", Value::Null).await.1;
    assert_eq!((&changed["task"], &changed["config"]["config_version"]), (&json!("llm/v1/embeddings"), &json!(2)));
    assert_eq!((&changed["id"], &changed["permission_level"]), (&made["id"], &json!("CAN_MANAGE")));
    std::fs::remove_file(bed.file("f")).unwrap();
    bed.control.keeper.refresh();
    assert!(bed.control.store.record("f").is_none());
}

#[tokio::test]
async fn model_units() {
    let bed = Testbed::new();
    let config = json!({ "served_entities": [{ "entity_name": "system.ai.small", "provisioned_model_units": 50, "pt_auto_renew": true }] });
    let made = bed.ok("POST", "/pt", json!({ "name": "pt", "config": config, "tags": [{ "key": "a" }] })).await;
    let entity = &made["config"]["served_entities"][0];
    assert_eq!(
        (&entity["entity_version"], &entity["name"], &entity["provisioned_model_units"]),
        (&json!("10"), &json!("small-10"), &json!(50))
    );
    // At once, whatever its model does.
    bed.stand("system.ai.large", Deployment::Creating);
    let config = json!({ "served_entities": [{ "entity_name": "system.ai.large", "provisioned_model_units": 100, "burst_scaling_enabled": false }] });
    let updated = bed.ok("PUT", "/pt/pt/config", json!({ "config": config })).await;
    assert_eq!(updated["state"], json!({ "ready": "NOT_READY", "config_update": "NOT_UPDATING" }));
    assert!(updated["config"]["served_entities"][0].get("burst_scaling_enabled").is_none());
    let unknown =
        json!({ "config": { "served_entities": [{ "entity_name": "system.ai.none", "provisioned_model_units": 1 }] } });
    says(&bed.call("PUT", "/pt/pt/config", unknown).await, "INVALID_PARAMETER_VALUE", &["system.ai.none"]);
    let custom = json!({ "name": "c", "config": { "served_entities": [{ "entity_name": "prod.fraud.scorer", "provisioned_model_units": 1 }] } });
    says(&bed.call("POST", "/pt", custom).await, "INVALID_PARAMETER_VALUE", &["custom model"]);
}

#[tokio::test]
async fn custom_endpoints_take_no_legacy_limits() {
    let bed = Testbed::new();
    bed.stand("prod.fraud.scorer", Deployment::Creating);
    let limits = json!([{ "renewal_period": "minute", "calls": 1 }]);
    let config = json!({ "served_models": [{ "model_name": "prod.fraud.scorer", "model_version": "7", "scale_to_zero_enabled": true }] });
    let refused = bed.call("POST", "", json!({ "name": "c", "config": config, "rate_limits": limits })).await;
    says(&refused, "INVALID_PARAMETER_VALUE", &["rate_limits"]);
    let made = bed.ok("POST", "", json!({ "name": "c", "config": config })).await;
    assert_eq!(made["endpoint_type"], "CUSTOM");
    // Nor while the first config waits.
    says(
        &bed.call("PUT", "/c/rate-limits", json!({ "rate_limits": limits })).await,
        "INVALID_PARAMETER_VALUE",
        &["rate_limits"],
    );
    bed.stand("prod.fraud.scorer", Deployment::Ready);
    bed.tick();
    let done = bed.ok("GET", "/c", Value::Null).await;
    assert_eq!(done["config"]["served_models"][0]["scale_to_zero_enabled"], true);
    assert_eq!(done["config"]["served_entities"][0]["entity_name"], "prod.fraud.scorer");
}

#[tokio::test]
async fn errors_of_form_and_of_rules_come_in_one_answer() {
    let bed = Testbed::new();
    let mut unknown = openai("b", "m", CHAT);
    unknown["external_model"]["provider"] = json!("opnai");
    let config = json!({
        "served_entities": [openai("a", "gpt-4", CHAT), openai("a", "gpt-4", CHAT)],
        "traffic_config": { "routes": [{ "served_model_name": "a", "traffic_percentage": 1.5 }] },
    });
    let limits = json!([{ "calls": 1, "renewal_period": "day" }]);
    let answer = bed.call("POST", "", json!({ "name": "no name", "config": config, "rate_limits": limits })).await;
    says(
        &answer,
        "INVALID_PARAMETER_VALUE",
        &["name: ", "served_entities[1].name", "traffic_percentage", "renewal_period"],
    );
    let made =
        bed.ok("POST", "", json!({ "name": "e", "config": { "served_entities": [openai("a", "gpt-4", CHAT)] } })).await;
    // Places are those of the body that was sent.
    let body = json!({ "served_entities": [openai("a", "gpt-4", CHAT), unknown], "traffic_config": { "routes": [
        { "served_model_name": "nobody", "traffic_percentage": 100 } ] } });
    let answer = bed.call("PUT", "/e/config", body).await;
    says(&answer, "INVALID_PARAMETER_VALUE", &["served_entities[1].external_model.provider"]);
    assert!(!answer.1["message"].as_str().unwrap().contains("config.served"), "{answer:?}");
    let block = json!({ "fallback_config": {}, "rate_limits": [{ "renewal_period": "minute" }] });
    let answer = bed.call("PUT", "/e/ai-gateway", block).await;
    says(&answer, "INVALID_PARAMETER_VALUE", &["fallback_config: `enabled`", "; rate_limits[0]: "]);
    says(
        &bed.call("PATCH", "/e/notifications", json!({ "email_notifications": 1 })).await,
        "INVALID_PARAMETER_VALUE",
        &["email_notifications"],
    );
    says(&bed.call("PUT", "/e/config", json!([])).await, "BAD_REQUEST", &["object"]);
    assert_eq!(bed.ok("GET", "/e", Value::Null).await, made);
}

#[tokio::test]
async fn two_gateways_on_one_state_agree() {
    let bed = Testbed::new();
    let other = bed.beside();
    let config = json!({ "served_entities": [openai("a", "gpt-4", CHAT)] });
    let made = bed.ok("POST", "", json!({ "name": "e", "config": config, "route_optimized": true })).await;
    assert_eq!(made["endpoint_url"], "/serving-endpoints/e/invocations");
    // Whoever notices the file notices the row.
    other.control.keeper.refresh();
    assert_eq!(other.ok("GET", "/e", Value::Null).await, made);
    let changed = other.ok("PUT", "/e/config", json!({ "served_entities": [openai("a", "gpt-5", CHAT)] })).await;
    assert_eq!(changed["config"]["config_version"], 2);
    // One that has not looked yet overwrites nothing.
    let late = bed.call("PATCH", "/e/tags", json!({ "add_tags": [{ "key": "k" }] })).await;
    assert_eq!(late.1["error_code"], "RESOURCE_CONFLICT");
    bed.control.store.reload_records().unwrap();
    assert_eq!(bed.ok("GET", "/e", Value::Null).await, changed);
    bed.ok("DELETE", "/e", Value::Null).await;
    other.control.keeper.refresh();
    other.control.store.reload_records().unwrap();
    assert_eq!(other.call("GET", "/e", Value::Null).await.0, 404);
    assert!(other.control.store.record("e").is_none());
}

#[tokio::test]
async fn the_url_is_the_one_by_which_the_caller_came() {
    use tower::ServiceExt;
    let bed = Testbed::new();
    bed.ok("POST", "", json!({ "name": "e", "route_optimized": true })).await;
    let caller = crate::Caller {
        principal: std::sync::Arc::new(ada()),
        warrant: Default::default(),
        address: None,
        request_id: "r".into(),
    };
    let request = http::Request::get("/api/2.0/serving-endpoints/e").header("host", "gateway:8080").extension(caller);
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = crate::api::router(bed.control.clone()).oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let shown: Value = serde_json::from_slice(&body).unwrap();
    let url = shown["endpoint_url"].as_str().unwrap();
    assert!(url.starts_with("http") && url.ends_with("://gateway:8080/serving-endpoints/e/invocations"), "{url}");
}

#[tokio::test]
async fn an_edit_by_hand_ends_an_update_that_waits() {
    let bed = Testbed::new();
    bed.ok("POST", "", json!({ "name": "e", "config": { "served_entities": [local("system.ai.small", "1")] } })).await;
    bed.stand("system.ai.large", Deployment::Creating);
    bed.ok("PUT", "/e/config", json!({ "served_entities": [local("system.ai.large", "3")] })).await;
    let text = std::fs::read_to_string(bed.file("e")).unwrap();
    bed.write("e", &text.replace("\"1\"", "\"2\"").replace("small-1", "small-2"));
    bed.stand("system.ai.large", Deployment::Ready);
    bed.tick();
    let shown = bed.ok("GET", "/e", Value::Null).await;
    assert_eq!(shown["state"]["config_update"], "UPDATE_CANCELED");
    assert_eq!(shown["config"]["served_entities"][0]["entity_version"], "2");
    assert_eq!(
        (&shown["config"]["config_version"], &shown["config"]["served_entities"][0]["creator"]),
        (&json!(2), &json!("file"))
    );
}

#[tokio::test]
async fn a_model_that_leaves_the_catalogue_ends_the_update() {
    let bed = Testbed::new();
    bed.stand("system.ai.large", Deployment::Creating);
    let config = json!({ "served_entities": [local("system.ai.large", "3")] });
    bed.ok("POST", "", json!({ "name": "e", "config": config })).await;
    bed.edit_catalog(|text| text.replace("system.ai.large", "system.ai.other"));
    bed.tick();
    let failed = bed.ok("GET", "/e", Value::Null).await;
    assert_eq!(failed["state"]["config_update"], "UPDATE_FAILED");
    let state = &failed["config"]["served_entities"][0]["state"];
    assert!(state["deployment_state_message"].as_str().unwrap().contains("catalog.yaml"), "{state}");
}
