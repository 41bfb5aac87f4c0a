"""A client that leaves takes its upstream request with it, at once."""
import socket
import struct
import time

import pytest

from support import documents
from support.gateway import Gateway, eventually
from support.http2 import Http2
from support.upstream import Upstream, answer, completion, delta
from support.wire import Raw, post

pytestmark = pytest.mark.timeout(45)
AT_ONCE = 0.3  # seconds; 0.2 are promised, the rest is for a busy test machine


def waiting(connection):
    """Takes a request and answers only after a long time; notes when the gateway closes."""
    connection.request()
    closed = connection.until_closed(6)
    if closed is None:
        connection.send(answer(completion()))
    return closed or "never closed"


def streaming(connection):
    """One event at once, then nothing."""
    connection.request()
    connection.start_stream()
    connection.chunk(delta("first"))
    return connection.until_closed(6) or "never closed"


def flood(connection):
    """Events without end, to a client that does not read them."""
    connection.request()
    connection.start_stream()
    event, sent = delta("x" * 1000), 0
    connection.sock.settimeout(3)
    try:
        while sent < 400_000_000:
            connection.chunk(event * 50)
            sent += 50
    except TimeoutError:
        return "held back"
    except OSError:
        return time.monotonic()
    return "took everything"


@pytest.fixture(scope="module")
def upstreams():
    return {"waiting": Upstream(waiting), "streaming": Upstream(streaming), "flood": Upstream(flood)}


@pytest.fixture(scope="module")
def gateway(upstreams, folders):
    endpoints = [documents.endpoint(name, documents.openai("a", f"{up.url}/v1")) for name, up in upstreams.items()]
    with Gateway(folders(), endpoints) as gateway:
        yield gateway


def body(name):
    return documents.chat_body(name, **({} if name == "waiting" else {"stream": True}))


def leave_close(sock):
    sock.close()


def leave_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("leave", [leave_close, leave_reset])
@pytest.mark.parametrize("name", ["waiting", "streaming"])
def test_http1_client_leaves(gateway, upstreams, name, leave):
    up = upstreams[name]
    up.clear()
    raw = Raw(gateway)
    raw.send(post("/v1/chat/completions", body(name)))
    if name == "streaming":
        raw.until(b"first")
    else:
        eventually(lambda: up.requests)
    left = time.monotonic()
    leave(raw.sock)
    closed = eventually(lambda: up.results)[0]
    assert closed != "never closed" and closed - left < AT_ONCE, closed


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("name", ["waiting", "streaming"])
def test_http2_client_leaves(gateway, upstreams, name, how):
    up = upstreams[name]
    up.clear()
    with Http2(gateway) as connection:
        stream = connection.post(body(name))
        eventually(lambda: up.requests)
        time.sleep(0.1)
        left = time.monotonic()
        connection.reset(stream) if how == "reset" else connection.sock.close()
        closed = eventually(lambda: up.results)[0]
    assert closed != "never closed" and closed - left < AT_ONCE, closed


def test_pooled_connection_of_a_cancelled_request_is_not_reused(gateway, upstreams):
    """What a cancelled upstream request still sends must not become the next client's answer."""
    up = upstreams["waiting"]
    up.clear()
    before = len(up.connections)
    for n in (1, 2, 3):
        raw = Raw(gateway)
        raw.send(post("/v1/chat/completions", body("waiting")))
        eventually(lambda n=n: len(up.requests) == n)
        raw.sock.close()
        eventually(lambda n=n: len(up.results) == n)
    assert len(up.connections) - before == 3


def test_many_clients_leave_together(gateway, upstreams):
    up = upstreams["streaming"]
    up.clear()
    clients = [Raw(gateway) for _ in range(40)]
    for raw in clients:
        raw.send(post("/v1/chat/completions", body("streaming")))
    for raw in clients:
        raw.until(b"first")
    left = time.monotonic()
    for raw in clients:
        raw.sock.close()
    eventually(lambda: len(up.results) == 40)
    assert all(closed != "never closed" for closed in up.results)
    assert max(up.results) - left < 5 * AT_ONCE


def test_slow_reader_holds_its_upstream_back(gateway, upstreams):
    """Nothing is gathered in the gateway for a client that does not read."""
    up = upstreams["flood"]
    up.clear()
    with Raw(gateway) as raw:
        raw.send(post("/v1/chat/completions", body("flood")))
        raw.until(b"data: ")
        assert eventually(lambda: up.results)[0] == "held back"
