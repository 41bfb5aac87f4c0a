"""Who may call: tokens from config, from the environment and from `weirgate token create`; permissions."""
import datetime
import json
import subprocess
import time

import pytest

from support import documents, places, shapes
from support.gateway import eventually
from support.wire import Raw, post

pytestmark = pytest.mark.timeout(45)
CAROL = "wg-carol-token-for-tests"


def grant(level="CAN_QUERY", **who):
    return {**who, "permission_level": level}


@pytest.fixture
def gateway(gateways, hello):
    def entity():
        return documents.openai("a", f"{hello.url}/v1")

    return gateways([
        documents.endpoint("chat", entity()),
        documents.endpoint("for-bob", entity(), permissions=[grant(user_name="bob")]),
        documents.endpoint("for-research", entity(), permissions=[grant(group_name="research")]),
        documents.endpoint("for-users", entity(), permissions=[grant(group_name="users")]),
        documents.endpoint("for-admins", entity(), permissions=[]),
        documents.endpoint("to-look-at", entity(), permissions=[grant("CAN_VIEW", user_name="alice")]),
        documents.endpoint("to-manage", entity(), permissions=[grant("CAN_MANAGE", user_name="alice")]),
        documents.endpoint("for-the-program-bob", entity(), permissions=[grant(service_principal_name="bob")]),
    ])


def ask(gateway, token, name="chat", door=shapes.V1):
    with gateway.client(token) as client:
        return client.post(f"{door}/chat/completions", json=documents.chat_body(name))


ROUTES = [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"), ("GET", "/v1/models"),
          ("GET", "/v1/models/chat"), ("POST", "/serving-endpoints/chat/completions"), ("POST", "/serving-endpoints/completions"),
          ("POST", "/serving-endpoints/embeddings"), ("GET", "/serving-endpoints/models"),
          ("POST", "/serving-endpoints/chat/invocations"), ("POST", "/serving-endpoints/chat/served-models/a/invocations"),
          ("POST", "/serving-endpoints/no-such-endpoint/invocations")]
WRONG = {"none": None, "unknown": "Bearer nobody", "empty": "Bearer ", "blank": "", "basic": "Basic YTpi", "bare": documents.ALICE,
         "no space": f"Bearer{documents.ALICE}", "shortened": f"Bearer {documents.ALICE[:-1]}", "longer": f"Bearer {documents.ALICE}x",
         "case": f"Bearer {documents.ALICE.upper()}", "two": f"Bearer {documents.ALICE}, Bearer {documents.BOB}",
         "huge": "Bearer " + "x" * 8000, "latin-1": "Bearer caf\xe9", "the hash": "Bearer " + documents.token(documents.ALICE, "a")["sha256"]}


def test_401_on_every_route(gateway, hello):
    hello.clear()
    for method, path in ROUTES:
        for value in WRONG.values():
            head = [f"{method} {path} HTTP/1.1", "host: g", "content-length: 0", *([] if value is None else [f"authorization: {value}"])]
            with Raw(gateway) as raw:
                raw.send("\r\n".join([*head, "\r\n"]).encode("latin-1"))
                status, headers, body = raw.answer()
            assert status == 401 and headers["x-weirgate-reason"] == "unauthenticated", (method, path, value)
            shapes.assert_error_body(json.loads(body), shapes.V1 if path.startswith("/v1") else shapes.DATABRICKS, 401)
            if value and len(value) > 10:
                assert value[7:].encode("latin-1") not in body, "the answer repeats the token"
    assert not hello.requests


def test_scheme_is_case_insensitive(gateway):
    with Raw(gateway) as raw:
        raw.send(post("/v1/chat/completions", documents.chat_body("chat"), f"authorization: bEARER {documents.ALICE}", token=None))
        assert raw.answer()[0] == 200


def test_two_authorization_headers_are_not_a_way_in(gateway):
    with Raw(gateway) as raw:
        raw.send(post("/v1/chat/completions", documents.chat_body("for-bob"), f"authorization: Bearer {documents.BOB}"))
        assert raw.answer()[0] in (400, 401, 403)


@pytest.mark.parametrize("door", shapes.DOORS)
def test_permissions(gateway, door):
    allowed = {"chat": {"alice", "bob"}, "for-bob": {"bob"}, "for-research": {"alice"}, "for-users": {"alice", "bob"},
               "for-admins": set(), "to-look-at": set(), "to-manage": {"alice"}, "for-the-program-bob": set()}
    for name, who in allowed.items():
        for user, token in (("alice", documents.ALICE), ("bob", documents.BOB)):
            answer = ask(gateway, token, name, door)
            if user in who:
                assert answer.status_code == 200, (name, user, answer.text)
            else:
                shapes.assert_error(answer, door, 403, "gateway")
        assert ask(gateway, documents.ADMIN, name, door).status_code == 200, f"an admin may query {name}"


def test_service_principal(gateway):
    account = {**documents.token(CAROL, None), "service_principal": "bob"}
    del account["user"]
    gateway.reload(lambda: set_tokens(gateway, account))
    assert ask(gateway, CAROL, "for-the-program-bob").status_code == 200
    assert ask(gateway, CAROL, "for-bob").status_code == 403, "a user of the same name is another account"


