"""Config edits while requests run: live within a second, nothing fails, a broken file changes nothing."""
import contextlib
import json
import math
import shutil
import threading
import time

import pytest

from support import documents, editors, upstream
from support.gateway import eventually
from support.upstream import Upstream, always, answer, completion, delta

pytestmark = pytest.mark.timeout(60)
SOON = 1.5  # seconds; 1 is promised, the rest is for a busy test machine


def named(text):
    return Upstream(always(lambda request: answer(completion(text))))


@pytest.fixture(scope="module")
def one():
    return named("one")


@pytest.fixture(scope="module")
def two():
    return named("two")


def chat(*ups, split=None, name="chat"):
    entities = [documents.openai(letter, f"{up.url}/v1") for letter, up in zip("abc", ups, strict=False)]
    return documents.endpoint(name, *entities, split=split)


def ask(client, name="chat"):
    response = client.post("/v1/chat/completions", json=documents.chat_body(name))
    assert response.status_code == 200, (response.status_code, response.text)
    return response.json()["choices"][0]["message"]["content"]


@contextlib.contextmanager
def load(gateway, workers=3):
    """Requests all the time; at the end, none may have failed. Gives the list of the answers so far."""
    answers, failures, stop = [], [], threading.Event()

    def work():
        with gateway.client() as client:
            while not stop.is_set():
                try:
                    answers.append(ask(client))
                except Exception as failure:
                    failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: answers or failures)
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(25)
    assert not failures, f"{len(failures)} of {len(answers)} failed, the first: {failures[0]}"


def test_upstream_is_switched_under_load(gateways, one, two):
    gateway = gateways([chat(one)])
    with load(gateway) as answers:
        for up, text in [(two, "two"), (one, "one")] * 4:
            start = time.monotonic()
            gateway.put(chat(up))
            eventually(lambda text=text: set(answers[-20:]) == {text})
            assert time.monotonic() - start < SOON
    assert len(answers) > 100


def test_weights_are_switched_under_load(gateways, one, two):
    gateway = gateways([chat(one, two, split={"a": 100, "b": 0})])
    with load(gateway) as answers:
        assert set(answers) == {"one"}
        gateway.reload(lambda: gateway.put(chat(one, two, split={"a": 50, "b": 50})))
        eventually(lambda: set(answers[-50:]) == {"one", "two"})
        gateway.reload(lambda: gateway.put(chat(one, two, split={"a": 0, "b": 100})))
        eventually(lambda: set(answers[-50:]) == {"two"})


def test_many_quick_edits_under_load(gateways, one, two):
    gateway = gateways([chat(one)])
    with load(gateway):
        for i in range(60):
            gateway.put(chat((one, two)[i % 2]))
            time.sleep(0.01)
        gateway.put(chat(two))
        with gateway.client() as client:
            eventually(lambda: ask(client) == "two", 3)


@pytest.mark.parametrize("write", editors.ALL)
def test_ways_of_editors(gateways, one, two, write):
    gateway = gateways([chat(one)])
    with gateway.client() as client:
        for up, text in ((two, "two"), (one, "one"), (two, "two")):
            write(gateway, "endpoints/chat.yaml", json.dumps(chat(up)))
            start = time.monotonic()
            eventually(lambda text=text: ask_quietly(client) == text, 5)
            assert time.monotonic() - start < SOON


def ask_quietly(client):
    response = client.post("/v1/chat/completions", json=documents.chat_body("chat"))
    return response.json()["choices"][0]["message"]["content"] if response.status_code == 200 else None


def test_symlink_swap_as_kubernetes_does_it(gateways, one, two):
    """ConfigMap mounted on endpoints/: chat.yaml -> ..data/chat.yaml, ..data -> the folder of a version."""
    gateway = gateways([chat(one)], start=False)
    endpoints = gateway.config / "endpoints"
    first, second, data = endpoints / "..v1", endpoints / "..v2", endpoints / "..data"
    first.mkdir()
    (endpoints / "chat.yaml").rename(first / "chat.yaml")
    data.symlink_to(first.name)
    (endpoints / "chat.yaml").symlink_to("..data/chat.yaml")
    gateway.start().wait_ready()
    with load(gateway) as answers:
        for version, up, text in ((second, two, "two"), (first, one, "one")):
            start = time.monotonic()
            shutil.rmtree(version, ignore_errors=True)
            version.mkdir()
            (version / "chat.yaml").write_text(json.dumps(chat(up)))
            swap = endpoints / "..data_tmp"
            swap.symlink_to(version.name)
            swap.rename(data)
            eventually(lambda text=text: set(answers[-20:]) == {text})
            assert time.monotonic() - start < SOON


