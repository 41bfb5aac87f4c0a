//! What a valid config folder compiles to, and the REST door's stricter rules.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows helpers of integration tests not as tests")]

use std::{fs, path::Path, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};
use weirgate_config::{
    AwsCredential, CustomAuth, EndpointKind, JwtAlgorithm, NoSecrets, PermissionLevel, PermissionPrincipal,
    PrincipalKind, ProviderConfig, Secret, SecretSource, Serving, Severity, Snapshot, Target, Task, Throughput,
    compile::{self, Context, Door},
    document::{CatalogSpec, EndpointSpec, GatewaySpec},
    load, schema,
    secret::Resolver,
    structure::UnknownKeys,
    yaml,
};

fn example(name: &str) -> Snapshot {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name), &NoSecrets).unwrap()
}

fn provider<'s>(snapshot: &'s Snapshot, endpoint: &str, entity: &str) -> &'s ProviderConfig {
    let entity = snapshot.endpoints[endpoint].entities.iter().find(|e| &*e.name == entity).unwrap();
    match &entity.target {
        Target::External(model) => &model.provider,
        Target::Local(_) => panic!("{} is local", entity.name),
    }
}

#[test]
fn an_empty_folder_is_a_gateway_with_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = load(folder.path(), &NoSecrets).unwrap();
    let settings = &snapshot.settings;
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(
        (settings.listeners[0].address.to_string().as_str(), settings.listeners[0].h2c),
        ("127.0.0.1:8080", true)
    );
    assert_eq!(
        (settings.limits.body, settings.limits.control_body, settings.limits.bodies_in_flight),
        (32 << 20, 4 << 20, 1 << 30)
    );
    assert_eq!(
        (settings.grace.as_secs(), settings.upstreams.pool, settings.upstreams.allow_private),
        (600, 512, false)
    );
    assert!(
        snapshot.endpoints.is_empty()
            && snapshot.models.is_empty()
            && snapshot.tokens.is_empty()
            && snapshot.warnings.is_empty()
    );
}

#[test]
fn every_provider_compiles_to_its_form() {
    let snapshot = example("everything");
    let chat = &snapshot.endpoints["chat"];
    assert_eq!((chat.kind, chat.task, chat.entities.len()), (EndpointKind::External, Some(Task::Chat), 11));
    assert_eq!(chat.entities.iter().map(|e| e.weight).sum::<u32>(), 100);
    assert_eq!(chat.entities[0].weight, 70);
    assert!(
        matches!(provider(&snapshot, "chat", "gpt"), ProviderConfig::OpenAi { base, .. } if base.as_str() == "https://api.openai.com/v1")
    );
    assert!(matches!(provider(&snapshot, "chat", "bedrock-profile"),
        ProviderConfig::AmazonBedrock { base, credential: AwsCredential::InstanceProfile(_), .. }
        if base.as_str() == "https://bedrock-runtime.us-east-1.amazonaws.com/"));
    assert!(matches!(provider(&snapshot, "chat", "gemini"),
        ProviderConfig::VertexAi { base, .. } if base.as_str() == "https://us-central1-aiplatform.googleapis.com/"));
    assert!(matches!(provider(&snapshot, "chat", "custom-header"),
        ProviderConfig::Custom { auth: CustomAuth::Header { name, .. }, .. } if name == "x-api-key"));
    let names: Vec<_> = chat.entities.iter().map(|e| provider(&snapshot, "chat", &e.name).provider_name()).collect();
    let expected = "openai anthropic cohere amazon-bedrock amazon-bedrock ai21labs google-cloud-vertex-ai databricks-model-serving palm custom custom";
    assert_eq!(names.join(" "), expected);
    assert_eq!(snapshot.endpoints["empty"].kind, EndpointKind::Empty);
    let permissions = chat.permissions.as_ref().unwrap();
    assert_eq!(permissions[1].principal, PermissionPrincipal::User("ann@example.com".into()));
    assert!(permissions[1].level > PermissionLevel::CanQuery);
    assert_eq!(snapshot.tokens[1].expires_at, Some(1_896_048_000));
    assert!(
        matches!(provider(&example("azure"), "chat", "with-key"), ProviderConfig::Azure { deployment, .. } if deployment == "chat")
    );
}

