"""The unmodified databricks-sdk and secrets, tokens, permissions, the own account."""
import time

import pytest
from databricks.sdk import errors
from databricks.sdk.service import serving as s
from databricks.sdk.service.workspace import AclPermission, ScopeBackendType

from support import clients, documents
from support.control import Api, unique
from support.gateway import eventually

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def w(managed, home):
    with clients.environment(managed, documents.ADMIN, home):
        yield clients.workspace(managed)


@pytest.fixture
def scope(w):
    name = unique("scope")
    w.secrets.create_scope(name)
    yield name
    try:
        w.secrets.delete_scope(name)
    except errors.ResourceDoesNotExist:
        pass


@pytest.fixture
def endpoint(api, w, scope, speaker):
    """An endpoint whose key is the secret `openai` of `scope`, worth "first"."""
    w.secrets.put_secret(scope, "openai", string_value="first")
    entity = documents.openai("a", f"{speaker.url}/v1", key=f"{{{{secrets/{scope}/openai}}}}")
    with api.created(documents.endpoint(unique("keyed"), entity)) as made:
        yield made


def used_key(api, name, speaker):
    answer = api.ask(name)
    assert answer.status_code == 200, answer.text
    return speaker.requests[-1].headers["authorization"]


def test_secrets(w, scope):
    assert scope in {found.name for found in w.secrets.list_scopes()}
    assert {found.backend_type for found in w.secrets.list_scopes()} == {ScopeBackendType.DATABRICKS}
    before = time.time() * 1000
    w.secrets.put_secret(scope, "text", string_value="a value")
    w.secrets.put_secret(scope, "bytes", bytes_value="YWJj")
    found = {secret.key: secret.last_updated_timestamp for secret in w.secrets.list_secrets(scope)}
    assert set(found) == {"text", "bytes"} and all(abs(at - before) < 60_000 for at in found.values())
    w.secrets.delete_secret(scope, "text")
    assert [secret.key for secret in w.secrets.list_secrets(scope)] == ["bytes"]
    for missing in (lambda: w.secrets.delete_secret(scope, "text"), lambda: w.secrets.delete_secret("no-such", "k"),
                    lambda: w.secrets.put_secret("no-such", "k", string_value="v"), lambda: list(w.secrets.list_secrets("no-such")),
                    lambda: w.secrets.delete_scope("no-such")):
        with pytest.raises(errors.ResourceDoesNotExist):
            missing()
    with pytest.raises(errors.BadRequest):
        w.secrets.get_secret(scope, "bytes")
    w.secrets.delete_scope(scope)
    assert scope not in {found.name for found in w.secrets.list_scopes()}


def test_access_to_a_scope(managed, w, scope):
    alice, secret = clients.workspace(managed, documents.ALICE).secrets, {"string_value": "v"}
    for denied in (lambda: alice.put_secret(scope, "k", **secret), lambda: list(alice.list_secrets(scope)),
                   lambda: list(alice.list_acls(scope)), lambda: alice.delete_scope(scope)):
        with pytest.raises(errors.PermissionDenied):
            denied()
    w.secrets.put_acl(scope, "alice", AclPermission.READ)
    assert list(alice.list_secrets(scope)) == []
    with pytest.raises(errors.PermissionDenied):
        alice.put_secret(scope, "k", **secret)
    w.secrets.put_acl(scope, "research", AclPermission.WRITE)
    alice.put_secret(scope, "k", **secret)
    alice.delete_secret(scope, "k")
    with pytest.raises(errors.PermissionDenied):
        alice.put_acl(scope, "bob", AclPermission.READ)
    w.secrets.put_acl(scope, "alice", AclPermission.MANAGE)
    alice.put_acl(scope, "bob", AclPermission.READ)
    listed = {item.principal: item.permission.value for item in w.secrets.list_acls(scope)}
    assert {"alice": "MANAGE", "bob": "READ", "research": "WRITE"}.items() <= listed.items()
    assert w.secrets.get_acl(scope, "bob").permission == AclPermission.READ
    alice.delete_acl(scope, "bob")
    with pytest.raises(errors.ResourceDoesNotExist):
        w.secrets.get_acl(scope, "bob")


def test_creator_of_a_scope_manages_it(managed, w):
    alice, name = clients.workspace(managed, documents.ALICE).secrets, unique("scope")
    alice.create_scope(name)
    assert {item.principal: item.permission.value for item in alice.list_acls(name)} == {"alice": "MANAGE"}
    bob = clients.workspace(managed, documents.BOB).secrets
    with pytest.raises(errors.PermissionDenied):
        list(bob.list_secrets(name))
    alice.delete_scope(name)
    alice.create_scope(name, initial_manage_principal="users")
    bob.put_secret(name, "k", string_value="v")
    bob.delete_scope(name)


