"""HTTP/2 as broken and hostile clients speak it."""
import contextlib
import json
import time

import pytest

from support import documents
from support.http2 import DATA, END_HEADERS, END_STREAM, HEAD, HEADERS, PING, RESET, SETTINGS, Http2, frame

pytestmark = pytest.mark.timeout(45)
BODY = documents.chat_body("chat")
BYTES = json.dumps(BODY).encode()


@pytest.fixture(autouse=True)
def still_serves(plain):
    """Whatever a test sent, the next client is served."""
    yield
    with Http2(plain) as connection:
        connection.post(BODY)
        assert connection.outcome() == 200
    assert plain.metric("weirgate_panics_total") == 0


def without(name):
    return [header for header in HEAD if header[0] != name]


MALFORMED = {
    "length too large": [*HEAD, ("content-length", str(len(BYTES) + 5))],
    "length too small": [*HEAD, ("content-length", "5")],
    "two lengths": [*HEAD, ("content-length", str(len(BYTES))), ("content-length", "5")],
    "length that is no number": [*HEAD, ("content-length", "x")],
    "connection header": [*HEAD, ("connection", "close")],
    "transfer encoding": [*HEAD, ("transfer-encoding", "chunked")],
    "capital letters": [*HEAD, ("X-Up", "1")],
    "no path": without(":path"), "no method": without(":method"),
    "empty path": [*without(":path"), (":path", "")],
    "absolute path": [*without(":path"), (":path", "http://x/v1/chat/completions")],
    "unknown pseudo header": [(":evil", "1"), *HEAD],
    "pseudo header late": [("x", "1"), *HEAD],
    "line break in a value": [*HEAD, ("x-a", "b\r\nx: y")],
    "huge header": [*HEAD, ("x-a", "b" * 200_000)],
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_end_at_once_and_go_nowhere(plain, hello, case):
    hello.clear()
    with Http2(plain) as connection, contextlib.suppress(ConnectionError):
        stream = connection.open(MALFORMED[case])
        connection.send(frame(DATA, END_STREAM, stream, BYTES))
        outcome = connection.outcome()
        assert outcome in ("reset", "closed") or 400 <= outcome < 500
    assert not hello.requests


def test_sound_request_is_served(plain):
    """What the cases above change; with a length, without, and with its end in a frame of its own."""
    for head in (HEAD, [*HEAD, ("content-length", str(len(BYTES)))]):
        for last in (True, False):
            with Http2(plain) as connection:
                stream = connection.open(head)
                connection.send(frame(DATA, END_STREAM if last else 0, stream, BYTES))
                if not last:
                    time.sleep(0.05)
                    connection.send(frame(DATA, END_STREAM, stream, b""))
                assert connection.outcome() == 200


def test_body_with_trailers(plain):
    with Http2(plain) as connection:
        stream = connection.open(HEAD)
        connection.send(frame(DATA, 0, stream, BYTES))
        connection.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, connection.encoder.encode([("x-trailer", "1")])))
        assert connection.outcome() == 200


@pytest.mark.parametrize("sent", [b"", BYTES[:5], BYTES])
def test_silent_body_is_cut_off(plain, hello, sent):
    """A body whose end never comes: refused as on HTTP/1.1, after the gap that is configured (500 ms)."""
    hello.clear()
    with Http2(plain) as connection:
        stream = connection.open(HEAD)
        connection.send(frame(DATA, 0, stream, sent))
        start = time.monotonic()
        assert connection.outcome() in (400, 408, "reset")
        assert time.monotonic() - start < 3
    assert not hello.requests


@pytest.mark.parametrize("flood", [frame(PING, 0, 0, b"12345678") * 20_000, frame(SETTINGS, 0, 0, b"") * 20_000, b"\xff" * 1000,
                                   frame(DATA, END_STREAM, 99, b"x"), frame(HEADERS, 0, 1, b"\x00" * 100) * 50],
                         ids=["pings", "settings", "garbage", "data of no stream", "endless head"])
def test_floods_end_or_are_survived(plain, flood):
    with Http2(plain) as connection, contextlib.suppress(ConnectionError):
        connection.send(flood)
        connection.outcome(0.5)


def test_rapid_reset_is_stopped(plain):
    """CVE-2023-44487: streams opened and reset without end must cost the sender its connection."""
    with Http2(plain) as connection, pytest.raises(ConnectionError):
        for _ in range(20_000):
            stream = connection.open(HEAD, END_HEADERS | END_STREAM)
            connection.send(frame(RESET, 0, stream, b"\0\0\0\x08"))


def test_refusal_leaves_the_connection_usable(plain):
    with Http2(plain) as connection:
        connection.post(documents.chat_body("nope"))
        assert connection.outcome() == 404
        connection.post(BODY)
        assert connection.outcome() == 200