#[test]
fn principals_and_issuers_have_their_defaults() {
    let snapshot = example("everything");
    let [ann, nightly] = &snapshot.principals[..] else { panic!("{:?}", snapshot.principals) };
    assert_eq!((ann.kind, &*ann.name, ann.admin), (PrincipalKind::User, "ann@example.com", false));
    assert_eq!(ann.groups, ["research".into(), "reviewers".into()]);
    assert_eq!((nightly.kind, nightly.admin), (PrincipalKind::ServicePrincipal, true));
    let [full, short] = &snapshot.issuers[..] else { panic!("{:?}", snapshot.issuers) };
    assert_eq!(full.jwks_url.as_ref().unwrap().as_str(), "https://login.example.com/realm/keys");
    assert_eq!(&*full.groups["their-research"], "research");
    assert_eq!((short.jwks_url.as_ref(), short.user_claim.as_str(), short.groups_claim.as_ref()), (None, "sub", None));
    assert_eq!(short.algorithms, [JwtAlgorithm::RS256, JwtAlgorithm::ES256]);
    assert_eq!((short.leeway.as_secs(), snapshot.settings.engine.deploy_timeout.as_secs()), (60, 600));
}

#[test]
fn catalogue_models_make_foundation_and_custom_endpoints() {
    let snapshot = example("vllm-engine");
    let mistral = &snapshot.endpoints["mistral"];
    let entity = &mistral.entities[0];
    assert_eq!((mistral.kind, mistral.task), (EndpointKind::Foundation, Some(Task::Chat)));
    assert_eq!((&*entity.name, entity.weight), ("mistral_7b_instruct_v0_1-2", 100));
    assert_eq!(entity.throughput, Some(Throughput { min: 970, max: 1940 }));
    let Target::Local(model) = &entity.target else { panic!("not local") };
    assert!(Arc::ptr_eq(model, &snapshot.models[&model.id]));
    assert!(matches!(&model.serving, Serving::Engine { url } if url.as_str() == "http://10.0.0.5:8000/"));
    assert_eq!((snapshot.endpoints["fraud"].kind, snapshot.endpoints["fraud"].task), (EndpointKind::Custom, None));
    assert_eq!(example("local-models").endpoints["minilm"].task, Some(Task::Embeddings));
}

struct Store;

impl SecretSource for Store {
    fn get(&self, scope: &str, key: &str) -> Option<String> {
        ((scope, key) == ("prod", "openai")).then(|| "sk-stored\n".to_owned())
    }
}

/// What the REST door says about an endpoint with this block.
fn over_rest(block: Value) -> (Option<ProviderConfig>, Vec<String>) {
    let body = json!({ "name": "a", "later_field": 1, "config": { "served_entities": [{ "external_model": {
        "name": "m", "provider": "openai", "task": "llm/v1/chat", "openai_config": block } }] } });
    let (spec, problems) = schema::ENDPOINT.read::<EndpointSpec>(body, UnknownKeys::Ignore);
    assert_eq!(problems, []);
    let spec = spec.unwrap();
    let secrets = Resolver { folder: Path::new("/nowhere"), store: &Store };
    let context = Context { models: None, allow_private: false, door: Door::Rest, secrets };
    let (endpoint, problems) = compile::endpoint(spec, &context);
    assert!(problems.iter().all(|problem| problem.severity == Severity::Error));
    let provider = endpoint.and_then(|endpoint| match &endpoint.entities[0].target {
        Target::External(model) => Some(model.provider.clone()),
        Target::Local(_) => None,
    });
    (provider, problems.into_iter().map(|problem| problem.message).collect())
}

