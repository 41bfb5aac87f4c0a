"""Many writers at once, through either door and two processes: product.md §1."""
import json
import random
import threading
import time

import httpx
import pytest

from support import documents, upstream
from support.control import ENDPOINTS, Api, unique
from support.doors import SOON, chat, file_of, model_of
from support.gateway import Gateway, eventually

pytestmark = pytest.mark.timeout(60)


def test_hand_edits_are_never_lost(doors, speaker):
    """Both doors write the same endpoint at random moments. The hand's last description stays, whatever the API wrote after it."""
    doors.create(chat("fought", speaker))
    stop, refusals, accepted = threading.Event(), [], []

    def tag():
        api = Api(doors.gateway)
        while not stop.is_set():
            key = f"t{len(accepted) % 15}"
            answer = api.call("PATCH", f"{ENDPOINTS}/fought/tags", {"add_tags": [{"key": key, "value": str(len(accepted))}]})
            if answer.status_code == 200:
                accepted.append(key)
            else:
                refusals.append((answer.status_code, answer.json()["error_code"]))

    thread = threading.Thread(target=tag)
    thread.start()
    try:
        for number in range(25):
            time.sleep(random.random() * 0.08)
            file = file_of(doors, "fought")
            temporary = file.with_name(".fought.edit")
            temporary.write_text(json.dumps(chat("fought", speaker, f"hand-{number}", description=f"hand {number}")))
            temporary.rename(file)
            found = eventually(lambda n=number: doors.get("fought").get("description") == f"hand {n}" and doors.get("fought"), 5)
            assert model_of(found) == f"hand-{number}", "half of a hand edit"
    finally:
        stop.set()
        thread.join(20)
    assert accepted and set(refusals) <= {(409, "RESOURCE_CONFLICT")}, refusals
    assert doors.get("fought")["description"] == "hand 24"
    assert doors.call("PATCH", f"{ENDPOINTS}/fought/tags", {"add_tags": [{"key": "last"}]}).status_code == 200, "the door stays open"


def test_a_stale_write_is_a_conflict(doors, speaker):
    """A hand edit that the gateway has not taken up: the API write right behind it must not swallow it."""
    doors.create(chat("stale", speaker))
    seen = set()
    for number in range(10):
        file_of(doors, "stale").write_text(json.dumps(chat("stale", speaker, f"hand-{number}")))
        answer = doors.call("PATCH", f"{ENDPOINTS}/stale/tags", {"add_tags": [{"key": "k", "value": str(number)}]})
        seen.add(answer.status_code)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 409:
            assert answer.json()["error_code"] == "RESOURCE_CONFLICT"
        eventually(lambda n=number: model_of(doors.get("stale")) == f"hand-{n}", 5)
    assert 409 in seen


def test_one_generation_per_api_write(doors, speaker):
    """Own writes are recognised: the watcher does not publish them again."""
    generation = doors.gateway.generation()
    writes = [lambda: doors.create(chat("counted", speaker)),
              lambda: doors.put_config("counted", chat("counted", speaker, "other")["config"]),
              lambda: doors.ok("PATCH", f"{ENDPOINTS}/counted/tags", {"add_tags": [{"key": "k"}]}),
              lambda: doors.delete("counted")]
    for write in writes:
        write()
        assert doors.gateway.generation() == generation + 1
        time.sleep(0.7)
        generation += 1
        assert doors.gateway.generation() == generation, "published twice"


def test_concurrent_writes_all_land(doors, speaker):
    """Eight writers, each with its own endpoint, and all of them with tags of one."""
    doors.create(chat("common", speaker))
    problems = []

    def write(number):
        api, name = Api(doors.gateway), f"own-{number}"
        try:
            api.create(chat(name, speaker))
            for version in range(2, 5):
                assert api.put_config(name, chat(name, speaker, f"m{version}")["config"])["config"]["config_version"] == version
                api.ok("PATCH", f"{ENDPOINTS}/common/tags", {"add_tags": [{"key": f"w{number}", "value": str(version)}]})
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not problems, problems
    found = Api(doors.gateway)
    assert found.names() == sorted(["common", *(f"own-{n}" for n in range(8))])
    for number in range(8):
        assert model_of(found.get(f"own-{number}")) == "m4"
    assert found.get("common")["tags"] == [{"key": f"w{n}", "value": "4"} for n in range(8)]