def test_changed_secret_is_used_by_the_next_request(api, w, scope, endpoint, speaker):
    assert used_key(api, endpoint["name"], speaker) == "Bearer first"
    w.secrets.put_secret(scope, "openai", string_value="second\n")
    assert used_key(api, endpoint["name"], speaker) == "Bearer second", "and a newline at the end is stripped"
    w.secrets.put_secret(scope, "openai", bytes_value="dGhpcmQ=")
    assert used_key(api, endpoint["name"], speaker) == "Bearer third"
    speaker.clear()
    w.secrets.put_secret(scope, "openai", string_value="two\nlines")
    assert api.ask(endpoint["name"]).status_code == 400
    w.secrets.delete_secret(scope, "openai")
    answer = api.ask(endpoint["name"])
    assert answer.status_code == 400 and answer.json()["error_code"] == "BAD_REQUEST" and not speaker.requests
    w.secrets.put_secret(scope, "openai", string_value="fourth")
    assert used_key(api, endpoint["name"], speaker) == "Bearer fourth"


def test_tokens(managed, w):
    made = w.tokens.create(comment="for a test", lifetime_seconds=3600)
    assert len(made.token_value) >= 32
    info = made.token_info
    assert info.comment == "for a test" and info.expiry_time - info.creation_time == 3_600_000
    assert info.token_id in {token.token_id for token in w.tokens.list()}
    assert made.token_value not in str([token.as_dict() for token in w.tokens.list()])
    other = clients.workspace(managed, made.token_value)
    assert other.current_user.me().user_name == w.current_user.me().user_name
    w.tokens.delete(info.token_id)
    with pytest.raises(errors.Unauthenticated):
        other.current_user.me()
    assert info.token_id not in {token.token_id for token in w.tokens.list()}
    forever = w.tokens.create()
    assert forever.token_info.expiry_time == -1
    w.tokens.delete(forever.token_info.token_id)


def test_revoked_on_an_open_connection(managed, w):
    made = w.tokens.create()
    with managed.client(made.token_value) as kept_open:
        assert kept_open.get("/v1/models").status_code == kept_open.get("/api/2.0/serving-endpoints").status_code == 200
        w.tokens.delete(made.token_info.token_id)
        assert kept_open.get("/v1/models").status_code == kept_open.get("/api/2.0/serving-endpoints").status_code == 401


def test_token_expires(managed, w):
    made = w.tokens.create(lifetime_seconds=2)
    api = Api(managed, made.token_value)
    assert api.call("GET", "/serving-endpoints").status_code == 200
    eventually(lambda: api.call("GET", "/serving-endpoints").status_code == 401, 6, 0.2)
    assert time.time() * 1000 >= made.token_info.expiry_time - 1000


def test_tokens_belong_to_their_owner(managed, w):
    alice, bob = (clients.workspace(managed, token) for token in (documents.ALICE, documents.BOB))
    made = alice.tokens.create(comment="alice's")
    assert made.token_info.token_id not in {token.token_id for token in bob.tokens.list()}
    with pytest.raises((errors.ResourceDoesNotExist, errors.PermissionDenied)):
        bob.tokens.delete(made.token_info.token_id)
    me = clients.workspace(managed, made.token_value).current_user.me()
    assert me.user_name == "alice" and "research" in {group.display for group in me.groups}
    alice.tokens.delete(made.token_info.token_id)


def test_token_on_behalf_of_a_service_principal(managed, api, w, speaker):
    made = w.token_management.create_obo_token("billing-bot", comment="nightly", lifetime_seconds=600)
    robot = clients.workspace(managed, made.token_value)
    me = robot.current_user.me()
    assert me.user_name == "billing-bot" and me.active
    name = unique("robot")
    created = Api(managed, made.token_value).create(documents.endpoint(name, documents.openai("a", f"{speaker.url}/v1")))
    assert created["creator"] == "billing-bot" and created["creator_kind"] == "ServicePrincipal"
    assert created["permission_level"] == "CAN_MANAGE"
    acl = w.serving_endpoints.get_permissions(created["id"]).access_control_list
    assert [e.service_principal_name for e in acl if e.service_principal_name] == ["billing-bot"]
    robot.serving_endpoints.delete(name)
    with pytest.raises(errors.PermissionDenied):
        clients.workspace(managed, documents.ALICE).token_management.create_obo_token("billing-bot")