#[test]
fn the_rest_door_takes_stored_secrets_only() {
    let (provider, problems) = over_rest(
        json!({ "openai_api_key": "{{secrets/prod/openai}}", "openai_api_base": "https://api.example.com/v1/" }),
    );
    assert!(problems.is_empty(), "{problems:?}");
    let Some(ProviderConfig::OpenAi { base, key, .. }) = provider else { panic!() };
    assert_eq!((base.as_str(), key.value()), ("https://api.example.com/v1", Some("sk-stored")));
    assert!(over_rest(json!({ "openai_api_key_plaintext": "sk-plain" })).1.is_empty());
    for (block, part) in [
        (json!({ "openai_api_key": "{{env/PATH}}" }), "for files only"),
        (json!({ "openai_api_key": "{{secrets/prod/absent}}" }), "no key `absent`"),
        (json!({ "openai_api_key": "sk-literal" }), "openai_api_key_plaintext"),
    ] {
        let problems = over_rest(block).1;
        assert!(problems.len() == 1 && problems[0].contains(part) && !problems[0].contains("sk-"), "{problems:?}");
    }
}

#[test]
fn environment_variables_take_stored_secrets_only_over_rest() {
    let body = json!({ "name": "a", "config": { "served_entities": [{ "entity_name": "m", "entity_version": 1,
        "environment_vars": { "A": "{{env/PATH}}", "B": "{{file/key}}", "C": "{{secrets/prod/openai}}", "D": "plain" } }] } });
    let spec = schema::ENDPOINT.read::<EndpointSpec>(body, UnknownKeys::Ignore).0.unwrap();
    let secrets = Resolver { folder: Path::new("/nowhere"), store: &Store };
    let context = |door| Context { models: None, allow_private: false, door, secrets };
    let (_, problems) = compile::endpoint(spec.clone(), &context(Door::Rest));
    let places: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
    let at = "/config/served_entities/0/environment_vars";
    assert_eq!(places, [format!("{at}/A"), format!("{at}/B")]);
    assert!(problems.iter().all(|problem| problem.message.contains("for files only")), "{problems:?}");
    let (_, problems) = compile::endpoint(spec, &context(Door::File));
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning), "{problems:?}");
}

#[test]
fn over_rest_a_control_character_is_found_by_the_query() {
    let (provider, problems) = over_rest(json!({ "openai_api_key_plaintext": "sk-a\nb" }));
    assert!(problems.is_empty(), "{problems:?}");
    assert!(matches!(provider, Some(ProviderConfig::OpenAi { key: Secret::Missing { .. }, .. })));
}

#[test]
fn a_key_that_no_header_can_carry_counts_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("endpoints")).unwrap();
    fs::write(folder.path().join("key"), "sk-a\r\nx-admin: true").unwrap();
    let text = "name: a\nconfig: { served_entities: [{ external_model: { name: m, provider: openai, task: llm/v1/chat, \
                openai_config: { openai_api_key: \"{{file/key}}\" } } }] }\n";
    fs::write(folder.path().join("endpoints/a.yaml"), text).unwrap();
    let snapshot = load(folder.path(), &NoSecrets).unwrap();
    assert!(matches!(provider(&snapshot, "a", "m"), ProviderConfig::OpenAi { key: Secret::Missing { .. }, .. }));
    assert!(snapshot.warnings[0].message.contains("control character") && !format!("{snapshot:?}").contains("sk-a"));
}

#[test]
fn no_debug_output_shows_a_plaintext() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("endpoints")).unwrap();
    let text = "name: a\nconfig: { served_entities: [{ external_model: { name: m, provider: openai, task: llm/v1/chat, \
                openai_config: { openai_api_key_plaintext: sk-plain } } }] }\n";
    fs::write(folder.path().join("endpoints/a.yaml"), text).unwrap();
    let snapshot = load(folder.path(), &NoSecrets).unwrap();
    assert!(snapshot.documents[Path::new("endpoints/a.yaml")].contains("sk-plain"));
    assert!(!format!("{snapshot:?}").contains("sk-plain"));
    assert!(!format!("{:?}", yaml::Document::parse(text).unwrap()).contains("sk-plain"));
}

