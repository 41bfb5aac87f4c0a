"""The engine's process: killed under load, stopped with the gateway, no traffic before it is ready."""
import subprocess
import threading
import time

import httpx
import pytest

from support import documents, engine, places, shapes, wire
from support.gateway import eventually, free_port
from support.upstream import Upstream, always, answer, completion

pytestmark = pytest.mark.timeout(120)
SHORT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.fixture
def gateway(gateways):
    gateway = gateways([engine.chat_endpoint()], engine.catalog()[:1], start=False)
    return gateway.start().wait_ready(60)


def engine_of(gateway):
    found = engine.children(gateway.process.pid)
    assert len(found) == 1, f"engine processes: {found}"
    return found[0]


def ask(client, door=shapes.V1, tokens=2):
    return client.post(f"{door}/chat/completions", json=documents.chat_body(engine.CHAT_ENDPOINT, max_tokens=tokens, messages=SHORT))


def states(gateway):
    return {item["name"]: item["state"] for item in gateway.readyz()[1]["engines"]}


@pytest.mark.parametrize("door", shapes.DOORS)
def test_killed_under_load(gateway, door):
    """Requests fail only while the engine is down, in the door's shape, and none hangs."""
    results, stop = [], threading.Event()

    def work():
        with gateway.client(timeout=30) as client:
            while not stop.is_set():
                start, response = time.monotonic(), ask(client, door)
                results.append((start, time.monotonic(), response))
                time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(results) > 10, 30)
    first = engine_of(gateway)
    killed = time.monotonic()
    engine.kill(first)
    with gateway.client() as client:
        eventually(lambda: ask(client, door).status_code >= 500 or not engine.alive(first), 5)
        eventually(lambda: engine.children(gateway.process.pid) not in ([], [first]) and ask(client, door).status_code == 200, 60)
    recovered = time.monotonic()
    count = len(results)
    eventually(lambda: len(results) > count + 5, 30)
    stop.set()
    for thread in threads:
        thread.join(35)
        assert not thread.is_alive(), "a request hangs"
    for start, _, response in results:
        if response.status_code != 200:
            shapes.assert_error(response, door, {502, 503})
            assert killed - 20 < start < recovered, "failed although the engine was up"
    assert all(response.status_code == 200 for start, _, response in results if start > recovered)
    assert all(response.status_code == 200 for _, end, response in results if end < killed)


def test_stream_of_a_killed_engine_ends_with_an_error(gateway):
    with gateway.client() as client:
        body = documents.chat_body(engine.CHAT_ENDPOINT, max_tokens=1500, stream=True, ignore_eos=True, temperature=1.5)
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            pieces = response.iter_raw()
            got = next(pieces)
            engine.kill(engine_of(gateway))
            try:
                for piece in pieces:
                    got += piece
            except httpx.RemoteProtocolError:
                pass
    shapes.assert_error_event(wire.events(got)[-1], shapes.V1)


def test_killed_again_and_again(gateway):
    """The wait between restarts grows, but it comes back each time, with one process."""
    with gateway.client() as client:
        for _ in range(3):
            old = engine_of(gateway)
            engine.kill(old)
            eventually(lambda old=old: engine.children(gateway.process.pid) not in ([], [old]), 30)
            eventually(lambda: ask(client).status_code == 200, 60)
            assert list(states(gateway).values()) == ["ready"]


def test_gateway_takes_its_engine_along(gateway):
    pid = engine_of(gateway)
    gateway.stop()
    eventually(lambda: not engine.alive(pid), 5)


def test_killed_gateway_leaves_no_orphan(gateway):
    pid = engine_of(gateway)
    gateway.process.kill()
    gateway.process.wait()
    eventually(lambda: not engine.alive(pid), 10)


def test_stop_during_the_engine_start(gateways):
    gateway = gateways([engine.chat_endpoint()], engine.catalog()[:1], start=False).start()
    pid = eventually(lambda: engine.children(gateway.process.pid), 20)[0]
    gateway.stop()
    eventually(lambda: not engine.alive(pid), 5)


