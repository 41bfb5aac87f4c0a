"""Settings of listeners and connections: what is held at once, how long idle connections stay, which protocols."""
import json
import time

import httpx
import pytest

from support import documents, shapes
from support.gateway import eventually
from support.http2 import Http2
from support.upstream import Upstream, delta
from support.wire import Raw, post

pytestmark = pytest.mark.timeout(45)
CHAT = "/v1/chat/completions"
BODY = documents.chat_body("chat")


def make(gateways, hello, **settings):
    return gateways([documents.endpoint("chat", documents.openai("a", f"{hello.url}/v1"))], settings=settings)


@pytest.mark.parametrize("door", shapes.DOORS)
def test_bodies_held_together_are_bounded(gateways, hello, door):
    gateway = make(gateways, hello, limits={"body": "64KiB", "control_body": "64KiB", "bodies_in_flight": "128KiB"})
    size = 60_000
    slow = [Raw(gateway) for _ in range(2)]
    for raw in slow:
        raw.send(post(CHAT, b"{", f"content-length: {size}", length=False))
    time.sleep(0.3)
    with gateway.client() as client:
        refused = client.post(f"{door}/chat/completions", json={**BODY, "user": "x" * size})
        shapes.assert_error(refused, door, 503, "gateway")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert client.post(CHAT, json=BODY).status_code == 200, "a small one still fits"
        for raw in slow:
            raw.sock.close()
        eventually(lambda: client.post(CHAT, json={**BODY, "user": "x" * size}).status_code == 200, 5)


def test_idle_connections_are_closed(gateways, hello):
    gateway = make(gateways, hello, keepalive={"idle": "1s"}, limits={"head_timeout": "500ms"})
    with Raw(gateway) as raw:
        raw.send(post(CHAT, BODY))
        assert raw.answer()[0] == 200
        time.sleep(0.5)
        raw.send(post(CHAT, BODY))
        assert raw.answer()[0] == 200, "closed before its time"
        start = time.monotonic()
        assert raw.closed()
        assert 0.5 < time.monotonic() - start < 4


def test_requests_per_connection_are_bounded(gateways, hello):
    gateway = make(gateways, hello, keepalive={"max_requests": 3})
    with Raw(gateway) as raw:
        for _ in range(3):
            raw.send(post(CHAT, BODY))
            status, headers, _ = raw.answer()
            assert status == 200
        assert headers.get("connection") == "close" and raw.closed()


def test_silent_connection_is_closed(gateways, hello):
    gateway = make(gateways, hello, limits={"head_timeout": "500ms"})
    with Raw(gateway) as raw:
        assert raw.closed(), "a connection without a request stays for ever"


def test_http2_without_tls_can_be_switched_off(gateways, hello):
    gateway = make(gateways, hello)
    gateway.stop()
    gateway.settings["listeners"][0]["h2c"] = False
    gateway.write("weirgate.yaml", gateway.settings)
    gateway.start().wait_ready()
    with Http2(gateway) as connection:
        assert connection.outcome(3) in ("closed", None)
    with gateway.client() as client:
        assert client.post(CHAT, json=BODY).status_code == 200


def test_many_connections_at_once(plain):
    connections = [Raw(plain) for _ in range(300)]
    try:
        for raw in connections:
            raw.send(post(CHAT, BODY))
        assert {raw.answer()[0] for raw in connections} == {200}
    finally:
        for raw in connections:
            raw.sock.close()


def test_limits_change_live(gateways, hello):
    gateway = make(gateways, hello, limits={"body": "64KiB"})
    large = {**BODY, "user": "x" * 100_000}
    with gateway.client() as client:
        assert client.post(CHAT, json=large).status_code == 413
        gateway.settings["limits"]["body"] = "1MiB"
        gateway.reload(lambda: gateway.write("weirgate.yaml", gateway.settings))
        assert client.post(CHAT, json=large).status_code == 200


# -- ending and starting again

def test_busy_clients_lose_nothing_when_the_gateway_drains(gateways, hello):
    """After SIGTERM a kept connection either serves the next request or is closed before it is sent; none fails midway."""
    gateway = make(gateways, hello, shutdown={"grace": "5s"})
    answered, refused = 0, None
    with httpx.Client(timeout=5, trust_env=False, headers={"authorization": f"Bearer {documents.ALICE}"}) as client:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            if answered == 100:
                gateway.process.terminate()
            try:
                assert client.post(gateway.url + CHAT, json=BODY).status_code == 200
                answered += 1
            except httpx.ConnectError as error:
                refused = error
                break
    assert refused and answered >= 100
    assert gateway.process.wait(10) == 0


def test_grace_ends(gateways):
    """A stream that never ends does not keep the gateway for ever."""
    def endless(connection):
        connection.request()
        connection.start_stream()
        for _ in range(200):
            connection.chunk(delta("x"))
            time.sleep(0.1)

    gateway = make(gateways, Upstream(endless), shutdown={"grace": "1s"})
    with Raw(gateway) as raw:
        raw.send(post(CHAT, {**BODY, "stream": True}))
        raw.until(b"data: ")
        start = time.monotonic()
        gateway.process.terminate()
        assert gateway.process.wait(10) == 0
        assert 0.8 < time.monotonic() - start < 6


def test_killed_gateway_starts_again_on_its_ports_and_state(gateways, hello):
    gateway = make(gateways, hello)
    with Raw(gateway) as raw:
        raw.send(post(CHAT, BODY))
        assert raw.answer()[0] == 200
        gateway.process.kill()
        gateway.process.wait()
    gateway.start().wait_ready()
    with gateway.client() as client:
        assert client.post(CHAT, content=json.dumps(BODY)).status_code == 200
