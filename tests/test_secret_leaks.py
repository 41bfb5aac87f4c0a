"""Secret values planted everywhere, then everything that the gateway ever put out is searched for them."""
import base64
import json
import os
import sqlite3
import subprocess

import httpx
import pytest

from support import documents, places
from support.control import ENDPOINTS, Api, unique
from support.gateway import Gateway, eventually
from support.issuer import Issuer
from support.upstream import Upstream, always, answer

pytestmark = pytest.mark.timeout(90)

PLANTED = {kind: f"sk-LEAK-{kind}-{os.urandom(9).hex()}" for kind in (
    "plaintext", "replaced", "store", "changed", "bytes", "env", "file", "header", "refused-literal", "refused-plaintext", "file-plaintext")}


class Listener:
    """Keeps every byte that clients were answered."""

    def __init__(self):
        self.heard = []

    def note(self, response):
        response.read()
        self.heard.append(str(response.status_code) + str(response.headers.raw) + response.text)

    def all(self):
        return "\n".join(self.heard)


@pytest.fixture(scope="module")
def run(folders):
    """One gateway's life with the secrets above; gives what it put out, and the secrets."""
    folder, listener, issuer, master = folders(), Listener(), Issuer("ES256"), os.urandom(32)
    upstream = Upstream(always(lambda request: answer({"error": {"message": f"bad key {request.headers.get('authorization')}"}}, "401 No")
                               if b"fail" in request.body else answer({"choices": [], "echo": "ok"})))
    gateway = Gateway(folder, env={"LEAKY": PLANTED["env"], "WEIRGATE_LOG": "debug",
                                   "WEIRGATE_MASTER_KEY": base64.b64encode(master).decode()})
    gateway.settings["authentication"]["jwt"] = [issuer.settings()]
    gateway.write("weirgate.yaml", gateway.settings)
    (gateway.config / "key.txt").write_text(PLANTED["file"] + "\n")
    base = f"{upstream.url}/v1"
    for name, key in (("env", "{{env/LEAKY}}"), ("file", "{{file/key.txt}}")):
        gateway.put(documents.endpoint(f"by-{name}", documents.openai("a", base, key=key)))
    gateway.put(documents.endpoint("by-hand", documents.openai("a", base, key=PLANTED["file-plaintext"])))
    tokens = {}
    with gateway:
        api = Api(gateway)
        api.client = gateway.client(documents.ADMIN, event_hooks={"response": [listener.note]})
        use(api, base, tokens)
        tokens["jwt"] = issuer.token("ES256")
        for token in (tokens["jwt"], tokens["made"], "sk-LEAK-unknown-token-0123456789"):
            with gateway.client(token, event_hooks={"response": [listener.note]}) as other:
                other.get("/api/2.0/serving-endpoints")
                other.post("/v1/chat/completions", json=documents.chat_body("by-env"))
        for page in ("/metrics", "/readyz", "/healthz"):
            listener.note(httpx.get(gateway.operations + page))
    issuer.close()
    checked = subprocess.run([places.gateway_binary(), "check", gateway.config], capture_output=True, text=True,
                             env={**os.environ, "LEAKY": PLANTED["env"]})
    sent = {request.headers.get("authorization", "").removeprefix("Bearer ") for request in upstream.requests}
    return {"gateway": gateway, "answers": listener.all(), "check": checked.stdout + checked.stderr, "sent": sent,
            "tokens": tokens, "master": master}


def use(api, base, tokens):
    """Success and failure of everything that touches a secret."""
    def entity(**key):
        return {"name": "a", "external_model": {"name": "m", "provider": "openai", "task": documents.CHAT,
                                                "openai_config": {"openai_api_base": base, **key}}}

    def config(**key):
        return {"served_entities": [entity(**key)]}

    api.create({"name": "plain", "config": config(openai_api_key_plaintext=PLANTED["replaced"])})
    ask(api, "plain")
    api.put_config("plain", config(openai_api_key_plaintext=PLANTED["plaintext"]))
    ask(api, "plain")
    ref = api.put_secret("scope", "key", PLANTED["store"])
    api.create({"name": "stored", "config": config(openai_api_key=ref)})
    ask(api, "stored")
    api.put_secret("scope", "key", PLANTED["changed"])
    ask(api, "stored")
    api.ok("POST", "/secrets/put", {"scope": "scope", "key": "bytes", "bytes_value": base64.b64encode(PLANTED["bytes"].encode()).decode()})
    custom = documents.custom("a", base, api_key_auth={"key": "authorization", "value_plaintext": PLANTED["header"]})
    api.create(documents.endpoint("header", custom))
    for name in ("by-env", "by-file", "by-hand", "header"):
        ask(api, name)
    # What is refused is not repeated.
    api.refused("POST", ENDPOINTS, {"name": "x", "config": config(openai_api_key=PLANTED["refused-literal"])})
    broken = config(openai_api_key_plaintext=PLANTED["refused-plaintext"], openai_api_type="nonsense")
    api.refused("POST", ENDPOINTS, {"name": "a b", "config": broken, "tags": 5})
    cut = json.dumps({"name": "x", "config": config(openai_api_key_plaintext=PLANTED["refused-plaintext"])}).encode()
    api.refused("POST", ENDPOINTS, cut[:-2], 400, "BAD_REQUEST")
    api.refused("POST", ENDPOINTS, cut.replace(b'"name": "x"', b'"name": "x", "name": "x"', 1), 400, "BAD_REQUEST")
    api.refused("POST", ENDPOINTS, {"name": "x", "config": config(openai_api_key_plaintext=[PLANTED["refused-plaintext"]])})
    api.refused("PUT", f"{ENDPOINTS}/plain/config", config(openai_api_key_plaintext={"a": PLANTED["refused-plaintext"]}))
    api.refused("POST", "/secrets/put", {"scope": "scope", "key": "k", "string_value": [PLANTED["refused-plaintext"]]})
    api.refused("POST", "/secrets/put", {"scope": "a b", "key": PLANTED["refused-plaintext"], "string_value": PLANTED["refused-plaintext"]})
    api.call("GET", "/secrets/get", params={"scope": "scope", "key": "key"})
    api.create({"name": unique("same"), "config": config(openai_api_key_plaintext=PLANTED["plaintext"])})
    tokens["made"] = api.ok("POST", "/token/create", {})["token_value"]
    tokens["obo"] = api.ok("POST", "/token-management/on-behalf-of/tokens", {"application_id": "robot"})["token_value"]
    # A broken file that holds one, shown in the status.
    api.gateway.write("endpoints/broken.yaml", {"name": "broken", "config": config(openai_api_key=PLANTED["refused-literal"])})
    eventually(lambda: api.gateway.readyz()[1].get("config_error"))
    api.ok("GET", "/gateway/status")
    api.gateway.remove("broken")
    everything(api)
    api.ok("DELETE", f"{ENDPOINTS}/header")


