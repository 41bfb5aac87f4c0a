"""What is inside a request: broken JSON, odd JSON, odd model names; and what must not leave with it."""
import json
import random

import pytest

from support import documents, shapes
from support.wire import Raw, post

pytestmark = pytest.mark.timeout(45)
MESSAGES = b'"messages": [{"role": "user", "content": "hi"}]'
CHAT = "/chat/completions"


def send(gateway, body, door=shapes.V1, path=CHAT, **options):
    with gateway.client(**options) as client:
        return client.post(door + path, content=body)


BROKEN = {
    "empty": b"", "blank": b" \n", "text": b"hello", "array": b"[]", "string": b'"model"', "number": b"7", "null": b"null",
    "cut": b'{"model": "chat", "messages": [', "two documents": b'{"model": "chat"}{"model": "chat"}',
    "trailing text": b'{"model": "chat", ' + MESSAGES + b"} x", "single quotes": b"{'model': 'chat'}",
    "not utf-8": b'{"model": "chat", "messages": "\xff\xfe"}', "utf-16": '{"model": "chat"}'.encode("utf-16"),
    "missing comma": b'{"model": "chat" "messages": []}', "unquoted": b"{model: chat}",
    "control character": b'{"model": "chat", "messages": "\x01"}', "nan": b'{"model": "chat", "temperature": NaN}',
    "form": b"model=chat&messages=hi",
    "very deep array": b'{"model": "chat", "messages": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "very deep object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
}


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("case", BROKEN)
def test_broken_json_is_400(plain, hello, case, door):
    hello.clear()
    shapes.assert_error(send(plain, BROKEN[case], door), door, 400, "gateway")
    assert not hello.requests


@pytest.mark.parametrize("case", ["empty", "array", "cut", "not utf-8", "very deep array"])
def test_broken_json_is_400_on_invocations(plain, hello, case):
    hello.clear()
    answer = send(plain, BROKEN[case], "/serving-endpoints", "/chat/invocations")
    shapes.assert_error(answer, shapes.DATABRICKS, 400, "gateway")
    assert not hello.requests


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("model", [b"null", b"7", b"{}", b"[]", b"true", b'""', b'["chat"]'])
def test_model_of_the_wrong_kind(plain, door, model):
    status = {400, 404} if model == b'""' else 400
    shapes.assert_error(send(plain, b'{"model": ' + model + b", " + MESSAGES + b"}", door), door, status, "gateway")


@pytest.mark.parametrize("door", shapes.DOORS)
def test_missing_model(plain, door):
    message = shapes.assert_error(send(plain, b"{" + MESSAGES + b"}", door), door, 400, "gateway")
    assert "model" in message


NAMES = ["nope", "chat ", "Chat", "chät", "聊天", "🙂", "a" * 5000, "../chat", "chat\u0000", "chat\r\nset-cookie: a=b", "<b>", '"', "{{x}}",
         "__proto__", "chat/a", "%63hat"]


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("name", NAMES)
def test_unknown_model(plain, door, name):
    answer = send(plain, json.dumps(documents.chat_body(name)).encode(), door)
    message = shapes.assert_error(answer, door, 404, "gateway")
    assert len(message) < 1000, "a client's text is echoed without a bound"
    assert "set-cookie" not in answer.headers