#[test]
fn the_digest_follows_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let digest = || load(folder.path(), &NoSecrets).unwrap().digest;
    let empty = digest();
    assert_eq!(empty, digest());
    fs::write(folder.path().join("notes.txt"), "x").unwrap();
    assert_eq!(empty, digest());
    fs::write(folder.path().join("weirgate.yaml"), "threads: 2\n").unwrap();
    assert_ne!(empty, digest());
}

#[test]
fn examples_survive_a_rewrite() {
    for name in ["everything", "azure", "vllm-engine", "weighted-two-providers"] {
        for endpoint in example(name).endpoints.values() {
            let written = serde_json::to_value(&*endpoint.document).unwrap();
            assert_eq!(schema::ENDPOINT.check(&written, UnknownKeys::Refuse), []);
            assert_eq!(serde_json::from_value::<EndpointSpec>(written).unwrap(), *endpoint.document);
        }
    }
}

prop_compose! {
    /// A valid endpoint with random names, split, tags and limits.
    fn valid_endpoint()(
        name in "[A-Za-z0-9_-]{1,63}",
        shares in prop::collection::vec(0u32..=100, 1..15),
        description in any::<String>(),
        tags in prop::collection::btree_map("\\PC{1,20}", "\\PC{0,20}", 0..20),
        calls in any::<u32>(),
        as_text in any::<bool>(),
    ) -> Value {
        // Cuts of 0..=100 in order give shares that sum to 100.
        let mut cuts = shares;
        cuts.sort_unstable();
        let mut routes = Vec::new();
        let mut entities = Vec::new();
        let mut last = 0;
        for (index, cut) in cuts.iter().chain([&100]).enumerate() {
            let share = cut - last;
            last = *cut;
            let percentage = if as_text { json!(share.to_string()) } else { json!(share) };
            routes.push(json!({ "served_entity_name": format!("e{index}"), "traffic_percentage": percentage }));
            entities.push(json!({ "name": format!("e{index}"), "external_model": { "name": "m", "provider": "openai", "task": "llm/v1/chat",
                "openai_config": { "openai_api_key": "{{secrets/prod/openai}}" } } }));
        }
        let tags: Vec<Value> = tags.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        json!({ "name": name, "description": description, "tags": tags,
            "rate_limits": [{ "calls": calls, "renewal_period": "minute" }],
            "config": { "served_entities": entities, "traffic_config": { "routes": routes } } })
    }
}

/// The pointers of all places in a value.
fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| places(value, format!("{at}/{key}"), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, format!("{at}/{index}"), all))
        }
        _ => {}
    }
    all.push(at);
}