def test_engine_that_cannot_start(gateways, tmp_path):
    """A broken model file: the gateway serves the rest, says so, and does not restart in a tight loop."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    catalog = [{**engine.catalog()[0], "source": str(broken)}]
    other = Upstream(always(lambda request: answer(completion())))
    gateway = gateways([engine.chat_endpoint(), documents.endpoint("other", documents.openai("a", f"{other.url}/v1"))], catalog, start=False)
    gateway.start()
    with gateway.client() as client:
        eventually(lambda: client.post("/v1/chat/completions", json=documents.chat_body("other")).status_code == 200, 20)
        for door in shapes.DOORS:
            refused = ask(client, door)
            shapes.assert_error(refused, door, 503)
            assert 1 <= int(refused.headers["retry-after"]) <= 60
    time.sleep(3)
    assert 1 <= gateway.readyz()[1]["engines"][0]["restarts"] <= 8, "restarts without a pause"


def test_unready_engine_gets_no_traffic(gateways):
    """A vLLM-compatible server that is up but not healthy yet."""
    healthy, asked = threading.Event(), []

    def script(connection):
        while request := connection.request_any():
            if request.path.endswith("/health"):
                connection.send(answer({}, "200 OK" if healthy.is_set() else "503 Service Unavailable"))
            elif request.path.endswith("/models"):
                connection.send(answer({"object": "list", "data": [{"id": "m", "object": "model"}]}))
            elif request.method == "POST":
                asked.append(healthy.is_set())
                connection.send(answer(completion("from vllm")))
            else:
                connection.send(answer({}, "404 Not Found"))

    server = Upstream(script)
    catalog = [{"name": "system.ai.far", "version": "1", "task": documents.CHAT, "engine": {"url": server.url}}]
    gateway = gateways([documents.endpoint(engine.CHAT_ENDPOINT, engine.entity("far", "system.ai.far"))], catalog, start=False).start()
    with gateway.client() as client:
        eventually(lambda: ask(client).status_code == 503, 15)
        assert "ready" not in states(gateway).values()
        healthy.set()
        eventually(lambda: ask(client).status_code == 200, 15)
        assert ask(client).json()["choices"][0]["message"]["content"] == "from vllm"
        healthy.clear()
        eventually(lambda: ask(client).status_code == 503, 20)
        healthy.set()
        eventually(lambda: ask(client).status_code == 200, 20)


def test_engine_of_a_removed_endpoint_stops_and_of_an_added_one_starts(gateways):
    gateway = gateways(catalog=engine.catalog()[:1])
    gateway.put(engine.chat_endpoint())
    with gateway.client() as client:
        eventually(lambda: ask(client).status_code == 200, 60)
    pid = engine_of(gateway)
    gateway.reload(lambda: gateway.remove(engine.CHAT_ENDPOINT))
    eventually(lambda: not engine.alive(pid), 15)


def test_engine_alone():
    """`weirgate-inference serve` needs no gateway."""
    port = free_port()
    command = [places.engine_binary(), "serve", "--model", places.chat_model(), "--name", "m", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            eventually(lambda: httpx.get(f"{base}/health", timeout=2).status_code == 200, 60)
            assert [m["id"] for m in httpx.get(f"{base}/v1/models").json()["data"]] == ["m"]
            done = httpx.post(f"{base}/v1/chat/completions", json=documents.chat_body("m", max_tokens=3, messages=SHORT), timeout=30)
            assert done.status_code == 200 and done.json()["usage"]["completion_tokens"] == 3
            assert "text/plain" in httpx.get(f"{base}/metrics").headers["content-type"]
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_client_that_leaves_frees_the_engine(gateway):
    label = {"state": "running"}
    body = documents.chat_body(engine.CHAT_ENDPOINT, max_tokens=1500, stream=True, temperature=1.8, messages=SHORT, ignore_eos=True)
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            pieces = response.iter_raw()
            next(pieces)
            eventually(lambda: gateway.metric("weirgate_engine_requests", **label) == 1, 10)
        eventually(lambda: gateway.metric("weirgate_engine_requests", **label) == 0, 5)


def test_edits_elsewhere_leave_the_engine_alone(gateway):
    pid = engine_of(gateway)
    other = documents.endpoint("other", documents.openai("a", "http://127.0.0.1:1/v1"))
    gateway.reload(lambda: gateway.put(other))
    gateway.reload(lambda: gateway.remove("other"))
    with gateway.client() as client:
        assert ask(client).status_code == 200
    assert engine_of(gateway) == pid