def test_me(managed, w):
    me = clients.workspace(managed, documents.ALICE).current_user.me()
    assert me.user_name == "alice" and me.id and me.display_name and me.active
    assert {"research", "users"} >= {group.display for group in me.groups} >= {"research"}
    answer = managed.client(documents.ALICE).get("/api/2.0/preview/scim/v2/Me")
    assert answer.headers["x-databricks-org-id"] and answer.json()["emails"][0]["primary"] is True
    assert "admins" in {group.display for group in w.current_user.me().groups}


def acl(level, **who):
    return s.ServingEndpointAccessControlRequest(permission_level=getattr(s.ServingEndpointPermissionLevel, level), **who)


def test_permissions(managed, api, w, endpoint):
    id, name = endpoint["id"], endpoint["name"]
    levels = w.serving_endpoints.get_permission_levels(id).permission_levels
    assert {level.permission_level.value for level in levels} == {"CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"} and all(x.description for x in levels)
    alice = clients.workspace(managed, documents.ALICE)

    def may():
        view = name in {e.name for e in alice.serving_endpoints.list()}
        query = Api(managed, documents.ALICE).ask(name).status_code == 200
        manage = Api(managed, documents.ALICE).call("PATCH", f"/serving-endpoints/{name}/tags", {}).status_code == 200
        return view, query, manage

    assert may() == (False, False, False)
    for level, expected in (("CAN_VIEW", (True, False, False)), ("CAN_QUERY", (True, True, False)), ("CAN_MANAGE", (True, True, True))):
        found = w.serving_endpoints.set_permissions(id, access_control_list=[acl(level, group_name="research")])
        assert found.object_id == f"/serving-endpoints/{id}" and found.object_type == "serving-endpoint"
        assert direct(found) == {("research", level)} and may() == expected
    w.serving_endpoints.set_permissions(id, access_control_list=[acl("CAN_VIEW", user_name="bob")])
    assert may() == (False, False, False), "set replaces"
    found = w.serving_endpoints.update_permissions(id, access_control_list=[acl("CAN_QUERY", user_name="alice")])
    assert direct(found) == {("bob", "CAN_VIEW"), ("alice", "CAN_QUERY")} and may() == (True, True, False)
    found = w.serving_endpoints.update_permissions(id, access_control_list=[acl("CAN_VIEW", user_name="alice")])
    assert direct(found) == {("bob", "CAN_VIEW"), ("alice", "CAN_VIEW")}, "an update overrides the principal's entry"
    with pytest.raises(errors.PermissionDenied):
        alice.serving_endpoints.update_permissions(id, access_control_list=[acl("CAN_MANAGE", user_name="alice")])
    admins, = [e for e in found.access_control_list if e.group_name == "admins"]
    assert admins.all_permissions[0].inherited and admins.all_permissions[0].permission_level.value == "CAN_MANAGE"
    for wrong in (acl("CAN_QUERY"), acl("CAN_QUERY", user_name="a", group_name="b"), acl("CAN_QUERY", user_name="")):
        with pytest.raises(errors.InvalidParameterValue):
            w.serving_endpoints.update_permissions(id, access_control_list=[wrong])
    assert direct(w.serving_endpoints.get_permissions(id)) == direct(found)
    assert direct(w.serving_endpoints.set_permissions(id, access_control_list=[])) == set()


def direct(permissions):
    """The grants of the endpoint itself."""
    return {(e.user_name or e.group_name or e.service_principal_name, p.permission_level.value)
            for e in permissions.access_control_list or [] for p in e.all_permissions if not p.inherited}


def test_creator_manages(managed, api, speaker):
    alice, name = Api(managed, documents.ALICE), unique("mine")
    made = alice.create(documents.endpoint(name, documents.openai("a", f"{speaker.url}/v1")))
    assert made["creator"] == "alice" and made["creator_kind"] == "User"
    found = alice.ok("GET", f"/permissions/serving-endpoints/{made['id']}")
    own, = [e for e in found["access_control_list"] if e.get("user_name") == "alice"]
    assert own["all_permissions"][0] == {"permission_level": "CAN_MANAGE", "inherited": False}
    Api(managed, documents.BOB).refused("GET", f"/serving-endpoints/{name}", status=403, code="PERMISSION_DENIED")
    assert alice.delete(name) == {}