/// A file of an example with one place replaced by something else.
fn damaged(file: &str) -> impl Strategy<Value = Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
    let document = yaml::Document::parse(&fs::read_to_string(path).unwrap()).unwrap().value;
    let mut all = Vec::new();
    places(&document, String::new(), &mut all);
    let other = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!({ "name": "x" })),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9./:{}]{0,12}".prop_map(Value::from),
    ];
    (prop::sample::select(all), other).prop_map(move |(place, other)| {
        let mut document = document.clone();
        *document.pointer_mut(&place).unwrap() = other;
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn schemas_accept_nothing_that_their_types_refuse(
        gateway in damaged("everything/weirgate.yaml"),
        catalog in damaged("vllm-engine/catalog.yaml"),
    ) {
        let (_, problems) = schema::GATEWAY.read::<GatewaySpec>(gateway, UnknownKeys::Refuse);
        prop_assert!(problems.iter().all(|problem| !problem.message.contains("fault of weirgate")), "{:?}", problems);
        let (_, problems) = schema::CATALOG.read::<CatalogSpec>(catalog, UnknownKeys::Refuse);
        prop_assert!(problems.iter().all(|problem| !problem.message.contains("fault of weirgate")), "{:?}", problems);
    }

    #[test]
    fn what_is_refused_says_why(document in damaged("everything/endpoints/chat.yaml")) {
        let (spec, mut problems) = schema::ENDPOINT.read::<EndpointSpec>(document, UnknownKeys::Refuse);
        prop_assert!(problems.iter().all(|problem| !problem.message.contains("fault of weirgate")), "{:?}", problems);
        if let Some(spec) = spec {
            let secrets = Resolver { folder: Path::new("/nowhere"), store: &Store };
            let context = Context { models: None, allow_private: false, door: Door::File, secrets };
            let (endpoint, more) = compile::endpoint(spec, &context);
            problems.extend(more);
            // What does not compile says why.
            prop_assert!(endpoint.is_some() || problems.iter().any(|problem| problem.severity == Severity::Error));
        }
    }
}

proptest! {
    #[test]
    fn a_document_with_structural_errors_is_never_loaded(
        gateway in damaged("everything/weirgate.yaml"),
        endpoint in damaged("weighted-two-providers/endpoints/chat.yaml"),
    ) {
        for (path, value, shape) in
            [("weirgate.yaml", gateway, &*schema::GATEWAY), ("endpoints/chat.yaml", endpoint, &*schema::ENDPOINT)]
        {
            let documents = [(path.into(), value.to_string().into())].into();
            let loaded = weirgate_config::load_documents(documents, Path::new("/nowhere"), &NoSecrets);
            // A text of nothing is an empty document.
            let accepted = value.is_null() || shape.check(&value, UnknownKeys::Refuse).is_empty();
            prop_assert!(loaded.is_err() || accepted);
        }
    }

    #[test]
    fn valid_documents_pass_and_survive_a_round_trip(document in valid_endpoint()) {
        prop_assert_eq!(schema::ENDPOINT.check(&document, UnknownKeys::Refuse), []);
        let spec: EndpointSpec = serde_json::from_value(document).unwrap();
        let written = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(&serde_json::from_value::<EndpointSpec>(written).unwrap(), &spec);
        let secrets = Resolver { folder: Path::new("/nowhere"), store: &Store };
        let context = Context { models: None, allow_private: false, door: Door::File, secrets };
        let (endpoint, problems) = compile::endpoint(spec, &context);
        prop_assert!(problems.iter().all(|problem| problem.severity == Severity::Warning), "{:?}", problems);
        prop_assert_eq!(endpoint.unwrap().entities.iter().map(|entity| entity.weight).sum::<u32>(), 100);
    }
}

#[test]
fn a_snapshots_documents_load_again_without_the_folder_being_valid() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weirgate.yaml"), "threads: 3\n").unwrap();
    let good = load(folder.path(), &NoSecrets).unwrap();
    std::fs::write(folder.path().join("weirgate.yaml"), "threads: [\n").unwrap();
    load(folder.path(), &NoSecrets).unwrap_err();
    let again = weirgate_config::load_documents(good.documents.clone(), folder.path(), &NoSecrets).unwrap();
    assert_eq!((again.settings.threads, again.digest), (3, good.digest));
}

#[test]
fn a_missing_folder_is_named() {
    let said = load(Path::new("/nowhere"), &NoSecrets).unwrap_err().to_string();
    assert_eq!(said, "/nowhere: error: the config folder does not exist or is no folder");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weirgate.yaml");
    fs::write(&file, "threads: 2\n").unwrap();
    let said = load(&file, &NoSecrets).unwrap_err().to_string();
    assert_eq!(said, format!("{}: error: the config folder does not exist or is no folder", file.display()));
}