def test_endpoints_come_and_go(gateways, one):
    gateway = gateways()
    assert gateway.readyz()[0] == 200, "a gateway without endpoints is ready"
    with gateway.client() as client:
        assert client.post("/v1/chat/completions", json=documents.chat_body("new")).status_code == 404
        gateway.reload(lambda: gateway.put(chat(one, name="new")))
        assert ask(client, "new") == "one"
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["new"]
        gateway.reload(lambda: gateway.remove("new"))
        assert client.post("/v1/chat/completions", json=documents.chat_body("new")).status_code == 404


def test_other_files_cause_no_reload(gateways, one):
    gateway = gateways([chat(one)])
    before = gateway.generation()
    (gateway.config / "notes.txt").write_text("hello")
    (gateway.config / "endpoints/chat.yaml.swp").write_text("{")
    (gateway.config / "endpoints/.hidden.yaml~").write_text("{")
    (gateway.config / "endpoints/README.md").write_text("{")
    time.sleep(1)
    assert gateway.generation() == before and not gateway.readyz()[1].get("config_error")


BROKEN = 'name: chat\nconfig:\n  served_entities:\n    - name: a\n      external_modle: {}\n'


@pytest.mark.parametrize("broken, place", [(BROKEN, "endpoints/chat.yaml:5:7"), ("name: [\n", "endpoints/chat.yaml:"), ("", "endpoints/chat.yaml")])
def test_broken_file_changes_nothing(gateways, one, two, broken, place):
    gateway = gateways([chat(one)])
    with load(gateway) as answers:
        gateway.write("endpoints/chat.yaml", broken)
        body = eventually(lambda: [b for b in [gateway.readyz()[1]] if b.get("config_error")], 5)[0]
        assert gateway.readyz()[0] == 200
        assert place in str(body["config_error"]), body
        before = len(answers)
        eventually(lambda: len(answers) > before + 20)
        gateway.put(chat(two))
        eventually(lambda: set(answers[-20:]) == {"two"})
        eventually(lambda: not gateway.readyz()[1].get("config_error"))


def test_broken_file_is_logged_once_and_counted(gateways, one):
    gateway = gateways([chat(one)])
    gateway.write("endpoints/chat.yaml", BROKEN)
    eventually(lambda: gateway.readyz()[1].get("config_error"))
    time.sleep(0.5)
    assert gateway.log().count("unknown key `external_modle`") == 1, gateway.log()
    bad = [(name, value) for name, _, value in gateway.metrics() if "config" in name and value > 0]
    assert bad, "no metric tells of the broken config"


def test_broken_settings_keep_the_tokens(gateways, one):
    gateway = gateways([chat(one)])
    gateway.write("weirgate.yaml", "authentication: {tokens: nonsense}\nlimitz: {}\n")
    eventually(lambda: gateway.readyz()[1].get("config_error"))
    with gateway.client() as client:
        assert ask(client) == "one"


def test_request_in_flight_ends_on_the_snapshot_it_began_with(gateways, two):
    release = threading.Event()

    def slow(connection):
        connection.request()
        connection.start_stream()
        connection.chunk(delta("first"))
        release.wait(20)
        connection.chunk(delta("last") + upstream.DONE)
        connection.send(b"0\r\n\r\n")

    gateway = gateways([chat(Upstream(slow))])
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=documents.chat_body("chat", stream=True)) as response:
            pieces = response.iter_raw()
            assert b"first" in next(pieces)
            gateway.reload(lambda: gateway.remove("chat"))
            gateway.reload(lambda: gateway.put(chat(two)))
            release.set()
            rest = b"".join(pieces)
            assert b"last" in rest and rest.endswith(upstream.DONE)
        assert ask(client) == "two"


def test_split_is_kept(gateways, one, two):
    gateway = gateways([chat(one, two, split={"a": 75, "b": 25})])
    with gateway.client() as client:
        count = sum(ask(client) == "one" for _ in range(400))
        assert abs(count - 300) <= 4.5 * math.sqrt(400 * 0.75 * 0.25), count
        for _ in range(20):  # the direct route ignores the split
            answer = client.post("/serving-endpoints/chat/served-models/b/invocations", json=documents.chat_body())
            assert answer.json()["choices"][0]["message"]["content"] == "two"
            assert answer.headers["served-model-name"] == "b"


def test_entity_without_a_share_is_reached_directly_only(gateways, one, two):
    gateway = gateways([chat(one, two, split={"a": 100})])
    with gateway.client() as client:
        assert {ask(client) for _ in range(50)} == {"one"}
        answer = client.post("/serving-endpoints/chat/served-models/b/invocations", json=documents.chat_body())
        assert answer.json()["choices"][0]["message"]["content"] == "two"
