"""Secrets, tokens and permissions over raw HTTP: shapes, rules and error codes of contract §§2.1, 2.3, 6.1."""
import base64

import pytest

from support import documents
from support.control import ENDPOINTS, unique

pytestmark = pytest.mark.timeout(60)
SECRETS = "/secrets"


@pytest.fixture
def scope(api):
    name = unique("scope")
    assert api.ok("POST", f"{SECRETS}/scopes/create", {"scope": name}) == {}
    yield name
    api.call("POST", f"{SECRETS}/scopes/delete", {"scope": name})


def put(api, scope, key, value="v", **more):
    return api.ok("POST", f"{SECRETS}/put", {"scope": scope, "key": key, "string_value": value, **more})


def test_every_success_is_an_object(api, scope):
    assert put(api, scope, "k") == {}
    assert put(api, scope, "k", "other") == {}, "overwrites"
    secret, = api.ok("GET", f"{SECRETS}/list", params={"scope": scope})["secrets"]
    assert secret.keys() == {"key", "last_updated_timestamp"} and secret["key"] == "k" and type(secret["last_updated_timestamp"]) is int
    acl = {"scope": scope, "principal": "alice", "permission": "READ"}
    assert api.ok("POST", f"{SECRETS}/acls/put", acl) == {}
    assert api.ok("GET", f"{SECRETS}/acls/get", params=acl) == {"principal": "alice", "permission": "READ"}
    items = api.ok("GET", f"{SECRETS}/acls/list", params=acl)["items"]
    assert {"principal": "alice", "permission": "READ"} in items
    assert api.ok("POST", f"{SECRETS}/acls/delete", acl) == {}
    assert api.ok("POST", f"{SECRETS}/delete", {"scope": scope, "key": "k"}) == {}
    assert api.ok("GET", f"{SECRETS}/list", params={"scope": scope}) == {"secrets": []}
    assert {"name": scope, "backend_type": "DATABRICKS"} in api.ok("GET", f"{SECRETS}/scopes/list")["scopes"]
    assert api.ok("POST", f"{SECRETS}/scopes/delete", {"scope": scope}) == {}


def test_deleting_a_scope_deletes_what_is_in_it(api, scope):
    put(api, scope, "k")
    api.ok("POST", f"{SECRETS}/acls/put", {"scope": scope, "principal": "alice", "permission": "MANAGE"})
    api.ok("POST", f"{SECRETS}/scopes/delete", {"scope": scope})
    api.ok("POST", f"{SECRETS}/scopes/create", {"scope": scope})
    assert api.ok("GET", f"{SECRETS}/list", params={"scope": scope})["secrets"] == []
    assert "alice" not in str(api.ok("GET", f"{SECRETS}/acls/list", params={"scope": scope}))


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 129, 5, None, ["a"], "weirgate.mine", "a\n"], ids=repr)
def test_wrong_names(api, scope, name):
    with api.unchanged():
        assert "scope" in api.refused("POST", f"{SECRETS}/scopes/create", {"scope": name})
        if name != "weirgate.mine":
            assert "key" in api.refused("POST", f"{SECRETS}/put", {"scope": scope, "key": name, "string_value": "v"})


def test_names_with_every_allowed_character(api):
    name = "Az09-_." + "x" * 121
    api.ok("POST", f"{SECRETS}/scopes/create", {"scope": name})
    put(api, name, name)
    api.ok("POST", f"{SECRETS}/scopes/delete", {"scope": name})


