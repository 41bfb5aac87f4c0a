"""HTTP/1.1 as careless, slow and hostile clients speak it, on raw sockets."""
import json
import time

import pytest

from support import documents, shapes
from support.wire import Raw, chunked, post

CHAT = "/v1/chat/completions"
BODY = documents.chat_body("chat")
pytestmark = pytest.mark.timeout(45)


@pytest.fixture(autouse=True)
def still_serves(plain):
    """Whatever a test sent, the next client is served."""
    yield
    with Raw(plain) as raw:
        raw.send(post(CHAT, BODY))
        assert raw.answer()[0] == 200


def ask(gateway, data):
    with Raw(gateway) as raw:
        raw.send(data)
        return raw.answer()


# -- request bodies

@pytest.mark.parametrize("size", [1, 5, 1000])
def test_chunked_body(plain, hello, size):
    hello.clear()
    data = json.dumps(BODY).encode()
    status, _, _ = ask(plain, post(CHAT, b"", "transfer-encoding: chunked", length=False) + chunked(data, size))
    assert status == 200
    assert hello.requests[0].json()["messages"] == BODY["messages"]
    assert "transfer-encoding" not in hello.requests[0].headers


def test_chunk_extensions_and_trailers(plain):
    data = json.dumps(BODY).encode()
    body = b"%x;name=value\r\n%b\r\n0\r\nx-trailer: 1\r\n\r\n" % (len(data), data)
    assert ask(plain, post(CHAT, b"", "transfer-encoding: chunked", length=False) + body)[0] == 200


def test_body_sent_byte_by_byte(plain):
    data = post(CHAT, BODY)
    with Raw(plain) as raw:
        for i in range(0, len(data), 3):
            raw.send(data[i:i + 3])
        assert raw.answer()[0] == 200


def test_expect_continue(plain):
    data = json.dumps(BODY).encode()
    with Raw(plain) as raw:
        raw.send(post(CHAT, b"", f"content-length: {len(data)}", "expect: 100-continue", length=False))
        assert raw.head()[0] == 100
        raw.send(data)
        assert raw.answer()[0] == 200


def test_expect_is_not_forwarded(plain, hello):
    hello.clear()
    assert ask(plain, post(CHAT, BODY, "expect: 100-continue"))[0] == 200
    assert "expect" not in hello.requests[0].headers


@pytest.mark.parametrize("token, length, status", [("wrong", 10, 401), (None, 10, 401), (documents.ALICE, 10_000_000, 413)])
def test_refusal_saves_the_upload(plain, token, length, status):
    with Raw(plain) as raw:
        raw.send(post(CHAT, b"", f"content-length: {length}", "expect: 100-continue", token=token, length=False))
        assert raw.head()[0] == status


@pytest.mark.parametrize("door", shapes.DOORS)
def test_body_over_the_cap_is_refused_unread(plain, door):
    with Raw(plain) as raw:
        raw.send(post(f"{door}/chat/completions", b"", "content-length: 10000000", length=False))
        status, headers, body = raw.answer()
        assert status == 413 and headers["x-weirgate-reason"]
        shapes.assert_error_body(json.loads(body), door, 413)
        assert raw.closed(), "the rest of the upload would be read as a request"


def test_chunked_body_over_the_cap_is_refused_while_reading(plain):
    with Raw(plain) as raw:
        raw.send(post(CHAT, b"", "transfer-encoding: chunked", length=False))
        piece = chunked(b" " * 8192, 8192, end=b"")
        for _ in range(documents.BODY_LIMIT // 8192 + 1):
            raw.send(piece)
        assert raw.answer()[0] == 413
        assert raw.closed()


def test_body_at_the_cap_passes(plain):
    data = json.dumps(BODY).encode()
    data += b" " * (documents.BODY_LIMIT - len(data))
    assert ask(plain, post(CHAT, data))[0] == 200
    assert ask(plain, post(CHAT, data + b" "))[0] == 413


def test_client_that_ends_inside_its_body(plain, hello):
    hello.clear()
    with Raw(plain) as raw:
        raw.send(post(CHAT, b'{"model": "chat"', "content-length: 500", length=False))
    time.sleep(0.2)
    assert not hello.requests, "a cut request went upstream"


# -- connections

def test_connection_is_kept(plain):
    with Raw(plain) as raw:
        for _ in range(20):
            raw.send(post(CHAT, BODY))
            assert raw.answer()[0] == 200
        raw.send(post(CHAT, documents.chat_body("nope")))
        assert raw.answer()[0] == 404
        raw.send(post(CHAT, BODY))
        assert raw.answer()[0] == 200, "an error answer must not cost the connection"


def test_connection_close_is_honoured(plain):
    with Raw(plain) as raw:
        raw.send(post(CHAT, BODY, "connection: close"))
        assert raw.answer()[0] == 200
        assert raw.closed()


def test_http_1_0(plain):
    with Raw(plain) as raw:
        raw.send(post(CHAT, BODY, version="1.0"))
        status, headers, body = raw.answer()
        assert status == 200 and "transfer-encoding" not in headers and json.loads(body)["choices"]


def test_pipelined_requests_are_answered_in_order_or_not_at_all(plain):
    with Raw(plain) as raw:
        raw.send(post(CHAT, BODY) + post(CHAT, documents.chat_body("second")))
        assert raw.answer()[0] == 200
        try:
            status, _, body = raw.answer()
            assert status == 404 and b"second" in body
        except ConnectionError:
            pass


# -- methods and paths

@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_wrong_method(plain, door, method):
    with plain.client() as client:
        shapes.assert_error(client.request(method, f"{door}/chat/completions"), door, 405)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/serving-endpoints/models"])
def test_head_has_no_body(plain, path):
    with Raw(plain) as raw:
        raw.send(f"HEAD {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {documents.ALICE}\r\nconnection: close\r\n\r\n".encode())
        status, _ = raw.head()
        assert status in (200, 405)
        assert raw.rest() == b""


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/more"])
def test_unknown_path_on_v1(plain, path):
    with plain.client() as client:
        shapes.assert_error(client.post(path, json=BODY), shapes.V1, 404)


@pytest.mark.parametrize("path", ["/", "/nothing", "/serving-endpoints/chat", "/serving-endpoints/chat/nothing", "/v2/x",
                                  "/serving-endpoints/chat/served-models/a", "/serving-endpoints//invocations",
                                  "/serving-endpoints/../v1/chat/completions"])
def test_unknown_path_elsewhere(plain, path):
    status, _, body = ask(plain, post(path, BODY))
    assert status == 404
    shapes.assert_error_body(json.loads(body), shapes.DATABRICKS, 404)


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/chat/completions?api-version=1", "/serving-endpoints/chat/invocations/",
                                  "/serving-endpoints/chat/completions/", "/serving-endpoints/ch%61t/invocations",
                                  "/serving-endpoints/chat/served-models/a/invocations/"])