def test_permissions_hold_on_the_direct_routes(gateway):
    with gateway.client() as client:
        for path in ("for-bob/invocations", "for-bob/served-models/a/invocations"):
            answer = client.post(f"/serving-endpoints/{path}", json=documents.chat_body())
            shapes.assert_error(answer, shapes.DATABRICKS, 403, "gateway")


@pytest.mark.parametrize("door", shapes.DOORS)
def test_models_shows_what_may_be_queried(gateway, door):
    def names(token):
        with gateway.client(token) as client:
            return {model["id"] for model in client.get(f"{door}/models").json()["data"]}

    assert names(documents.ALICE) == {"chat", "for-research", "for-users", "to-manage"}
    assert names(documents.BOB) == {"chat", "for-bob", "for-users"}
    assert "for-admins" in names(documents.ADMIN)
    with gateway.client() as client:
        hidden, unknown = client.get(f"{door}/models/for-bob"), client.get(f"{door}/models/no-such-endpoint")
    shapes.assert_error(hidden, door, {403, 404})
    shapes.assert_error(unknown, door, 404)


def set_tokens(gateway, *tokens):
    gateway.settings["authentication"]["tokens"] = list(tokens)
    gateway.write("weirgate.yaml", gateway.settings)


def test_reload_adds_and_revokes_tokens(gateway):
    with gateway.client() as kept_open:
        assert kept_open.get("/v1/models").status_code == 200
        taken = gateway.reload(lambda: set_tokens(gateway, documents.token(CAROL, "carol")))
        assert taken < 1.5
        assert kept_open.get("/v1/models").status_code == 401, "a revoked token still works on an open connection"
    assert ask(gateway, CAROL).status_code == 200
    assert ask(gateway, documents.ADMIN).status_code == 200


def test_reload_changes_permissions(gateway, hello):
    assert ask(gateway, documents.ALICE, "for-bob").status_code == 403
    document = documents.endpoint("for-bob", documents.openai("a", f"{hello.url}/v1"), permissions=[grant(group_name="research")])
    gateway.reload(lambda: gateway.put(document))
    assert ask(gateway, documents.ALICE, "for-bob").status_code == 200
    assert ask(gateway, documents.BOB, "for-bob").status_code == 403


def test_token_expires(gateway):
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=4)
    expires = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    gateway.reload(lambda: set_tokens(gateway, documents.token(CAROL, "carol", expires=expires)))
    assert ask(gateway, CAROL).status_code == 200
    eventually(lambda: ask(gateway, CAROL).status_code == 401, 8, 0.2)
    assert datetime.datetime.now(datetime.UTC) >= end.replace(microsecond=0)


def create_token(gateway, *arguments):
    command = [places.gateway_binary(), "token", "create", "--config", gateway.config, "--state", gateway.state, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    found = [word for word in done.stdout.split() if len(word) > 20]
    assert len(found) == 1, done.stdout
    return found[0]


def test_token_made_beside_a_running_gateway(gateway):
    made = create_token(gateway, "--user", "dora", "--group", "research")
    eventually(lambda: ask(gateway, made, "for-research").status_code == 200, 3)
    assert ask(gateway, made, "for-bob").status_code == 403
    assert made not in "".join(p.read_text(errors="replace") for p in gateway.state.rglob("*") if p.is_file())
    admin = create_token(gateway, "--user", "eve", "--admin")
    eventually(lambda: ask(gateway, admin, "for-admins").status_code == 200, 3)


def test_made_tokens_last_a_restart_and_their_lifetime(gateway):
    made = create_token(gateway, "--user", "dora")
    short = create_token(gateway, "--user", "flo", "--lifetime", "3s")
    ended = time.monotonic() + 3
    eventually(lambda: ask(gateway, short).status_code == 200, 2)
    gateway.stop()
    gateway.start().wait_ready()
    assert ask(gateway, made).status_code == 200
    eventually(lambda: ask(gateway, short).status_code == 401, 8)
    assert time.monotonic() > ended - 1


def test_token_create_refuses_nonsense(gateway):
    for arguments in ([], ["--user", ""], ["--user", "x", "--lifetime", "soon"]):
        command = [places.gateway_binary(), "token", "create", "--config", gateway.config, "--state", gateway.state, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and done.stderr, arguments


def test_admin_token_is_generated_and_printed_once(gateways, hello):
    gateway = gateways([documents.endpoint("chat", documents.openai("a", f"{hello.url}/v1"))], start=False)
    gateway.env = {}
    gateway.start().wait_ready()
    tokens = [word.strip("\"'`.,") for word in gateway.log().split() if word.strip("\"'`.,").startswith("wg-")]
    assert len(tokens) == 1, gateway.log()
    assert ask(gateway, tokens[0]).status_code == 200
    gateway.stop()
    gateway.start().wait_ready()
    assert gateway.log().count(tokens[0]) == 1, "printed again"
    assert ask(gateway, tokens[0]).status_code == 200, "forgotten over a restart"
    gateway.stop()
    gateway.env = {"WEIRGATE_ADMIN_TOKEN": documents.ADMIN}
    gateway.start().wait_ready()
    assert ask(gateway, documents.ADMIN).status_code == 200