def test_own_scopes_cannot_be_named(api, speaker):
    """What callers sent as plaintext is kept in scopes of the gateway's own."""
    with api.created(documents.endpoint(unique("own"), documents.openai("a", f"{speaker.url}/v1"))) as made:
        own = f"weirgate.{made['id']}"
        assert own not in str(api.ok("GET", f"{SECRETS}/scopes/list"))
        for method, path, body in [("POST", "/put", {"key": "k", "string_value": "v"}), ("POST", "/delete", {"key": "k"}),
                                   ("GET", "/list", None),
                                   ("POST", "/scopes/delete", {}), ("POST", "/acls/put", {"principal": "alice", "permission": "READ"}),
                                   ("GET", "/acls/list", None)]:
            where = {"params": {"scope": own}} if method == "GET" else {}
            answer = api.call(method, f"{SECRETS}{path}", None if body is None else {"scope": own, **body}, **where)
            assert answer.status_code == 400, (path, answer.text)
        assert "weirgate." not in str(made)
        assert api.ask(made["name"]).status_code == 200


def test_scope_exists(api, scope):
    with api.unchanged():
        api.refused("POST", f"{SECRETS}/scopes/create", {"scope": scope}, 400, "RESOURCE_ALREADY_EXISTS")
        vault = {"scope": unique("vault"), "scope_backend_type": "AZURE_KEYVAULT",
                 "backend_azure_keyvault": {"resource_id": "r", "dns_name": "d"}}
        api.refused("POST", f"{SECRETS}/scopes/create", vault, 501, "NOT_IMPLEMENTED")
        api.refused("POST", f"{SECRETS}/scopes/create", {"scope": unique(), "scope_backend_type": "FILES"})
        api.refused("POST", f"{SECRETS}/scopes/create", {"scope": unique(), "initial_manage_principal": "alice"})


def test_values(api, scope):
    path = f"{SECRETS}/put"
    with api.unchanged():
        for wrong in ({}, {"string_value": "v", "bytes_value": "dg=="}, {"string_value": 5}, {"bytes_value": "no base64!"}, {"bytes_value": 5},
                      {"string_value": "x" * (128 * 1024 + 1)}):
            message = api.refused("POST", path, {"scope": scope, "key": "k", **wrong})
            assert "value" in message
    put(api, scope, "largest", "x" * (128 * 1024))
    api.ok("POST", path, {"scope": scope, "key": "bytes", "bytes_value": base64.b64encode(bytes(range(256))).decode()})


def test_a_scope_holds_a_thousand_secrets(api, scope):
    for number in range(1000):
        put(api, scope, f"k{number}")
    api.refused("POST", f"{SECRETS}/put", {"scope": scope, "key": "one-more", "string_value": "v"})
    put(api, scope, "k7", "overwriting one is no more")


def test_unknown(api, scope):
    with api.unchanged():
        for path, body in [("/put", {"scope": "none", "key": "k", "string_value": "v"}), ("/delete", {"scope": scope, "key": "none"}),
                           ("/delete", {"scope": "none", "key": "k"}), ("/scopes/delete", {"scope": "none"}),
                           ("/acls/put", {"scope": "none", "principal": "a", "permission": "READ"})]:
            api.refused("POST", f"{SECRETS}{path}", body, 404, "RESOURCE_DOES_NOT_EXIST")
        api.refused("GET", f"{SECRETS}/list", None, 404, "RESOURCE_DOES_NOT_EXIST", params={"scope": "none"})
        api.refused("GET", f"{SECRETS}/acls/get", None, 404, "RESOURCE_DOES_NOT_EXIST", params={"scope": scope, "principal": "nobody"})
        api.refused("GET", f"{SECRETS}/list")
        api.refused("POST", f"{SECRETS}/acls/put", {"scope": scope, "principal": "a", "permission": "OWN"})
        api.refused("POST", f"{SECRETS}/acls/put", {"scope": scope, "permission": "READ"})


def test_values_are_never_read(api, scope):
    put(api, scope, "k", "a-value-to-keep")
    message = api.refused("GET", f"{SECRETS}/get", None, 400, "BAD_REQUEST", params={"scope": scope, "key": "k"})
    assert "a-value-to-keep" not in message