SPELLINGS = {
    "escaped value": b'{"model": "\\u0063h\\u0061t", ' + MESSAGES + b"}",
    "escaped key": b'{"mod\\u0065l": "chat", ' + MESSAGES + b"}",
    "key last": b"{" + MESSAGES + b', "model"  :\t"chat"\n}',
    "model elsewhere too": b'{"metadata": {"model": "inner"}, "model": "chat", ' + MESSAGES + b', "x": [{"model": "deep"}]}',
    "text like a member": b'{"x": "\\"model\\": \\"no\\"", "model": "chat", ' + MESSAGES + b"}",
    "bom": b"\xef\xbb\xbf" + b'{"model": "chat", ' + MESSAGES + b"}",
    "long": b'{"model": "chat", "user": "' + b"x" * 40_000 + b'", ' + MESSAGES + b"}",
    "lone surrogate": b'{"model": "chat", "user": "\\ud800", ' + MESSAGES + b"}",
    "huge number": b'{"model": "chat", "seed": ' + b"9" * 400 + b", " + MESSAGES + b"}",
    "duplicate other key": b'{"user": "a", "model": "chat", "user": "b", ' + MESSAGES + b"}",
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_spellings_of_the_model(plain, hello, case):
    """Served with only the name replaced, or refused; a byte-order mark, say, may be refused."""
    hello.clear()
    body = SPELLINGS[case]
    answer = send(plain, body)
    if case in ("bom", "lone surrogate", "huge number", "escaped key") and answer.status_code == 400:
        assert not hello.requests
        return
    assert answer.status_code == 200, answer.text
    sent, wanted = hello.requests[0].body, {**json.loads(body.decode("utf-8-sig")), "model": "gpt-4o-mini"}
    assert json.loads(sent.decode("utf-8-sig")) == wanted
    if case not in ("escaped value", "escaped key", "bom"):
        assert sent == body.replace(b'"chat"', b'"gpt-4o-mini"')


@pytest.mark.parametrize("first, second", [("chat", "other"), ("other", "chat"), ("chat", "chat")])
def test_two_models_cannot_smuggle_one_past_the_gateway(plain, hello, first, second):
    hello.clear()
    answer = send(plain, b'{"model": "%b", %b, "model": "%b"}' % (first.encode(), MESSAGES, second.encode()))
    if answer.status_code == 200:
        pairs = json.loads(hello.requests[0].body, object_pairs_hook=list)
        assert {value for name, value in pairs if name == "model"} == {"gpt-4o-mini"}
    else:
        assert answer.status_code in (400, 404) and not hello.requests


def test_wrong_content_type_does_not_matter(plain):
    body = json.dumps(documents.chat_body("chat")).encode()
    for headers in ({}, {"content-type": "text/plain"}, {"context-type": "application/json"}):
        assert send(plain, body, headers=headers).status_code == 200


def test_random_bytes_never_break_it(plain):
    chance = random.Random(7)
    good = json.dumps(documents.chat_body("chat", temperature=0.5, stop=["a", "\n"])).encode()
    with plain.client() as client:
        for _ in range(300):
            broken = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            answer = client.post("/v1/chat/completions", content=bytes(broken))
            assert answer.status_code in (200, 400, 404), (bytes(broken), answer.text)


# -- invocations

def test_model_in_the_body_of_invocations_is_replaced(plain, hello):
    for body in (b'{"model": "anything", ' + MESSAGES + b"}", b"{" + MESSAGES + b"}"):
        hello.clear()
        assert send(plain, body, "/serving-endpoints", "/chat/invocations").status_code == 200
        assert hello.requests[0].json() == {**json.loads(body), "model": "gpt-4o-mini"}


def test_members_for_the_gateway_stay_here(plain, hello):
    hello.clear()
    body = documents.chat_body(client_request_id="c-1", usage_context={"team": "x"}, temperature=0.5,
                               extra_params={"temperature": "0.9", "top_k": "5", "tag": "plain", "logit_bias": '{"1": 2}'})
    assert send(plain, json.dumps(body).encode(), "/serving-endpoints", "/chat/invocations").status_code == 200
    assert hello.requests[0].json() == documents.chat_body("gpt-4o-mini", temperature=0.5, top_k=5, tag="plain", logit_bias={"1": 2})


@pytest.mark.parametrize("member", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_custom_model_input_on_a_chat_endpoint(plain, member):
    answer = send(plain, json.dumps({member: [1]}).encode(), "/serving-endpoints", "/chat/invocations")
    shapes.assert_error(answer, shapes.DATABRICKS, 400, "gateway")


# -- what leaves

LEAKS = {"cookie": "session=leak-1", "x-api-key": "leak-2", "proxy-authorization": "Basic leak-3", "x-forwarded-for": "10.9.8.7",
         "x-forwarded-host": "leak-4", "forwarded": "for=leak-5", "referer": "http://leak-6", "origin": "http://leak-7",
         "x-custom": "leak-8", "openai-organization": "leak-9", "openai-project": "leak-10", "x-databricks-org-id": "leak-11",
         "te": "trailers", "upgrade": "leak-12", "api-key": "leak-13", "x-stainless-os": "leak-14", "anthropic-beta": "leak-15"}


def test_client_headers_stay_here(plain, hello):
    hello.clear()
    head = [f"{name}: {value}" for name, value in LEAKS.items()]
    with Raw(plain) as raw:
        raw.send(post("/v1/chat/completions", documents.chat_body("chat"), *head, "x-evil: leak-16", "accept-encoding: gzip, br",
                      "connection: keep-alive, x-evil"))
        assert raw.answer()[0] == 200
    request = hello.requests[0]
    sent = request.head.decode("latin-1").lower()
    assert "leak-" not in sent and "10.9.8.7" not in sent and documents.ALICE not in sent, sent
    assert request.headers["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"
    assert request.headers["host"] == f"127.0.0.1:{hello.port}"
    assert request.headers.get("accept-encoding", "identity") == "identity"
    assert request.headers["content-type"] == "application/json"


def test_answer_headers_cannot_be_split(plain):
    with Raw(plain) as raw:
        raw.send(post("/v1/chat/completions", documents.chat_body("chat"), "x-request-id: a%0d%0aset-cookie: b"))
        assert "set-cookie" not in raw.answer()[1]


@pytest.mark.parametrize("value", ["", "x" * 5000, "tab\tinside", "caf\xe9"])
def test_odd_request_ids(plain, value):
    with Raw(plain) as raw:
        raw.send(post("/v1/chat/completions", documents.chat_body("chat"), f"x-request-id: {value}"))
        status, headers, _ = raw.answer()
    assert status == 200 and headers["x-request-id"] and len(headers["x-request-id"]) <= 1024
