"""The audit log: who changed what, when, from where, with both versions; JSON lines; never a secret."""
import datetime
import json
import stat
import subprocess

import pytest

from support import documents, places
from support.control import ENDPOINTS, Api
from support.gateway import eventually

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def audited(gateways):
    return Api(gateways())


def lines(api):
    file = api.gateway.state / "audit/audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def last(api, count=1):
    return lines(api)[-count:]


def chat(name, speaker, model="gpt-4o"):
    return documents.endpoint(name, documents.openai("a", f"{speaker.url}/v1", model))


def test_an_endpoints_life(audited, speaker):
    created = audited.call("POST", ENDPOINTS, chat("chat", speaker))
    entry, = last(audited)
    assert entry["action"] == "endpoint.create" and entry["target"] == "chat" and entry["outcome"] == "ok"
    assert entry["actor"] == created.json()["creator"] and entry["actor_kind"] == "User"
    assert entry["request_id"] == created.headers["x-request-id"] and entry["address"].startswith("127.0.0.1:")
    assert entry["new_version"] == 1 and "old_version" not in entry
    at = datetime.datetime.fromisoformat(entry["time"])
    assert abs((datetime.datetime.now(datetime.UTC) - at).total_seconds()) < 30
    audited.put_config("chat", chat("chat", speaker, "gpt-4")["config"])
    entry, = last(audited)
    assert (entry["old_version"], entry["new_version"], entry["target"]) == (1, 2, "chat") and entry["action"].startswith("endpoint.")
    actions = {entry["action"]}
    for method, path, body in [("PATCH", "/tags", {"add_tags": [{"key": "k"}]}), ("PUT", "/rate-limits", {"rate_limits": []}),
                               ("PUT", "/ai-gateway", {}),
                               ("PATCH", "/notifications", {"email_notifications": {}}), ("DELETE", "", None)]:
        audited.ok(method, f"{ENDPOINTS}/chat{path}", body)
        entry, = last(audited)
        assert entry["target"] == "chat" and entry["outcome"] == "ok" and entry["action"] not in actions
        actions.add(entry["action"])


def test_refusals(audited, speaker):
    """Attempts are changes that did not happen: who tried, and why it was refused."""
    audited.create(chat("chat", speaker))
    alice = Api(audited.gateway, documents.ALICE)
    for api, method, path, body, outcome in [
            (alice, "DELETE", f"{ENDPOINTS}/chat", None, "permission_denied"),
            (audited, "POST", ENDPOINTS, {"name": "a b"}, "invalid_parameter"),
            (audited, "DELETE", f"{ENDPOINTS}/nothing", None, "endpoint_not_found"), (audited, "POST", ENDPOINTS, b"[", "invalid_json"),
            (audited, "POST", ENDPOINTS, chat("chat", speaker), "already_exists")]:
        before = len(lines(audited))
        assert api.call(method, path, body).status_code >= 400
        entry, = lines(audited)[before:]
        assert entry["outcome"] == outcome and entry["actor"] == ("alice" if api is alice else "admin"), entry


def test_reads_leave_no_line(audited, speaker):
    audited.create(chat("chat", speaker))
    before = len(lines(audited))
    audited.get("chat")
    audited.names()
    audited.ok("GET", "/token/list")
    audited.ask("chat")
    assert len(lines(audited)) == before


def test_identity_and_secrets(audited, speaker):
    ref = audited.put_secret("prod", "openai", "sk-never-in-the-audit-log")
    audited.ok("POST", "/secrets/acls/put", {"scope": "prod", "principal": "alice", "permission": "READ"})
    token = audited.ok("POST", "/token/create", {"comment": "c"})
    audited.ok("POST", "/token/delete", {"token_id": token["token_info"]["token_id"]})
    made = audited.create(documents.endpoint("keyed", documents.openai("a", f"{speaker.url}/v1", key=ref)))
    audited.ok("PATCH", f"/permissions/serving-endpoints/{made['id']}", {"access_control_list": [
        {"user_name": "alice", "permission_level": "CAN_VIEW"}]})
    found = [(entry["action"], entry["target"]) for entry in lines(audited)]
    assert len(found) == len(set(found)) == 7 and ("endpoint.create", "keyed") in found
    assert any(target == "prod/openai" for _, target in found)
    assert any(target == token["token_info"]["token_id"] for _, target in found)
    text = (audited.gateway.state / "audit/audit.jsonl").read_text()
    for secret in ("sk-never-in-the-audit-log", token["token_value"], documents.ADMIN, documents.UPSTREAM_KEY):
        assert secret not in text


def test_edits_of_files(audited, speaker):
    gateway = audited.gateway
    gateway.reload(lambda: gateway.put(chat("file", speaker)))
    gateway.reload(lambda: gateway.put(chat("file", speaker, "gpt-4")))
    gateway.reload(lambda: gateway.remove("file"))
    entries = eventually(lambda: len(lines(audited)) == 3 and lines(audited))
    assert {entry["actor"] for entry in entries} == {"file"} and {entry["actor_kind"] for entry in entries} == {"System"}
    assert {entry["target"] for entry in entries} == {"file"} and "address" not in entries[0]
    assert (entries[1].get("old_version"), entries[1].get("new_version")) == (1, 2)


def test_commands(audited):
    gateway = audited.gateway
    command = [places.gateway_binary(), "token", "create", "--config", gateway.config, "--state", gateway.state, "--user", "dora"]
    assert subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    entry, = last(audited)
    assert entry["actor"] == "command" and entry["actor_kind"] == "System" and entry["action"] == "token.create"


def test_it_is_private_and_goes_on_over_a_restart(audited, speaker):
    audited.create(chat("chat", speaker))
    audited.gateway.stop()
    audited.gateway.start().wait_ready()
    Api(audited.gateway).delete("chat")
    assert [entry["action"] for entry in lines(audited)] == ["endpoint.create", "endpoint.delete"]
    for path in [audited.gateway.state, *(path for path in audited.gateway.state.rglob("*") if path.is_file())]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, f"others may read {path}"