def test_other_spellings_reach_the_same_handler(plain, path):
    assert ask(plain, post(path, BODY))[0] == 200


@pytest.mark.parametrize("path, door", [("/serving-endpoints/none/invocations", shapes.DATABRICKS),
                                        ("/serving-endpoints/chat/served-models/none/invocations", shapes.DATABRICKS),
                                        ("/serving-endpoints/%00%ff/invocations", shapes.DATABRICKS)])
def test_unknown_name_in_the_path(plain, path, door):
    status, _, body = ask(plain, post(path, BODY))
    assert status in (400, 404)
    shapes.assert_error_body(json.loads(body), door, status)


# -- nonsense

GOOD = json.dumps(BODY).encode()
NONSENSE = {
    "garbage": b"\x00\x01\x02 what is this\r\n\r\n",
    "tls hello": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 190 + b"\r\n\r\n",
    "two lengths": post(CHAT, GOOD, "content-length: 5"),
    "length and chunks": post(CHAT, GOOD, "transfer-encoding: chunked"),
    "negative length": post(CHAT, GOOD, "content-length: -5", length=False),
    "huge length": post(CHAT, GOOD, "content-length: 99999999999999999999999999", length=False),
    "length that is no number": post(CHAT, GOOD, "content-length: ten", length=False),
    "unknown transfer coding": post(CHAT, GOOD, "transfer-encoding: gzip", length=False),
    "wrong chunk size": post(CHAT, b"zz\r\nxx\r\n", "transfer-encoding: chunked", length=False),
    "huge chunk size": post(CHAT, b"ffffffffffffffffff\r\nxx", "transfer-encoding: chunked", length=False),
    "chunk longer than said": post(CHAT, b"2\r\nabcdef\r\n0\r\n\r\n", "transfer-encoding: chunked", length=False),
    "space in a header name": post(CHAT, GOOD, "bad header : x"),
    "nul in a header": post(CHAT, GOOD, "x-a: \x00b"),
    "folded header": post(CHAT, GOOD, "x-a: b\r\n c"),
    "huge header": post(CHAT, GOOD, "x-a: " + "b" * 2_000_000),
    "very many headers": post(CHAT, GOOD, *[f"x-{i}: {i}" for i in range(5000)]),
    "huge path": post("/" + "a" * 1_000_000, GOOD),
    "raw bytes in the path": post("/serving-endpoints/\xff\xfe/invocations", GOOD),
    "huge endpoint name": post(f"/serving-endpoints/{'a' * 5000}/invocations", GOOD),
    "unknown version": post(CHAT, GOOD, version="9.9"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused_and_never_hangs(plain, hello, case):
    hello.clear()
    with Raw(plain, timeout=8) as raw:
        try:
            raw.send(NONSENSE[case])
            raw.sock.shutdown(1)
            answer = raw.rest()
        except OSError:
            answer = b""  # cut off while sending
    assert not answer or 400 <= int(answer.split(b" ")[1]) < 600, answer[:200]
    assert not hello.requests, "it went upstream"


@pytest.mark.parametrize("sent", [b"POST /v1/chat/comp", b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nx-a: "])
def test_slow_head_is_cut_off(plain, sent):
    with Raw(plain, timeout=8) as raw:
        raw.send(sent)
        start = time.monotonic()
        raw.rest()
        assert time.monotonic() - start < 6


def test_slow_body_is_cut_off(plain):
    with Raw(plain, timeout=8) as raw:
        raw.send(post(CHAT, b'{"model"', "content-length: 100", length=False))
        start = time.monotonic()
        answer = raw.rest()
        assert time.monotonic() - start < 6
        assert not answer or answer.split(b" ")[1] in (b"400", b"408"), answer[:200]


def test_dripping_body_is_cut_off(plain):
    """A byte now and then must not keep the request open for ever."""
    with Raw(plain, timeout=0.3) as raw:
        raw.send(post(CHAT, b"", "content-length: 50000", length=False))
        start = time.monotonic()
        while time.monotonic() - start < 12:
            try:
                raw.send(b" ")
                if raw.closed():
                    break
            except ConnectionError:
                break
            except TimeoutError:
                continue
        assert time.monotonic() - start < 9