def test_only_one_of_many_creates_wins(doors, speaker):
    answers = []

    def create():
        answers.append(Api(doors.gateway).call("POST", ENDPOINTS, chat("race", speaker)).status_code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [200] + [409] * 7


def test_reads_do_not_wait_for_writes(doors, speaker):
    doors.create(chat("read", speaker))
    stop = threading.Event()

    def write():
        api = Api(doors.gateway)
        while not stop.is_set():
            api.ok("PATCH", f"{ENDPOINTS}/read/tags", {"add_tags": [{"key": unique("t")[:20]}], "delete_tags": []})
            api.ok("PATCH", f"{ENDPOINTS}/read/tags", {"delete_tags": [tag["key"] for tag in api.get("read")["tags"]]})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        slowest = 0
        for _ in range(100):
            started = time.monotonic()
            doors.get("read")
            slowest = max(slowest, time.monotonic() - started)
    finally:
        stop.set()
        thread.join(20)
    assert slowest < 1, slowest


def test_yml_and_yaml(doors, speaker):
    """A file called .yml is rewritten in its place; there are never two."""
    doors.gateway.reload(lambda: doors.gateway.write("endpoints/short.yml", chat("short", speaker)))
    doors.ok("PATCH", f"{ENDPOINTS}/short/tags", {"add_tags": [{"key": "k"}]})
    assert [f.name for f in (doors.gateway.config / "endpoints").iterdir()] == ["short.yml"]
    assert doors.delete("short") == {} and not list((doors.gateway.config / "endpoints").iterdir())


def test_delete_lets_running_requests_finish(doors, speaker):
    release = threading.Event()

    def slow(connection):
        connection.request()
        connection.start_stream()
        connection.chunk(upstream.delta("first"))
        release.wait(20)
        connection.chunk(upstream.delta("last") + upstream.DONE)
        connection.send(b"0\r\n\r\n")

    up = upstream.Upstream(slow)
    doors.create(documents.endpoint("slow", documents.openai("a", f"{up.url}/v1")))
    with doors.gateway.client(documents.ADMIN) as client, client.stream(
            "POST", "/v1/chat/completions", json=documents.chat_body("slow", stream=True)) as response:
        pieces = response.iter_raw()
        assert b"first" in next(pieces)
        assert doors.delete("slow") == {} and doors.names() == []
        doors.create(chat("slow", speaker))
        release.set()
        assert b"".join(pieces).endswith(upstream.DONE)
    assert doors.ask("slow").json()["choices"][0]["message"]["content"] == "from gpt-4o"


@pytest.fixture
def pair(folders):
    """Two gateways on one config and one state, as during an upgrade; they differ in where they listen."""
    first, second = Gateway(folders()), Gateway(folders())
    del first.settings["operations"]
    first.write("weirgate.yaml", first.settings)
    second.config, second.state = first.config, first.state
    for gateway in (first, second):
        gateway.start("--listen", f"127.0.0.1:{gateway.port}")
        eventually(lambda url=gateway.url: httpx.get(f"{url}/.well-known/databricks-config", timeout=5).status_code == 200, 20)
    yield Api(first), Api(second)
    for gateway in (first, second):
        gateway.stop()


def test_two_gateways_on_one_state(pair, speaker):
    """What one writes the other serves within a second: endpoints with id and version, secrets, tokens."""
    one, other = pair
    made = one.create(chat("both", speaker))
    eventually(lambda: "both" in other.names() and other.get("both")["id"] == made["id"], SOON)
    assert other.ask("both").status_code == 200, "with the key that came as plaintext"
    other.put_config("both", chat("both", speaker, "newer")["config"])
    found = eventually(lambda: model_of(one.get("both")) == "newer" and one.get("both"), SOON)
    eventually(lambda: one.get("both")["config"]["config_version"] == 2 == other.get("both")["config"]["config_version"], SOON)
    assert found["id"] == made["id"]
    token = other.ok("POST", "/token/create", {})
    eventually(lambda: Api(one.gateway, token["token_value"]).call("GET", ENDPOINTS).status_code == 200, SOON)
    one.ok("POST", "/token/delete", {"token_id": token["token_info"]["token_id"]})
    eventually(lambda: Api(other.gateway, token["token_value"]).call("GET", ENDPOINTS).status_code == 401, SOON)
    ref = one.put_secret("shared", "key", "first")
    one.create(documents.endpoint("keyed", documents.openai("a", f"{speaker.url}/v1", key=ref)))
    for value in ("second", "third"):
        one.put_secret("shared", "key", value)
        eventually(lambda value=value: used_key(other, "keyed", speaker) == value, SOON)
    assert one.delete("both") == {}
    eventually(lambda: other.names() == ["keyed"], SOON)


def used_key(api, name, speaker):
    answer = api.ask(name)
    return speaker.requests[-1].headers["authorization"].removeprefix("Bearer ") if answer.status_code == 200 else None


def test_two_gateways_write_at_once(pair, speaker):
    """Through both doors to both processes: nothing lost, versions in step."""
    problems = []

    def write(api, number):
        try:
            name = f"own-{number}"
            api.create(chat(name, speaker))
            for version in range(2, 6):
                answer = api.call("PUT", f"{ENDPOINTS}/{name}/config", chat(name, speaker, f"m{version}")["config"])
                assert answer.status_code == 200, answer.text
                assert answer.json()["config"]["config_version"] == version
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(Api(pair[n % 2].gateway), n)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert not problems, problems
    for api in pair:
        eventually(lambda api=api: {name: (model_of(api.get(name)), api.get(name)["config"]["config_version"]) for name in api.names()}
                   == {f"own-{n}": ("m5", 5) for n in range(6)}, 5)
