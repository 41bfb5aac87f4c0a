"""Config documents as Python dicts. JSON is YAML, so they are written as they are."""
import hashlib

CHAT, COMPLETIONS, EMBEDDINGS = "llm/v1/chat", "llm/v1/completions", "llm/v1/embeddings"
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"
ADMIN, ALICE, BOB = "wg-admin-token-for-tests", "wg-alice-token-for-tests", "wg-bob-token-for-tests"

BODY_LIMIT = 64 * 1024
SMALL_LIMITS = {"body": "64KiB", "head_timeout": "1s", "body_timeout": "500ms"}


def token(secret, user, groups=(), **more):
    return {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "user": user, "groups": list(groups), **more}


def openai(name, base, model="gpt-4o-mini", task=CHAT, key=UPSTREAM_KEY):
    """A served entity of the provider `openai`; `key` is a secret reference or the value itself."""
    field = "openai_api_key" if key.startswith("{{") else "openai_api_key_plaintext"
    config = {"openai_api_base": base, field: key}
    return {"name": name, "external_model": {"name": model, "provider": "openai", "task": task, "openai_config": config}}


def databricks(name, base, model, task=CHAT, key=UPSTREAM_KEY):
    config = {"databricks_workspace_url": base, "databricks_api_token_plaintext": key}
    return {"name": name, "external_model": {"name": model, "provider": "databricks-model-serving", "task": task,
                                             "databricks_model_serving_config": config}}


def custom(name, url, model="some-model", task=CHAT, **auth):
    config = {"custom_provider_url": url, **auth}
    return {"name": name, "external_model": {"name": model, "provider": "custom", "task": task,
                                             "custom_provider_config": config}}


def endpoint(name, *entities, split=None, **more):
    """An endpoint document; `split` gives the percentage per entity, default all to the first."""
    split = split or {entities[0]["name"]: 100}
    routes = [{"served_model_name": entity, "traffic_percentage": share} for entity, share in split.items()]
    return {"name": name, "config": {"served_entities": list(entities), "traffic_config": {"routes": routes}}, **more}


def chat_body(model=None, **more):
    body = {"messages": [{"role": "user", "content": "Say hello."}]} | more
    return {"model": model, **body} if model else body
