"""The audit log: who changed what, when, from where, with both versions; JSON lines; never a secret."""
import datetime
import json
import stat
import subprocess

import pytest

from support import documents, places
from support.control import ENDPOINTS, Api
from support.doors import chat, restarted
from support.gateway import eventually

pytestmark = pytest.mark.timeout(60)


def lines(api):
    file = api.gateway.state / "audit/audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def last(api, count=1):
    return lines(api)[-count:]


def test_an_endpoints_life(doors, speaker):
    created = doors.call("POST", ENDPOINTS, chat("chat", speaker))
    entry, = last(doors)
    assert entry["action"] == "endpoint.create" and entry["target"] == "chat" and entry["outcome"] == "ok"
    assert entry["actor"] == created.json()["creator"] and entry["actor_kind"] == "User"
    assert entry["request_id"] == created.headers["x-request-id"] and entry["address"].startswith("127.0.0.1:")
    assert entry["new_version"] == 1 and "old_version" not in entry
    at = datetime.datetime.fromisoformat(entry["time"])
    assert abs((datetime.datetime.now(datetime.UTC) - at).total_seconds()) < 30
    doors.put_config("chat", chat("chat", speaker, "gpt-4")["config"])
    entry, = last(doors)
    assert (entry["old_version"], entry["new_version"], entry["target"]) == (1, 2, "chat") and entry["action"].startswith("endpoint.")
    actions = {entry["action"]}
    for method, path, body in [("PATCH", "/tags", {"add_tags": [{"key": "k"}]}), ("PUT", "/rate-limits", {"rate_limits": []}),
                               ("PUT", "/ai-gateway", {}),
                               ("PATCH", "/notifications", {"email_notifications": {}}), ("DELETE", "", None)]:
        doors.ok(method, f"{ENDPOINTS}/chat{path}", body)
        entry, = last(doors)
        assert entry["target"] == "chat" and entry["outcome"] == "ok" and entry["action"] not in actions
        actions.add(entry["action"])


def test_refusals(doors, speaker):
    """Attempts are changes that did not happen: who tried, and why it was refused."""
    doors.create(chat("chat", speaker))
    alice = Api(doors.gateway, documents.ALICE)
    for api, method, path, body, outcome in [
            (alice, "DELETE", f"{ENDPOINTS}/chat", None, "permission_denied"),
            (doors, "POST", ENDPOINTS, {"name": "a b"}, "invalid_parameter"),
            (doors, "DELETE", f"{ENDPOINTS}/nothing", None, "endpoint_not_found"), (doors, "POST", ENDPOINTS, b"[", "invalid_json"),
            (doors, "POST", ENDPOINTS, chat("chat", speaker), "already_exists")]:
        before = len(lines(doors))
        assert api.call(method, path, body).status_code >= 400
        entry, = lines(doors)[before:]
        assert entry["outcome"] == outcome and entry["actor"] == ("alice" if api is alice else "admin"), entry


def test_reads_leave_no_line(doors, speaker):
    doors.create(chat("chat", speaker))
    before = len(lines(doors))
    doors.get("chat")
    doors.names()
    doors.ok("GET", "/token/list")
    doors.ask("chat")
    assert len(lines(doors)) == before


def test_identity_and_secrets(doors, speaker):
    ref = doors.put_secret("prod", "openai", "sk-never-in-the-audit-log")
    doors.ok("POST", "/secrets/acls/put", {"scope": "prod", "principal": "alice", "permission": "READ"})
    token = doors.ok("POST", "/token/create", {"comment": "c"})
    doors.ok("POST", "/token/delete", {"token_id": token["token_info"]["token_id"]})
    made = doors.create(documents.endpoint("keyed", documents.openai("a", f"{speaker.url}/v1", key=ref)))
    doors.ok("PATCH", f"/permissions/serving-endpoints/{made['id']}", {"access_control_list": [
        {"user_name": "alice", "permission_level": "CAN_VIEW"}]})
    found = [(entry["action"], entry["target"]) for entry in lines(doors)]
    assert len(found) == len(set(found)) == 7 and ("endpoint.create", "keyed") in found
    assert any(target == "prod/openai" for _, target in found)
    assert any(target == token["token_info"]["token_id"] for _, target in found)
    text = (doors.gateway.state / "audit/audit.jsonl").read_text()
    for secret in ("sk-never-in-the-audit-log", token["token_value"], documents.ADMIN, documents.UPSTREAM_KEY):
        assert secret not in text


def test_edits_of_files(doors, speaker):
    gateway = doors.gateway
    gateway.reload(lambda: gateway.put(chat("file", speaker)))
    gateway.reload(lambda: gateway.put(chat("file", speaker, "gpt-4")))
    gateway.reload(lambda: gateway.remove("file"))
    entries = eventually(lambda: len(lines(doors)) == 3 and lines(doors))
    assert {entry["actor"] for entry in entries} == {"file"} and {entry["actor_kind"] for entry in entries} == {"System"}
    assert {entry["target"] for entry in entries} == {"file"} and "address" not in entries[0]
    assert (entries[1].get("old_version"), entries[1].get("new_version")) == (1, 2)


def test_commands(doors):
    gateway = doors.gateway
    command = [places.gateway_binary(), "token", "create", "--config", gateway.config, "--state", gateway.state, "--user", "dora"]
    assert subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    entry, = last(doors)
    assert entry["actor"] == "command" and entry["actor_kind"] == "System" and entry["action"] == "token.create"


def test_it_is_private_and_goes_on_over_a_restart(doors, speaker):
    doors.create(chat("chat", speaker))
    restarted(doors).delete("chat")
    assert [entry["action"] for entry in lines(doors)] == ["endpoint.create", "endpoint.delete"]
    for path in [doors.gateway.state, *(path for path in doors.gateway.state.rglob("*") if path.is_file())]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, f"others may read {path}"