def ask(api, name):
    """Both ways: well, and with a provider that repeats the key in its error."""
    api.ask(name)
    api.client.post("/v1/chat/completions", json=documents.chat_body(name, user="fail"))
    api.client.post(f"/serving-endpoints/{name}/invocations", json=documents.chat_body(user="fail"))


def everything(api):
    for name in api.names():
        api.get(name)
        for path in ("metrics", "openapi", "served-models/a/logs", "served-models/a/build-logs"):
            api.call("GET", f"{ENDPOINTS}/{name}/{path}")
    for path in ("/secrets/scopes/list", "/secrets/list?scope=scope", "/token/list", "/openapi.json", "/preview/scim/v2/Me"):
        api.ok("GET", path)


def test_the_secrets_were_used(run):
    """Else the search below would prove nothing."""
    assert run["sent"] >= {PLANTED[k] for k in ("plaintext", "replaced", "store", "changed", "env", "file", "header", "file-plaintext")}


def shows(text, secret):
    forms = {secret, base64.b64encode(secret.encode()).decode().rstrip("=")}
    return [form for form in forms if form in text]


def secrets_of(run, *without):
    made = run["tokens"]["made"], run["tokens"]["obo"], run["tokens"]["jwt"], documents.ADMIN, base64.b64encode(run["master"]).decode()
    return [value for kind, value in PLANTED.items() if kind not in without] + list(made)


def test_answers(run):
    """Only the two answers that made a token may show it, once each."""
    for secret in secrets_of(run):
        found = run["answers"].count(secret)
        assert found == (1 if secret in (run["tokens"]["made"], run["tokens"]["obo"]) else 0), secret
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in run["answers"]


def test_log(run):
    log = run["gateway"].log()
    for secret in secrets_of(run) + ["sk-LEAK-unknown-token-0123456789"]:
        assert not shows(log, secret), secret
    assert not shows(run["check"], PLANTED["file-plaintext"]) and not shows(run["check"], PLANTED["env"])


def test_files(run):
    """Config: only what a person wrote there. State, audit log and database: nothing at all."""
    gateway = run["gateway"]
    by_hand = {gateway.config / "key.txt": "file", gateway.config / "endpoints/by-hand.yaml": "file-plaintext"}
    searched = 0
    for path in [*gateway.config.rglob("*"), *gateway.state.rglob("*")]:
        if not path.is_file():
            continue
        text = path.read_bytes().decode("latin-1")
        searched += 1
        # Last good documents are kept as they were written, so the one value that a person put into a file is in the database, too.
        allowed = {by_hand.get(path, "")} | ({"file-plaintext"} if path.name.startswith("weirgate.db") else set())
        for secret in secrets_of(run, *allowed):
            assert secret not in text, (path, secret)
    assert searched >= 8 and (gateway.state / "audit/audit.jsonl").stat().st_size > 500
    assert run["master"] not in b"".join(p.read_bytes() for p in gateway.state.rglob("*") if p.is_file())


def test_values_are_sealed_one_by_one(run):
    """Under a nonce of their own: the same plaintext, twice in the store, is not the same bytes twice."""
    database = sqlite3.connect(f"file:{run['gateway'].state / 'weirgate.db'}?mode=ro", uri=True)
    sealed = [bytes(row[0]) for row in database.execute("SELECT sealed FROM secrets")]
    assert len(sealed) >= 4 and len({value[12:] for value in sealed}) == len({value[:12] for value in sealed}) == len(sealed)