TOKENS = [("/token/create", {"lifetime_seconds": 0}), ("/token/create", {"lifetime_seconds": -1}),
          ("/token/create", {"lifetime_seconds": "soon"}),
          ("/token/create", {"comment": 5}), ("/token/create", {"lifetime_seconds": 1.5}), ("/token/delete", {}),
          ("/token/delete", {"token_id": 5}),
          ("/token/create", {"comment": "x" * 100_000}), ("/token-management/on-behalf-of/tokens", {}),
          ("/token-management/on-behalf-of/tokens", {"application_id": ""}), ("/token-management/on-behalf-of/tokens", {"application_id": 7})]


@pytest.mark.parametrize("path, body", TOKENS, ids=str)
def test_wrong_token_requests(api, path, body):
    with api.unchanged():
        message = api.refused("POST", path, body)
        assert any(key in message for key in ("token_id", "lifetime_seconds", "comment", "application_id")), message


def test_shape_of_tokens(api, alice):
    made = api.ok("POST", "/token/create", {"comment": "c", "lifetime_seconds": 100})
    assert made.keys() == {"token_value", "token_info"} and made["token_info"].keys() >= {"token_id", "creation_time", "expiry_time", "comment"}
    listed, = [t for t in api.ok("GET", "/token/list")["token_infos"] if t["token_id"] == made["token_info"]["token_id"]]
    assert listed.items() >= made["token_info"].items()
    assert api.ok("POST", "/token/delete", {"token_id": listed["token_id"]}) == {}
    api.refused("POST", "/token/delete", {"token_id": listed["token_id"]}, 404, "RESOURCE_DOES_NOT_EXIST")
    alice.refused("POST", "/token-management/on-behalf-of/tokens", {"application_id": "x"}, 403, "PERMISSION_DENIED")


def test_permission_rules(api, speaker):
    with api.created(documents.endpoint(unique("acl"), documents.openai("a", f"{speaker.url}/v1"))) as made:
        path = f"/permissions/serving-endpoints/{made['id']}"
        good = {"user_name": "alice", "permission_level": "CAN_VIEW"}
        answer = api.ok("PATCH", path, {"access_control_list": [good]})
        assert answer["object_id"] == f"/serving-endpoints/{made['id']}" and answer["object_type"] == "serving-endpoint"
        with api.unchanged():
            for wrong in ([{"permission_level": "CAN_VIEW"}], [{**good, "group_name": "g"}], [{"user_name": "a"}],
                          [{**good, "permission_level": "OWNER"}],
                          {"user_name": "a"}, ["alice"], [{**good, "user_name": 5}], [good, {**good, "permission_level": "can_view"}]):
                for method in ("PUT", "PATCH"):
                    assert "access_control_list" in api.refused(method, path, {"access_control_list": wrong})
        for method in ("GET", "PUT", "PATCH"):
            api.refused(method, f"/permissions/serving-endpoints/{'0' * 32}", {} if method != "GET" else None, 404, "RESOURCE_DOES_NOT_EXIST")
        api.refused("GET", f"/permissions/serving-endpoints/{made['name']}", None, 404, "RESOURCE_DOES_NOT_EXIST")
        api.refused("GET", "/permissions/no-such-type/1", None, 404, "ENDPOINT_NOT_FOUND")


def test_what_some_sdk_versions_ask_for(api, speaker):
    with api.created(documents.endpoint(unique("c"), documents.openai("a", f"{speaker.url}/v1"))) as made:
        state = {"uc_system_metrics_export_state": "FIRST_PARTY_EXPORT_ENABLED"}
        path = f"{ENDPOINTS}/{made['name']}/system-metrics-export-state"
        assert state.items() <= api.ok("PATCH", path, state).items() and state.items() <= api.get(made["name"]).items()
        api.refused("PATCH", path, {"uc_system_metrics_export_state": "ON"})
    answer = api.client.post("/oidc/v1/token", json={})
    assert answer.status_code in (404, 501)
