use super::*;
use crate::bedrock::PAIRS;

fn api(task: Task, model: &str, maker: Option<&str>) -> Option<&'static str> {
    pair(task, model, maker).map(|pair| pair.api)
}

#[test]
fn a_name_tells_the_api() {
    for (model, chat) in [
        ("anthropic.claude-v2:1", "invoke (anthropic messages)"),
        ("anthropic.claude-v2:0:18k", "invoke (anthropic messages)"),
        ("anthropic.claude-instant-v1", "invoke (anthropic messages)"),
        ("anthropic.claude-3-sonnet-20240229-v1:0", "converse (anthropic)"),
        ("global.anthropic.claude-opus-4-6-v1", "converse (anthropic)"),
        ("us-gov.anthropic.claude-3-haiku-20240307-v1:0", "converse (anthropic)"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", "converse (amazon nova)"),
        ("arn:aws:bedrock:us-east-1::foundation-model/mistral.mistral-large-2402-v1:0", "converse (mistral)"),
        ("amazon.titan-text-lite-v1", "converse"),
        ("cohere.command-r-plus-v1:0", "converse (cohere)"),
        ("ai21.jamba-1-5-large-v1:0", "converse (ai21labs)"),
        ("openai.gpt-oss-20b-1:0", "converse (openai)"),
        ("us.meta.llama3-2-1b-instruct-v1:0", "converse"),
        ("zai.glm-4.7-flash", "converse"),
        ("no-such-thing", "converse"),
    ] {
        assert_eq!(api(Task::Chat, model, None), Some(chat), "{model}");
    }
    for (model, completions) in [
        ("anthropic.claude-v2", Some("invoke (anthropic)")),
        ("anthropic.claude-instant-v1:2:100k", Some("invoke (anthropic)")),
        ("anthropic.claude-3-haiku-20240307-v1:0", None),
        ("cohere.command-text-v14:7:4k", Some("invoke (cohere)")),
        ("cohere.command-light-text-v14", Some("invoke (cohere)")),
        ("cohere.command-r-v1:0", None),
        ("ai21.j2-mid-v1", Some("invoke (ai21labs)")),
        ("amazon.titan-text-express-v1", Some("invoke (amazon titan)")),
        ("amazon.titan-tg1-large", Some("invoke (amazon titan)")),
        ("amazon.titan-embed-text-v1", None),
        ("meta.llama3-8b-instruct-v1:0", None),
    ] {
        assert_eq!(api(Task::Completions, model, None), completions, "{model}");
    }
    for (model, embeddings) in [
        ("amazon.titan-embed-text-v2:0", Some("invoke (amazon titan)")),
        ("amazon.titan-embed-g1-text-02", Some("invoke (amazon titan)")),
        ("us.cohere.embed-v4:0", Some("invoke (cohere)")),
        ("cohere.command-text-v14", None),
        ("anthropic.claude-v2", None),
    ] {
        assert_eq!(api(Task::Embeddings, model, None), embeddings, "{model}");
    }
}

#[test]
fn the_config_tells_the_maker_where_the_name_does_not() {
    let profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
    for (maker, chat, completions, embeddings) in [
        ("Anthropic", "converse (anthropic)", Some("invoke (anthropic)"), None),
        ("cohere", "converse (cohere)", Some("invoke (cohere)"), Some("invoke (cohere)")),
        ("AI21Labs", "converse (ai21labs)", Some("invoke (ai21labs)"), None),
        ("amazon", "converse (amazon nova)", Some("invoke (amazon titan)"), Some("invoke (amazon titan)")),
        ("grok", "converse", None, None),
    ] {
        assert_eq!(api(Task::Chat, profile, Some(maker)), Some(chat), "{maker}");
        assert_eq!(api(Task::Completions, profile, Some(maker)), completions, "{maker}");
        assert_eq!(api(Task::Embeddings, profile, Some(maker)), embeddings, "{maker}");
    }
    // A name that says it wins.
    assert_eq!(api(Task::Chat, "amazon.nova-pro-v1:0", Some("anthropic")), Some("converse (amazon nova)"));
}

#[test]
fn every_rules_pair_is_for_its_task() {
    for rule in RULES {
        assert_eq!(rule.task, rule.pair.task(), "{} {}", rule.maker, rule.names);
        assert!(PAIRS.iter().any(|pair| std::ptr::eq(*pair, rule.pair)), "{}", rule.pair.api);
    }
}

#[test]
fn some_models_take_schemas() {
    for (family, model, expected) in [
        (Family::Claude, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", true),
        (Family::Claude, "anthropic.claude-3-7-sonnet-20250219-v1:0", false),
        (Family::Claude, "us.anthropic.claude-opus-4-1-20250805-v1:0", false),
        (Family::OpenAi, "openai.gpt-oss-120b-1:0", true),
        (Family::Mistral, "mistral.mistral-large-2402-v1:0", false),
        (Family::Nova, "us.amazon.nova-pro-v1:0", false),
        (Family::Other, "minimax.minimax-m2", true),
        (Family::Other, "meta.llama3-8b-instruct-v1:0", false),
    ] {
        assert_eq!(family.has_schemas(model), expected, "{model}");
    }
}
