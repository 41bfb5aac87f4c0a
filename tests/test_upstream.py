"""Upstreams that misbehave, each on its own socket."""
import json
import socket
import time

import pytest

from support import documents, shapes, wire
from support.gateway import Gateway
from support.upstream import DONE, Upstream, always, answer, completion, delta

pytestmark = pytest.mark.timeout(45)
WHOLE = answer(completion())


def closing(data):
    """Answer one request with these bytes and close."""
    def script(connection):
        if connection.request():
            connection.send(data)
    return script


def silent(connection):
    connection.request()
    connection.until_closed(8)


def half_head(connection):
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-")
    connection.until_closed(8)


def drip(connection):
    """Each wait is shorter than the gap allowed, but the whole is longer than the total allowed."""
    connection.request()
    connection.start_stream()
    for i in range(100):
        connection.chunk(delta(str(i)))
        time.sleep(0.1)


def reset(connection):
    connection.request()
    connection.reset()


def once_per_connection(connection):
    """Keeps the connection open after an answer, and closes it when a second request comes."""
    if connection.request():
        connection.send(WHOLE)
        connection.request()


def half_on_reuse(connection):
    if connection.request():
        connection.send(WHOLE)
        if connection.request():
            connection.send(WHOLE[:40])


def informational(connection):
    while connection.request():
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + WHOLE)


def extra_bytes(connection):
    """A second answer that nobody asked for: it must not become the answer to the next request."""
    while connection.request():
        connection.send(WHOLE + answer(completion("smuggled")))


def refuses_early(connection):
    """Answers when it has seen the head, and reads none of the body."""
    while b"\r\n\r\n" not in connection.sock.recv(65536, socket.MSG_PEEK):
        pass
    connection.send(answer({"error": {"message": "too large for me", "type": "t", "code": None}}, "413 Too Large"))
    time.sleep(5)


def dirty_headers(connection):
    headers = ["connection: keep-alive, x-hop", "x-hop: 1", "keep-alive: timeout=5", "proxy-authenticate: Basic", "set-cookie: a=b",
               "trailer: x", "te: trailers", "server: secret-server", "openai-organization: org-secret", "cf-ray: 1", "alt-svc: h3",
               "x-weirgate-reason: lie", "served-model-name: lie", "strict-transport-security: max-age=1", "location: http://evil"]
    while connection.request():
        connection.send(answer(completion(), "200 OK", *headers))


def stream(*events, end=b"0\r\n\r\n"):
    def script(connection):
        if connection.request():
            connection.start_stream()
            for event in events:
                connection.chunk(event)
            connection.send(end)
    return script


