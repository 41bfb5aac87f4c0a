"""Creating endpoints: every rule of contract §3.1 and what §1 says of fields, over raw HTTP."""
import copy

import pytest

from support import documents
from support.control import ENDPOINTS, unique

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def body(speaker):
    """A create body that is accepted as it is."""
    return documents.endpoint(unique("made"), documents.openai("a", f"{speaker.url}/v1"))


def changed(body, path, value):
    """A copy of the body with another value at a path such as `config.served_entities.0.name`; `...` takes the key away."""
    body = copy.deepcopy(body)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = body
    for part in parents:
        place = place[part] if isinstance(place, list) else place.setdefault(part, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


ENTITY, MODEL = "config.served_entities.0", "config.served_entities.0.external_model"
TAG = {"key": "k", "value": "v"}
# path, value, what the message must name
WRONG = [
    ("name", ..., "name"), ("name", "", "name"), ("name", "a b", "name"), ("name", "a.b", "name"), ("name", "ä", "name"),
    ("name", "a/b", "name"), ("name", "x" * 64, "name"), ("name", 7, "name"), ("name", None, "name"), ("name", ["a"], "name"),
    ("config", [], "config"), ("config", "x", "config"), ("config.served_entities", [], "served_entities"),
    ("config.served_entities", {}, "served_entities"), ("config.served_entities", ["x"], "served_entities[0]"),
    (f"{ENTITY}.name", "a b", "served_entities[0].name"), (f"{ENTITY}.name", "x" * 64, "served_entities[0].name"),
    (f"{ENTITY}.name", 3, "served_entities[0].name"), (f"{ENTITY}.name", "", "served_entities[0].name"),
    (MODEL, "gpt-4", "external_model"), (f"{MODEL}.name", ..., "name"), (f"{MODEL}.name", "", "name"),
    (f"{MODEL}.provider", ..., "provider"), (f"{MODEL}.provider", "nobody", "provider"), (f"{MODEL}.provider", "OPENAI!", "provider"),
    (f"{MODEL}.task", ..., "task"), (f"{MODEL}.task", "chat", "task"), (f"{MODEL}.task", "llm/v1/Chat", "task"),
    (f"{MODEL}.openai_config", ..., "openai_config"), (f"{MODEL}.openai_config", {}, "openai_api_key"),
    (f"{MODEL}.anthropic_config", {"anthropic_api_key_plaintext": "k"}, "anthropic_config"),
    ("tags", [{"value": "v"}], "tags[0]"), ("tags", [TAG, TAG], "tags"), ("tags", [{"key": "x" * 128}], "tags[0].key"),
    ("tags", [{"key": "k", "value": "x" * 256}], "tags[0].value"), ("tags", [{"key": f"k{i}"} for i in range(21)], "tags"),
    ("tags", {"k": "v"}, "tags"), ("tags", [{"key": ""}], "tags[0].key"), ("tags", [{"key": 5}], "tags[0].key"),
    ("route_optimized", "true", "route_optimized"), ("route_optimized", 1, "route_optimized"), ("description", 5, "description"),
    ("budget_policy_id", 5, "budget_policy_id"), ("usage_policy_id", [], "usage_policy_id"),
    ("email_notifications", [], "email_notifications"), ("email_notifications", {"on_update_failure": "a@b"}, "on_update_failure"),
    ("email_notifications", {"on_update_success": [1]}, "on_update_success"),
    ("uc_system_metrics_export_state", "ON", "uc_system_metrics_export_state"),
    ("config.traffic_config", [], "traffic_config"), ("config.traffic_config.routes", "a", "routes"),
    ("telemetry_config", {"enabled_telemetry_features": ["TELEMETRY_FEATURE_NONE"]}, "enabled_telemetry_features"),
    ("telemetry_config", {"inference_table_config": {"name": "t", "sampling_fraction": 1.5}}, "sampling_fraction"),
    ("rate_limits", {"calls": 1}, "rate_limits"), ("ai_gateway", [], "ai_gateway"), ("policy", 1, "policy"),
]


@pytest.mark.parametrize("path, value, named", WRONG, ids=lambda value: str(value)[:30])
def test_wrong_field(api, body, path, value, named):
    names = api.names()
    message = api.refused("POST", ENDPOINTS, changed(body, path, value))
    assert named in message and documents.UPSTREAM_KEY not in message, message
    assert api.names() == names


def test_a_refused_create_changes_nothing(api, body):
    with api.unchanged():
        for path, value, _ in WRONG[::9]:
            api.refused("POST", ENDPOINTS, changed(body, path, value))


def test_all_violations_are_named_together(api, body):
    body["tags"] = [{"key": "x" * 200}]
    body["rate_limits"] = [{"calls": -1, "renewal_period": "hour"}]
    body["config"]["served_entities"][0]["external_model"]["task"] = "llm/v1/paint"
    body["config"]["served_entities"].append({"name": "a b", "entity_name": "only.a.name"})
    body["config"]["traffic_config"]["routes"][0]["traffic_percentage"] = 50.5
    with api.unchanged():
        message = api.refused("POST", ENDPOINTS, body)
    for named in ("tags[0].key", "rate_limits[0].calls", "rate_limits[0].renewal_period", "served_entities[0].external_model.task",
                  "served_entities[1].name", "routes[0].traffic_percentage"):
        assert named in message, (named, message)


def test_violations_of_meaning_are_named_together(api, body):
    body["config"]["served_entities"][0]["external_model"]["openai_config"] |= {"openai_api_key": "{{secrets/no/such}}"}
    body["config"]["traffic_config"]["routes"] = [{"served_model_name": "nobody", "traffic_percentage": 10}]
    body["rate_limits"] = [{"calls": 1, "renewal_period": "minute"}, {"calls": 2, "renewal_period": "minute", "key": "endpoint"}]
    message = api.refused("POST", ENDPOINTS, body)
    for named in ("openai_api_key", "nobody", "rate_limits"):
        assert named in message, (named, message)


def test_longest_of_everything(api, body):
    body |= {"name": "x" * 63, "tags": [{"key": f"{i:x<127}", "value": "v" * 255} for i in range(20)], "description": "d" * 1000}
    with api.created(body) as made:
        assert made["name"] == "x" * 63 and len(made["tags"]) == 20 and made["description"] == "d" * 1000
        assert api.ask("x" * 63).status_code == 200


def test_names_are_unique(api, body):
    with api.created(body):
        with api.unchanged():
            api.refused("POST", ENDPOINTS, body, 409, "RESOURCE_ALREADY_EXISTS")
    with api.created(body) as again:
        assert again["config"]["config_version"] == 1


def test_defaults(api, body):
    del body["config"]["traffic_config"]
    with api.created(body) as made:
        assert made["description"] == "" and made["tags"] == [] and made["rate_limits"] == [] and made["route_optimized"] is False
        assert "endpoint_url" not in made and "data_plane_info" not in made


def test_null_is_absent_and_unknown_is_ignored(api, body):
    body |= {"tags": None, "rate_limits": None, "ai_gateway": None, "description": None, "brand_new": {"a": [1]}}
    body["config"] |= {"name": "ignored", "auto_capture_config": None, "brand_new": 1}
    body["config"]["served_entities"][0] |= {"brand_new": True, "workload_size": None, "entity_name": None}
    body["config"]["served_entities"][0]["external_model"]["openai_config"]["brand_new"] = "x"
    with api.created(body) as made:
        assert "brand_new" not in str(made) and made["tags"] == [] and made["name"] == body["name"]
        file = next((api.gateway.config / "endpoints").glob(f"{body['name']}.*")).read_text()
        assert "brand_new" not in file, "unknown fields are not stored"


def test_everything_is_echoed(api, body):
    more = {"budget_policy_id": "b-1", "usage_policy_id": "u-1",
            "email_notifications": {"on_update_success": ["a@x"], "on_update_failure": ["b@x"]},
            "route_optimized": True, "description": "text", "uc_system_metrics_export_state": "FIRST_PARTY_EXPORT_ENABLED"}
    with api.created(body | more) as made:
        assert more.items() <= made.items() and made == api.get(body["name"])
        assert made["endpoint_url"].endswith(f"/serving-endpoints/{body['name']}/invocations")


def test_telemetry_is_dropped_for_external_models(api, body):
    with api.created(body | {"telemetry_config": {"telemetry_profile_id": "t"}}) as made:
        assert "telemetry_config" not in made
        answer = api.call("PATCH", f"{ENDPOINTS}/{body['name']}/telemetry-config", {"telemetry_config": {}})
        assert answer.status_code in (400, 501)


def test_without_config(api, alice):
    name = unique("bare")
    with api.created({"name": name}) as made:
        assert made["state"] == {"ready": "NOT_READY", "config_update": "NOT_UPDATING"} and "config" not in made
        assert api.ask(name).json()["error_code"] == "BAD_REQUEST"
        answer = api.ask(None, path="/serving-endpoints/chat/completions", model=name)
        assert answer.status_code == 400, "a 503 would make clients retry for minutes"


def test_first_config_of_a_bare_endpoint(api, body):
    with api.created({"name": body["name"]}):
        updated = api.put_config(body["name"], body["config"])
        assert updated["state"]["ready"] == "READY" and updated["config"]["config_version"] == 1
        assert api.ask(body["name"]).status_code == 200


def test_default_names_of_entities(api, speaker):
    for model, name in (("gpt-4o-mini", "gpt-4o-mini"), ("claude-3.5:beta", "claude-3-5-beta"), ("org/model v2", "org-model-v2")):
        entity = documents.openai("x", f"{speaker.url}/v1", model)
        del entity["name"]
        with api.created({"name": unique("named"), "config": {"served_entities": [entity]}}) as made:
            assert made["config"]["served_entities"][0]["name"] == name
            assert made["config"]["traffic_config"]["routes"][0]["served_model_name"] == name


@pytest.mark.parametrize("name", ["pt", "chat", "models", "get-model-optimization-info", "completions", "config", "served-models"])
def test_names_that_are_also_routes(api, speaker, name):
    """Matching is by the number of segments, contract §2.2."""
    entity = documents.openai("a", f"{speaker.url}/v1")
    with api.created(documents.endpoint(name, entity)) as made:
        assert api.get(name)["id"] == made["id"] and name in api.names()
        assert api.put_config(name, {"served_entities": [entity]})["config"]["config_version"] in (1, 2)
        assert api.ok("PATCH", f"{ENDPOINTS}/{name}/tags", {"add_tags": [{"key": "k"}]})["tags"]
        assert api.ok("PUT", f"{ENDPOINTS}/{name}/rate-limits", {"rate_limits": []}) == {"rate_limits": []}
        assert api.ok("PUT", f"{ENDPOINTS}/{name}/ai-gateway", {}) == {}
        assert api.ok("PATCH", f"{ENDPOINTS}/{name}/notifications", {"email_notifications": {}})["name"] == name
        assert api.call("GET", f"{ENDPOINTS}/{name}/metrics").status_code == 200
        assert api.ok("GET", f"{ENDPOINTS}/{name}/openapi")["openapi"].startswith("3.1")
        assert api.ok("GET", f"{ENDPOINTS}/{name}/served-models/a/logs").keys() == {"logs"}
        assert api.ask(name).status_code == 200
        assert api.ask(None, path="/serving-endpoints/chat/completions", model=name).status_code == 200
        assert api.ask(name, path=f"/serving-endpoints/{name}/served-models/a/invocations").status_code == 200
    api.refused("GET", f"{ENDPOINTS}/{name}", status=404, code="RESOURCE_DOES_NOT_EXIST")
