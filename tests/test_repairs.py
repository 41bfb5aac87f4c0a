"""Contract §8.6 on same-schema upstreams that are less careful than the recorded ones."""
import json

import pytest

from support import documents, shapes, wire
from support.gateway import Gateway
from support.upstream import DONE, Upstream, always, answer

pytestmark = pytest.mark.timeout(30)
MESSAGE = {"role": "assistant", "content": "hi"}
CHOICE = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
WHOLE = {  # what the provider sends
    "bare": {"choices": [CHOICE], "usage": {"prompt_tokens": 1, "total_tokens": 3}},
    "empty": {"id": "", "object": "", "created": 0, "model": "", "choices": [CHOICE]},
    "nulls": {"id": None, "object": None, "created": None, "model": None, "choices": [CHOICE]},
    "no-message": {"id": "x", "object": "chat.completion", "created": 5, "model": "m", "choices": [{"index": 0, "finish_reason": "stop"}]},
    "human": {"id": "x", "object": "chat.completion", "created": 5, "model": "m",
              "choices": [{"index": 0, "message": {"role": "human", "content": "hi"}, "finish_reason": "stop"}]},
    "unknown-members": {"id": "x", "zzz": [1.0, {"id": ""}], "object": "chat.completion", "created": 5, "model": "m", "choices": [CHOICE]},
    "no-choices": {"id": "x", "object": "chat.completion", "created": 5, "model": "m"},
    "error-as-200": {"error": {"message": "boom", "type": "server_error", "code": "c"}},
}


def chunk(text, finish=None, **more):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}], **more}


FULL = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 7, "model": "m"}
STREAMS = {
    "stream-bare": [chunk("a"), chunk("b", "stop")],
    "stream-changing": [chunk("a", **FULL), chunk("b", **{**FULL, "created": 8}), chunk("c", "stop", **{**FULL, "created": 9})],
    "stream-other-id": [chunk("a", **FULL), chunk("b", "stop", **{**FULL, "id": "another"})],
    "stream-usage-everywhere": [chunk("a", **FULL, usage=USAGE), chunk("b", "stop", **FULL, usage=USAGE)],
    "stream-usage-first": [{**FULL, "choices": [], "usage": USAGE}, chunk("a", "stop", **FULL)],
    "stream-usage-twice": [chunk("a", "stop", **FULL), {**FULL, "choices": [], "usage": USAGE}, {**FULL, "choices": [], "usage": USAGE}],
    "stream-late-fields": [chunk("a"), chunk("b", "stop", **FULL)],
}


def whole(body):
    return always(lambda request: answer(body))


def stream(chunks):
    def script(connection):
        while connection.request():
            connection.start_stream()
            for event in chunks:
                connection.chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
            connection.chunk(DONE)
            connection.send(b"0\r\n\r\n")
    return script


@pytest.fixture(scope="module")
def gateway(folders):
    scripts = {name: whole(body) for name, body in WHOLE.items()} | {name: stream(chunks) for name, chunks in STREAMS.items()}
    scripts["texts"] = whole({"choices": [{"index": 0, "text": "hi"}]})
    scripts["vectors"] = whole({"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    tasks = {"texts": documents.COMPLETIONS, "vectors": documents.EMBEDDINGS}
    endpoints = [documents.endpoint(name, documents.databricks("a", Upstream(script).url, "their-model", tasks.get(name, documents.CHAT)))
                 for name, script in scripts.items()]
    with Gateway(folders(), endpoints) as gateway:
        yield gateway


def ask(gateway, name, door=shapes.V1, path="chat/completions", **more):
    body = more or documents.chat_body()
    with gateway.client() as client:
        return client.post(f"{door}/{path}", json={"model": name, **body})


def ask_stream(gateway, name, usage):
    answered = ask(gateway, name, **documents.chat_body(stream=True, **({"stream_options": {"include_usage": True}} if usage else {})))
    assert answered.status_code == 200, answered.text
    *events, done = wire.events(answered.content)
    assert done == b"[DONE]"
    return [json.loads(event) for event in events]


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("name", ["bare", "empty", "nulls"])
def test_missing_members_are_filled(gateway, name, door):
    body = ask(gateway, name, door).json()
    assert body["id"] and isinstance(body["id"], str)
    assert body["object"] == "chat.completion" and body["model"] == "their-model"
    assert isinstance(body["created"], int) and body["created"] > 1_700_000_000
    assert body["choices"] == [CHOICE] and body.get("usage") == WHOLE[name].get("usage")
    assert ask(gateway, name, door).json()["id"] != body["id"]


def test_missing_message_is_filled(gateway):
    body = ask(gateway, "no-message").json()
    assert body["choices"][0]["message"]["role"] == "assistant" and "content" in body["choices"][0]["message"]
    assert {k: v for k, v in body.items() if k != "choices"} == {k: v for k, v in WHOLE["no-message"].items() if k != "choices"}


@pytest.mark.parametrize("name", ["human", "unknown-members"])
def test_what_is_complete_keeps_its_bytes(gateway, name):
    assert ask(gateway, name).content == json.dumps(WHOLE[name]).encode()


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("name", ["no-choices", "error-as-200"])
def test_answer_that_is_none_is_not_a_success(gateway, name, door):
    shapes.assert_error(ask(gateway, name, door), door, 502)


def test_completions_and_embeddings(gateway):
    text = ask(gateway, "texts", path="completions", prompt="x").json()
    assert text["object"] == "text_completion" and text["id"] and text["created"] and text["model"] == "their-model"
    vectors = ask(gateway, "vectors", path="embeddings", input="x").json()
    assert vectors["object"] == "list" and vectors["model"] == "their-model" and vectors["data"][0]["embedding"] == [0.5]


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_streams(gateway, name, usage):
    events = ask_stream(gateway, name, usage)
    for member in ("id", "created"):
        assert len({event[member] for event in events}) == 1, f"{member} changes"
    for event in events:
        assert event["id"] and event["model"] and event["created"] > 0 and event["object"] == "chat.completion.chunk"
    text = "".join(c["delta"].get("content", "") for event in events for c in event["choices"])
    assert text == "".join(c["delta"]["content"] for event in STREAMS[name] for c in event["choices"])
    with_usage = [i for i, event in enumerate(events) if event.get("usage")]
    given = any(event.get("usage") for event in STREAMS[name])
    assert with_usage == ([len(events) - 1] if usage and given else [])
    if with_usage:
        assert events[-1]["usage"] == USAGE


def test_every_stream_has_an_id_of_its_own(gateway):
    assert ask_stream(gateway, "stream-bare", False)[0]["id"] != ask_stream(gateway, "stream-bare", False)[0]["id"]