BROKEN = {  # script, expected status
    "garbage": (closing(b"what is this\r\n\r\n"), 502),
    "not-http": (closing(b"\x15\x03\x01\x00\x02\x02\x28"), 502),
    "closes": (closing(b""), 502),
    "resets": (reset, 502),
    "short": (closing(WHOLE[:-10]), 502),
    "huge-header": (closing(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 3_000_000 + b"\r\ncontent-length: 2\r\n\r\n{}"), 502),
    "two-lengths": (closing(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x"), 502),
    "bad-length": (closing(b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n{}"), 502),
    "bad-chunk": (closing(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), 502),
    "html": (closing(answer(b"<html>hello</html>", content_type="text/html")), 502),
    "empty": (closing(answer(b"")), 502),
    "no-content": (closing(b"HTTP/1.1 204 No Content\r\n\r\n"), 502),
    "redirect": (closing(answer({}, "302 Found", "location: http://127.0.0.1:1/")), 502),
    "status-999": (closing(answer({}, "999 What")), 502),
    "error-html": (closing(answer(b"<h1>Bad</h1>", "500 Oops", content_type="text/html")), 502),
    "error-501": (closing(answer({"error": {"message": "no"}}, "501 Not Implemented")), 502),
    "silent": (silent, 504),
    "half-head": (half_head, 504),
}
WORKING = {
    "once": once_per_connection, "half-on-reuse": half_on_reuse, "informational": informational, "extra": extra_bytes,
    "dirty": dirty_headers, "drip": drip, "refuses-early": refuses_early,
    "no-framing": closing(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + json.dumps(completion()).encode()),
    "noisy": stream(b": ping\n\nevent: message\nid: 7\nretry: 10\n" + delta("a"), b"\r\n" + delta("b").replace(b"\n", b"\r\n"),
                    b"data:" + delta("c")[6:], DONE),
    "no-done": stream(delta("a")),
    "after-done": stream(delta("a"), DONE, delta("late")),
    "error-event": stream(delta("a"), b'data: {"error": {"message": "boom", "type": "server_error", "code": null}}\n\n'),
    "broken-event": stream(delta("a"), b"data: {nonsense\n\n", DONE),
    "endless-event": stream(delta("a"), b"data: " + b"x" * 3_000_000),
    "json-for-stream": always(lambda request: WHOLE),
    "stream-for-json": stream(delta("a"), DONE),
    "leaky": always(lambda request: answer({"error": {"message": f"bad key {documents.UPSTREAM_KEY} Unexpected error",
                                                      "type": "t", "code": "c"}}, "400 Bad Request")),
    "gzip": always(lambda request: answer(b"\x1f\x8b\x08\x00garbage", "200 OK", "content-encoding: gzip")),
}
TIMES = {"connect": "1s", "first_byte": "500ms", "gap": "500ms", "total": "2s"}


@pytest.fixture(scope="module")
def upstreams():
    made = {name: Upstream(script) for name, (script, _) in BROKEN.items()}
    made |= {name: Upstream(script) for name, script in WORKING.items()}
    made["refused"] = Upstream(silent)
    made["refused"].close()
    return made


@pytest.fixture(scope="module")
def gateway(upstreams, folders):
    endpoints = [documents.endpoint(name, documents.openai("a", f"{up.url}/v1")) for name, up in upstreams.items()]
    with Gateway(folders(), endpoints, settings={"upstreams": {"allow_private": True, **TIMES}}) as gateway:
        yield gateway


def ask(gateway, name, door=shapes.V1, **more):
    with gateway.client() as client:
        return client.post(f"{door}/chat/completions", json=documents.chat_body(name, **more))


def ask_stream(gateway, name, door=shapes.V1):
    with gateway.client() as client:
        with client.stream("POST", f"{door}/chat/completions", json=documents.chat_body(name, stream=True)) as response:
            body, _ = wire.read_all(response)
            response._content = body
            return response, body


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", [*BROKEN, "refused"])
def test_broken_answer(gateway, upstreams, name, streamed, door):
    upstreams[name].clear()
    expected = BROKEN[name][1] if name in BROKEN else 502
    start = time.monotonic()
    response = ask_stream(gateway, name, door)[0] if streamed else ask(gateway, name, door)
    shapes.assert_error(response, door, expected)
    assert time.monotonic() - start < 3
    assert len(upstreams[name].requests) <= 1, "sent again without being asked to"


def test_closed_keep_alive_connection_is_retried_silently(gateway, upstreams):
    up = upstreams["once"]
    for _ in range(6):
        response = ask(gateway, "once")
        assert response.status_code == 200
    reused = [c for c in up.connections if c.requests == 2]
    assert reused, "no connection was reused: the test shows nothing"
    assert len(up.requests) == 6 + len(reused)


def test_no_retry_once_the_answer_began(gateway, upstreams):
    up = upstreams["half-on-reuse"]
    statuses = [ask(gateway, "half-on-reuse").status_code for _ in range(4)]
    assert statuses == [200, 502, 200, 502]
    assert len(up.requests) == 4


def test_refusal_of_an_upload_is_heard_before_its_end(gateway):
    response = ask(gateway, "refuses-early", user="x" * 12_000_000)
    assert "too large for me" in shapes.assert_error(response, shapes.V1, 413, "provider")


def test_informational_answers_are_skipped(gateway):
    for _ in range(2):
        assert ask(gateway, "informational").json() == completion()


def test_unasked_answer_is_not_given_to_the_next_request(gateway):
    for _ in range(4):
        response = ask(gateway, "extra")
        assert response.status_code == 502 or response.json() == completion()


def test_answer_without_framing_ends_with_the_connection(gateway):
    assert ask(gateway, "no-framing").json() == completion()


@pytest.mark.parametrize("door", shapes.DOORS)
def test_answer_headers_are_cleaned(gateway, door):
    headers = ask(gateway, "dirty", door).headers
    text = str(headers).lower()
    for name in ("x-hop", "keep-alive", "proxy-authenticate", "set-cookie", "trailer", "te", "openai-organization", "cf-ray", "alt-svc",
                 "strict-transport-security", "location", "x-weirgate-reason"):
        assert name not in headers, name
    assert headers["served-model-name"] == "a" and "secret" not in text and "x-hop" not in text


@pytest.mark.parametrize("door", shapes.DOORS)
def test_comments_names_and_ids_are_removed_from_streams(gateway, door):
    response, body = ask_stream(gateway, "noisy", door)
    assert response.status_code == 200
    *got, done = wire.events(body)
    assert [json.loads(event)["choices"][0]["delta"]["content"] for event in got] == ["a", "b", "c"] and done == b"[DONE]"


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("name", ["no-done", "error-event", "endless-event", "drip"])
def test_stream_that_goes_wrong_ends_with_an_error(gateway, name, door):
    response, body = ask_stream(gateway, name, door)
    assert response.status_code == 200
    *got, last = wire.events(body)
    assert got and all("error" not in json.loads(event) for event in got)
    shapes.assert_error_event(last, door)


def test_broken_event_is_not_passed_on_as_a_success(gateway):
    _, body = ask_stream(gateway, "broken-event")
    shapes.assert_error_event(wire.events(body)[-1], shapes.V1)


def test_nothing_comes_after_done(gateway):
    _, body = ask_stream(gateway, "after-done")
    assert wire.events(body)[-1] == b"[DONE]" and b"late" not in body


@pytest.mark.parametrize("door", shapes.DOORS)
def test_what_was_asked_decides_whether_it_is_a_stream(gateway, door):
    response, body = ask_stream(gateway, "json-for-stream", door)
    if response.status_code == 200:
        assert response.headers["content-type"].startswith("text/event-stream") and wire.events(body)[-1] == b"[DONE]"
    else:
        shapes.assert_error(response, door, 502)
    response = ask(gateway, "stream-for-json", door)
    if response.status_code == 200:
        assert response.json()["choices"][0]["message"]["content"] == "a"
    else:
        shapes.assert_error(response, door, 502)


@pytest.mark.parametrize("door", shapes.DOORS)
def test_credentials_in_a_provider_error_are_masked(gateway, door):
    response = ask(gateway, "leaky", door)
    message = shapes.assert_error(response, door, 400, "provider")
    assert documents.UPSTREAM_KEY not in response.text and "bad key" in message
    if door == shapes.DATABRICKS:
        assert "Unexpected error" not in response.text, "the SDK retries an error whose text says this"


def test_encoded_answer_is_refused_or_kept_whole(gateway):
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=documents.chat_body("gzip")) as response:
            raw = b"".join(response.iter_raw())
    if response.status_code == 200:
        assert response.headers["content-encoding"] == "gzip" and raw == b"\x1f\x8b\x08\x00garbage"
    else:
        assert response.status_code == 502
