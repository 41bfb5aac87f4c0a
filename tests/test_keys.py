"""The master key, its rotation, backup and restore: the commands beside a running gateway."""
import base64
import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest

from support import documents, places
from support.control import ENDPOINTS, Api
from support.doors import restarted
from support.gateway import eventually

pytestmark = pytest.mark.timeout(60)


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


def weirgate(api, *arguments, env=None, **options):
    gateway = api.gateway
    command = [places.gateway_binary(), *arguments[:2], "--config", gateway.config, "--state", gateway.state, *arguments[2:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env={"PATH": os.environ["PATH"], **(env or {})}, **options)


def rotate(api, env=None):
    done = weirgate(api, "secrets", "rotate-key", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def prepared(gateway, speaker):
    """A secret by reference, and a value that came as plaintext."""
    api = Api(gateway)
    ref = api.put_secret("scope", "key", "sk-by-reference")
    api.create(documents.endpoint("stored", documents.openai("a", f"{speaker.url}/v1", key=ref)))
    api.create(documents.endpoint("own", documents.openai("a", f"{speaker.url}/v1", key="sk-as-plaintext")))
    return api


def works(api, speaker):
    for name, key in (("stored", "sk-by-reference"), ("own", "sk-as-plaintext")):
        answer = api.ask(name)
        assert answer.status_code == 200, answer.text
        assert speaker.requests[-1].headers["authorization"] == f"Bearer {key}"
    return True


def sealed(api):
    with sqlite3.connect(f"file:{api.gateway.state / 'weirgate.db'}?mode=ro", uri=True) as database:
        return {row[0]: bytes(row[1]) for row in database.execute("SELECT scope || '/' || key, sealed FROM secrets")}


def test_rotation_of_the_key_file_under_load(gateways, speaker):
    api = prepared(gateways(), speaker)
    before, key = sealed(api), (api.gateway.state / "master.key").read_bytes()
    stop, answers = threading.Event(), []

    def load():
        mine = Api(api.gateway)
        while not stop.is_set():
            answers.append(mine.ask("stored").status_code)
            mine.put_secret("scope", "moving", str(len(answers)))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        eventually(lambda: answers)
        shown = "".join(rotate(api) for _ in range(3))
        enough = len(answers) + 5
        eventually(lambda: len(answers) > enough)
    finally:
        stop.set()
        thread.join(20)
    assert set(answers) == {200} and works(api, speaker)
    after, new = sealed(api), (api.gateway.state / "master.key").read_bytes()
    assert new != key and all(after[name] != value for name, value in before.items())
    assert base64.b64encode(new).decode() not in shown and new.decode("latin-1").strip() not in shown
    api.put_secret("scope", "later", "x")
    assert works(restarted(api), speaker)


def test_rotation_with_the_key_in_the_environment(gateways, speaker):
    """As docs/secrets.md has it: both keys, rotate, the new one alone."""
    old, new = new_key(), new_key()
    api = prepared(gateways(env={"WEIRGATE_MASTER_KEY": old}), speaker)
    assert not (api.gateway.state / "master.key").exists()
    api = restarted(api, {"WEIRGATE_MASTER_KEY": f"{old},{new}"})
    shown = rotate(api, {"WEIRGATE_MASTER_KEY": old, "WEIRGATE_NEW_MASTER_KEY": new})
    assert old not in shown and new not in shown
    assert works(api, speaker)
    api.put_secret("scope", "key", "sk-by-reference")
    api = restarted(api, {"WEIRGATE_MASTER_KEY": new})
    assert works(api, speaker) and new not in api.gateway.log()


@pytest.mark.parametrize("wrong", ["another", "too short", "no base64", ""])
def test_a_wrong_key_is_noticed_at_the_start(gateways, speaker, wrong):
    key = new_key()
    api = prepared(gateways(env={"WEIRGATE_MASTER_KEY": key}), speaker)
    api.gateway.stop()
    bad = {"another": new_key(), "too short": base64.b64encode(b"short").decode(), "no base64": "?" * 44, "": ""}[wrong]
    gateway = api.gateway
    gateway.env = {"WEIRGATE_ADMIN_TOKEN": documents.ADMIN, "WEIRGATE_MASTER_KEY": bad}
    gateway.start()
    assert gateway.process.wait(20) != 0
    assert "WEIRGATE_MASTER_KEY" in gateway.log() and (not bad or bad not in gateway.log())
    assert works(restarted(api, {"WEIRGATE_MASTER_KEY": key}), speaker), "and nothing was harmed"


def test_a_lost_key_file(gateways, speaker):
    """A new key must not be made over secrets that it cannot open."""
    api = prepared(gateways(), speaker)
    api.gateway.stop()
    kept = api.gateway.folder / "kept.key"
    (api.gateway.state / "master.key").rename(kept)
    api.gateway.start()
    assert api.gateway.process.wait(20) != 0 and "master" in api.gateway.log()
    kept.rename(api.gateway.state / "master.key")
    assert works(restarted(api), speaker)


def test_rotation_that_is_killed(gateways, speaker):
    """At any moment: the old key or the new one is in force, with its file in place."""
    api = prepared(gateways(), speaker)
    for number in range(200):
        api.put_secret("many", f"k{number}", "x" * 1000)
    gateway, killed = api.gateway, 0
    command = [places.gateway_binary(), "secrets", "rotate-key", "--config", gateway.config, "--state", gateway.state]
    started = time.monotonic()
    rotate(api)
    took = time.monotonic() - started
    for _ in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.random() * took)
        process.kill()
        killed += process.wait() < 0
        assert eventually(lambda: works(api, speaker), 5)
    assert killed >= 4
    assert works(restarted(api), speaker)
    rotate(api)
    assert works(restarted(api), speaker)


def test_backup_and_restore(gateways, folders, speaker):
    """A backup taken while others write is whole; with the config and the key it makes the same gateway again."""
    api = prepared(gateways(), speaker)
    token = api.ok("POST", "/token/create", {})["token_value"]
    ids = {name: api.get(name)["id"] for name in api.names()}
    stop = threading.Event()

    def write():
        mine = Api(api.gateway)
        while not stop.is_set():
            mine.put_secret("scope", "moving", "x" * 10_000)

    thread = threading.Thread(target=write)
    thread.start()
    target = api.gateway.folder / "backup.db"
    try:
        done = subprocess.run([places.gateway_binary(), "backup", "--config", api.gateway.config, "--state", api.gateway.state, target],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
    finally:
        stop.set()
        thread.join(20)
    assert target.stat().st_mode & 0o777 == 0o600
    other = gateways(start=False)
    shutil.copytree(api.gateway.config / "endpoints", other.config / "endpoints", dirs_exist_ok=True)
    other.state.mkdir(mode=0o700)
    shutil.copy(target, other.state / "weirgate.db")
    shutil.copy(api.gateway.state / "master.key", other.state / "master.key")
    restored = Api(other.start().wait_ready())
    assert works(restored, speaker) and {name: restored.get(name)["id"] for name in restored.names()} == ids
    assert Api(other, token).names() == sorted(ids)
    again = subprocess.run([places.gateway_binary(), "backup", "--config", api.gateway.config, "--state", api.gateway.state, target],
                           capture_output=True, text=True, timeout=30)
    assert again.returncode != 0 and "exist" in again.stderr.lower(), "an older backup is not written over"


def test_secrets_may_be_made_readable(gateways):
    gateway = gateways(settings={"secrets": {"readable": True}})
    api, alice = Api(gateway), Api(gateway, documents.ALICE)
    api.put_secret("scope", "key", "välue")
    where = {"params": {"scope": "scope", "key": "key"}}
    assert api.ok("GET", "/secrets/get", **where) == {"key": "key", "value": base64.b64encode("välue".encode()).decode()}
    alice.refused("GET", "/secrets/get", None, 403, "PERMISSION_DENIED", **where)
    api.ok("POST", "/secrets/acls/put", {"scope": "scope", "principal": "research", "permission": "READ"})
    assert alice.ok("GET", "/secrets/get", **where)["key"] == "key"
    api.refused("GET", "/secrets/get", None, 404, "RESOURCE_DOES_NOT_EXIST", params={"scope": "scope", "key": "none"})
    text = (gateway.state / "audit/audit.jsonl").read_text()
    assert text.count("scope/key") >= 3 and "välue" not in text


def test_a_sealed_value_does_not_open_under_another_name(gateways, speaker):
    """Scope and key are authenticated with the value: rows that were swapped in the database count as missing."""
    api = prepared(gateways(), speaker)
    api.put_secret("scope", "other", "sk-of-somebody-else")
    api.gateway.stop()
    with sqlite3.connect(api.gateway.state / "weirgate.db") as database:
        value, = database.execute("SELECT sealed FROM secrets WHERE key = 'other'").fetchone()
        database.execute("UPDATE secrets SET sealed = ? WHERE scope = 'scope' AND key = 'key'", [value])
    api = restarted(api)
    speaker.clear()
    answer = api.ask("stored")
    assert answer.status_code == 400 and answer.json()["error_code"] == "BAD_REQUEST" and not speaker.requests
    assert api.ask("own").status_code == 200 and "scope/key" in api.gateway.log()
    assert api.get("stored")["state"]["ready"] and api.call("DELETE", f"{ENDPOINTS}/stored").status_code == 200
