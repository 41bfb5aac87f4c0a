"""How endpoints are shown: contract §§3.2, 3.3, field by field; and what holds for every route (§§1, 2.2)."""
import json
import os
import re
from pathlib import Path

import pytest

from support import documents, models, shapes
from support.control import ENDPOINTS, Api, discovery, routes, unique

pytestmark = pytest.mark.timeout(60)
GOLDEN = Path(__file__).parent / "golden"


def masked(value, base):
    """The answer with what differs from run to run made plain."""
    if isinstance(value, dict):
        return {k: ("TIME" if re.search("timestamp|_time$", k) and type(v) is int else masked(v, base)) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [masked(v, base) for v in value]
    if isinstance(value, str):
        value = value.replace(base, "http://UPSTREAM")
        return re.sub(r"^[0-9a-f]{32}$", "ID", re.sub(r"https?://127\.0\.0\.1:\d+", "http://GATEWAY", value))
    return value


def assert_golden(name, value):
    """Compares with `golden/NAME.json`, which WEIRGATE_WRITE_GOLDEN=1 writes anew: read the difference before it is committed."""
    file = GOLDEN / f"{name}.json"
    if os.environ.get("WEIRGATE_WRITE_GOLDEN"):
        file.write_text(json.dumps(value, indent=2) + "\n")
    assert value == json.loads(file.read_text())


@pytest.fixture
def full(api, speaker):
    """An endpoint with everything in it."""
    ref = api.put_secret("golden", "key", "sk-of-the-golden")
    entities = [documents.openai("by-reference", f"{speaker.url}/v1", "gpt-4", key=ref),
                documents.openai("by-value", f"{speaker.url}/v1", "gpt-4o", key="sk-as-plaintext"),
                documents.custom("other", f"{speaker.url}/v1", "m", api_key_auth={"key": "x-key", "value": ref})]
    body = {"name": "golden", "config": {"name": "ignored", "served_entities": entities,
                                         "traffic_config": routes(**{"by-reference": "70", "by-value": 30})},
            "rate_limits": [{"calls": 100, "key": "user", "renewal_period": "minute"}],
            "ai_gateway": {"usage_tracking_config": {"enabled": True}, "fallback_config": {"enabled": True},
                           "rate_limits": [{"tokens": 1000, "key": "user_group", "principal": "research", "renewal_period": "minute"}]},
            "tags": [{"key": "team", "value": "gen-ai"}, {"key": "bare"}], "route_optimized": True, "description": "All of it.",
            "budget_policy_id": "b", "email_notifications": {"on_update_failure": ["a@example.com"]}}
    with api.created(body) as made:
        yield made


def test_golden_answer(api, full, speaker):
    assert api.get("golden") == full
    assert_golden("endpoint", masked(full, speaker.url))
    assert "sk-as-plaintext" not in str(full) and "sk-of-the-golden" not in str(full)


def test_golden_list_entry(api, full, speaker):
    entry, = [e for e in api.ok("GET", ENDPOINTS)["endpoints"] if e["name"] == "golden"]
    assert_golden("summary", masked(entry, speaker.url))
    assert set(entry["state"]) == {"ready", "config_update"}
    for served in entry["config"]["served_entities"]:
        assert served.keys() <= {"name", "external_model", "entity_name", "entity_version", "foundation_model"}


def test_types(full):
    assert re.fullmatch("[0-9a-f]{32}", full["id"])
    for field in ("creation_timestamp", "last_updated_timestamp"):
        assert type(full[field]) is int and full[field] > 10**12
    assert full["creator"] == full["creator_display_name"] or full["creator_display_name"]
    assert full["creator_kind"] in ("User", "ServicePrincipal") and full["endpoint_type"] == "EXTERNAL_MODEL"
    assert "served_models" not in full["config"] and "pending_config" not in full and "data_plane_info" not in full
    assert type(full["config"]["config_version"]) is int


def test_foundation_model(api):
    with api.created({"name": unique("view"), "config": {"served_entities": [models.provisioned(models.MISTRAL, 2)]}}) as made:
        assert made["state"]["config_update"] in ("IN_PROGRESS", "NOT_UPDATING")
        found = api.settled(made["name"])
        served, = found["config"]["served_entities"]
        assert served["name"] == "mistral_7b_instruct_v0_1-2" and served["entity_version"] == "2" and "burst_scaling_enabled" not in served
        assert served["state"]["deployment"] == "DEPLOYMENT_READY" and served["foundation_model"]["name"]
        mirror, = found["config"]["served_models"]
        assert mirror["model_name"] == models.MISTRAL and mirror["model_version"] == "2" and mirror["name"] == served["name"]
        assert found["endpoint_type"] == "FOUNDATION_MODEL_API" and found["task"] == documents.CHAT
        entry, = [e for e in api.ok("GET", ENDPOINTS)["endpoints"] if e["name"] == made["name"]]
        assert entry["config"]["served_models"] == [{"name": served["name"], "model_name": models.MISTRAL, "model_version": "2"}]
        assert "pending_config" not in entry


def test_permission_level_is_the_callers(managed, api, full):
    acl = [{"user_name": "alice", "permission_level": "CAN_VIEW"}, {"user_name": "bob", "permission_level": "CAN_QUERY"}]
    api.ok("PUT", f"/permissions/serving-endpoints/{full['id']}", {"access_control_list": acl})
    levels = [Api(managed, token).get("golden")["permission_level"] for token in (documents.ADMIN, documents.ALICE, documents.BOB)]
    assert levels == ["CAN_MANAGE", "CAN_VIEW", "CAN_QUERY"]


def test_what_a_viewer_sees(managed, api, full):
    alice = Api(managed, documents.ALICE)
    for path in ("", "/metrics", "/openapi", "/served-models/by-value/logs", "/served-models/by-value/build-logs"):
        alice.refused("GET", f"{ENDPOINTS}/golden{path}", None, 403, "PERMISSION_DENIED")
    acl = [{"user_name": "alice", "permission_level": "CAN_VIEW"}]
    api.ok("PUT", f"/permissions/serving-endpoints/{full['id']}", {"access_control_list": acl})
    for path in ("", "/metrics", "/openapi", "/served-models/by-value/logs", "/served-models/by-value/build-logs"):
        assert alice.call("GET", f"{ENDPOINTS}/golden{path}").status_code == 200, path
    assert alice.call("GET", f"{ENDPOINTS}/golden/metrics").headers["content-type"].startswith("text/plain")
    for method, path in (("DELETE", ""), ("PUT", "/config"), ("PATCH", "/tags"), ("PUT", "/rate-limits"), ("PUT", "/ai-gateway"),
                         ("PATCH", "/notifications"), ("POST", "/config/cancel")):
        alice.refused(method, f"{ENDPOINTS}/golden{path}", {}, 403, "PERMISSION_DENIED")
    assert alice.ask("golden").status_code == 403


def test_list_is_always_there(gateways):
    assert Api(gateways()).ok("GET", ENDPOINTS) == {"endpoints": []}


BODIES = {"empty": b"", "list": b"[]", "text": b'"x"', "number": b"5", "null": b"null", "cut": b'{"name": "a"', "two": b"{}{}",
          "not utf-8": b'{"name": "\xff"}', "key twice": b'{"name": "a", "name": "b"}', "deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
          "nan": b'{"name": NaN}', "half a pair": b'{"name": "\\ud800"}', "comment": b'{"name": "a" /* b */}', "yaml": b"name: a"}


@pytest.mark.parametrize("kind", BODIES)
def test_body_that_is_no_object(api, kind):
    code = "INVALID_PARAMETER_VALUE" if kind == "empty" else "BAD_REQUEST"
    with api.unchanged():
        api.refused("POST", ENDPOINTS, BODIES[kind], 400, code)


def test_content_type_does_not_matter(api, speaker):
    body = json.dumps(documents.endpoint(name := unique("type"), documents.openai("a", f"{speaker.url}/v1"))).encode()
    for header in ({}, {"context-type": "text/json"}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
        assert api.ok("POST", ENDPOINTS, body, headers=header)["name"] == name
        assert api.delete(name) == {}


def test_too_large(gateways):
    api = Api(gateways(settings={"limits": {"control_body": "64KiB"}}))
    api.refused("POST", ENDPOINTS, b'{"name": "' + b"x" * 70_000 + b'"}', 413, "BAD_REQUEST")
    assert api.names() == []


@pytest.mark.parametrize("path", ["/nothing", "/serving-endpoints/a/b", "/serving-endpoints/a/config/x", "/secrets", "/secrets/none", "/token",
                                  "/serving-endpoints/get-model-optimization-info/a", "/serving-endpoints/a/served-models", "", "/../2.0"])
def test_unknown_path(api, path):
    api.refused("GET", path, None, 404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("method, path", [
    ("PUT", ""), ("DELETE", ""), ("POST", "/a"), ("PUT", "/a"), ("GET", "/a/config"), ("POST", "/a/tags"), ("PATCH", "/a/rate-limits"),
    ("POST", "/a/ai-gateway"), ("GET", "/a/notifications"), ("POST", "/a/metrics"), ("DELETE", "/a/served-models/b/logs"),
    ("GET", "/a/config/cancel")])
def test_wrong_method(api, method, path):
    answer = api.call(method, f"{ENDPOINTS}{path}", {})
    assert answer.status_code == 405 and answer.json()["error_code"] == "BAD_REQUEST", answer.text
    shapes.assert_error(answer, shapes.DATABRICKS, 405)


def test_wrong_method_elsewhere(api):
    for method, path in (("GET", "/secrets/put"), ("POST", "/secrets/list"), ("GET", "/token/create"), ("DELETE", "/token/list"),
                         ("POST", "/preview/scim/v2/Me"), ("DELETE", f"/permissions/serving-endpoints/{'0' * 32}")):
        api.refused(method, path, None, 405, "BAD_REQUEST")


def test_every_route_wants_a_token(managed):
    document = Api(managed).ok("GET", "/openapi.json")
    stranger = managed.client(None)
    tried = 0
    for path, operations in document["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            url = re.sub(r"\{[^}]*\}", "x", path)
            # OAuth clients come there without a token of ours, to be told that there is none to be had.
            if url.startswith(("/.well-known", "/oidc/")):
                continue
            for headers in ({}, {"authorization": "Bearer nobody"}):
                answer = stranger.request(method, url, json={}, headers=headers)
                assert answer.status_code == 401 and answer.json()["error_code"] == "UNAUTHENTICATED", (method, url, answer.text)
                tried += 1
    assert tried > 60 and discovery(managed).json() == {}


def test_no_redirect_anywhere(api):
    for path in ("/serving-endpoints/", "/serving-endpoints//", "/secrets/scopes/list/", "/token/list/", "/openapi.json/"):
        assert api.call("GET", path).status_code in (200, 404), path


def test_request_id(api):
    given = api.call("GET", ENDPOINTS, headers={"x-request-id": "mine-1"})
    other = api.call("GET", ENDPOINTS)
    assert other.headers["x-request-id"] and other.headers["x-request-id"] != given.headers["x-request-id"]


def test_operations_listener(gateways):
    """The control API answers there only where that is configured, with the same authentication."""
    for mounted in (False, True):
        gateway = gateways(start=False)
        gateway.settings["operations"]["control_api"] = mounted
        gateway.write("weirgate.yaml", gateway.settings)
        gateway.start().wait_ready()
        with gateway.client(documents.ADMIN) as client:
            answer = client.get(f"{gateway.operations}/api/2.0/serving-endpoints")
            assert (answer.status_code, client.get("/api/2.0/serving-endpoints").status_code) == (200 if mounted else 404, 200)
        with gateway.client(None) as client:
            assert client.get(f"{gateway.operations}/api/2.0/serving-endpoints").status_code == (401 if mounted else 404)
