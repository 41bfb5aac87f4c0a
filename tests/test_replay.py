"""Recorded provider traffic through the gateway: bytes kept, repairs made, faults shown."""
import json

import pytest

from support import documents, shapes, wire
from support.gateway import Gateway
from support.places import replay_module, shared

TASKS = {"chat": documents.CHAT, "completions": documents.COMPLETIONS, "embeddings": documents.EMBEDDINGS}
ROUTES = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
RECORDINGS = {key: record for key, record in replay_module().Recordings([shared() / "recorded"]).all.items()
              if record["provider"] in ("openai", "databricks-model-serving")}
OPENAI = [key for key in RECORDINGS if key.startswith("openai/")]
FINE = [key for key, record in RECORDINGS.items() if record["response"]["status"] < 400]
WHOLE = [key for key in FINE if not RECORDINGS[key]["stream"]]
STREAMS = [key for key in FINE if RECORDINGS[key]["stream"]]
ERRORS = [key for key in RECORDINGS if key not in FINE]
CUTS = {"reset": 502, "truncate": 502, "stall": 504}
# A member that no schema knows, with numbers that a parse would spell differently.
ODD = '"x_unknown": {"b": [1.0, 1e3, 0.10, 12345678901234567890], "a": "\\u00e9\\/"}'

pytestmark = pytest.mark.timeout(45)


def name_of(key):
    return f"r{sorted(RECORDINGS).index(key)}"


def model_of(key):
    """The model's name for the provider: the recorded one, or one of ours where the recording has none."""
    return RECORDINGS[key]["request"]["body"].get("model") or "recorded-model"


@pytest.fixture(scope="module")
def gateway(replay, folders):
    def entity(key, record):
        make = documents.openai if record["provider"] == "openai" else documents.databricks
        suffix = "/v1" if record["provider"] == "openai" else ""
        return make("served", f"{replay.url}/r/{key}{suffix}", model_of(key), TASKS[record["operation"]])

    endpoints = [documents.endpoint(name_of(key), entity(key, record)) for key, record in RECORDINGS.items()]
    times = {"connect": "2s", "first_byte": "2s", "gap": "300ms", "total": "20s"}
    with Gateway(folders(), endpoints, settings={"upstreams": {"allow_private": True, **times}}) as gateway:
        yield gateway


@pytest.fixture
def replaying(replay):
    """Sets the options of the replay server, and forgets what it received."""
    def options(**chosen):
        replay.options = {"stall-s": 3, **{k.replace("_", "-"): v for k, v in chosen.items()}}
        replay.raw.clear(), replay.received.clear(), replay.faulted.clear()
    options()
    return options


def paths(key, door):
    """The routes of a door that ask for this recording's operation, with the model's name to send."""
    route = door + ROUTES[RECORDINGS[key]["operation"]]
    if door == shapes.V1:
        return [(route, name_of(key))]
    mine = f"/serving-endpoints/{name_of(key)}"
    return [(route, name_of(key)), (f"{mine}/invocations", "any"), (f"{mine}/served-models/served/invocations", "any")]


def request_text(key, model, **more):
    """The recorded request as text in an odd layout, with an unknown member, for that model."""
    record = RECORDINGS[key]
    body = {"model": "@", **record["request"]["body"], **more} | {"model": "@"}
    if record["stream"]:
        body["stream"] = True
    text = json.dumps(body, indent=1, ensure_ascii=len(key) % 2 == 0)
    return text.replace('"@"', json.dumps(model), 1).removesuffix("\n}") + f" ,\n\t{ODD} }}\n"


def send(gateway, path, text):
    with gateway.client(headers={"content-type": "application/json"}) as client:
        with client.stream("POST", path, content=text.encode()) as response:
            body, clean = wire.read_all(response)
            response._content = body
            return response, body, clean


def exact(text):
    """JSON as a value in which the order of members and the spelling of numbers count."""
    return json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs), parse_float=str, parse_int=str)


def without_usage(payload):
    pairs = exact(payload)[1]
    return [pair for pair in pairs if pair[0] != "usage"]


# -- requests

@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("key", RECORDINGS)
def test_request_keeps_its_bytes(gateway, replay, replaying, key, door):
    for path, model in paths(key, door):
        replaying()
        send(gateway, path, request_text(key, model))
        assert [r["recording"] for r in replay.received] == [key], path
        sent = replay.received[0]
        assert sent["headers"]["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"
        if key in OPENAI:
            assert sent["path"] == "/v1" + ROUTES[RECORDINGS[key]["operation"]]
            assert replay.raw[0].decode() == request_text(key, model_of(key)), path
        else:
            assert sent["path"] == f"/serving-endpoints/{model_of(key)}/invocations"
            got, wanted = exact(replay.raw[0])[1], exact(request_text(key, model_of(key)))[1]
            drop_model = lambda pairs: [pair for pair in pairs if pair[0] != "model"]  # noqa: E731
            assert drop_model(got) == drop_model(wanted), path
            assert dict(got).get("model", model_of(key)) == model_of(key), path


# -- answers

@pytest.mark.parametrize("chunk", [None, 1, 3, 7])
@pytest.mark.parametrize("key", WHOLE)
def test_whole_answer_keeps_its_bytes(gateway, replaying, key, chunk):
    expected = b"".join(replay_module().pieces(RECORDINGS[key]))
    assert_complete(key, json.loads(expected))  # so there is nothing to repair in the recordings
    for door in shapes.DOORS:
        for path, model in paths(key, door):
            replaying(**({"chunk": chunk} if chunk else {}))
            response, body, _ = send(gateway, path, request_text(key, model))
            assert response.status_code == 200, (path, body)
            assert body == expected, path
            assert response.headers["content-type"].startswith("application/json")
            assert response.headers["content-length"] == str(len(expected))
            assert_answer_headers(response, key)


@pytest.mark.parametrize("chunk", [None, 1, 3, 7])
@pytest.mark.parametrize("key", STREAMS)
def test_stream_keeps_its_events(gateway, replaying, key, chunk):
    for door in shapes.DOORS:
        for path, model in paths(key, door):
            replaying(**({"chunk": chunk} if chunk else {}))
            response, body, clean = send(gateway, path, request_text(key, model))
            assert response.status_code == 200 and clean, (path, body[-500:])
            assert response.headers["content-type"].startswith("text/event-stream"), "the content type is ours"
            assert "content-length" not in response.headers
            assert_answer_headers(response, key)
            got = wire.events(body)
            if key in OPENAI:
                assert [b"data: " + event for event in got] == [e.encode() for e in RECORDINGS[key]["response"]["sse"]]
            else:
                assert_repaired(key, got, asked=False)


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("key", [key for key in STREAMS if key not in OPENAI])
def test_usage_comes_once_and_last_when_asked_for(gateway, replaying, key, chunk):
    for door in shapes.DOORS:
        for path, model in paths(key, door):
            replaying(**({"chunk": chunk} if chunk else {}))
            text = request_text(key, model, stream_options={"include_usage": True})
            _, body, clean = send(gateway, path, text)
            assert clean
            assert_repaired(key, wire.events(body), asked=True)


def assert_repaired(key, got, asked):
    """Contract §8.6 on the Databricks streams, which repeat the usage in every chunk, asked for or not."""
    recorded = [event.removeprefix("data: ") for event in RECORDINGS[key]["response"]["sse"]]
    assert got[-1] == b"[DONE]" and recorded.pop() == "[DONE]"
    got, last_usage = got[:-1], json.loads(recorded[-1])["usage"]
    used = [i for i, event in enumerate(got) if json.loads(event).get("usage")]
    if not asked:
        assert not [event for event in got if "usage" in json.loads(event)], "usage that nobody asked for"
    else:
        assert used == [len(got) - 1], f"usage in events {used} of {len(got)}"
        assert json.loads(got[-1])["usage"] == last_usage
        if not json.loads(got[-1])["choices"]:
            got = got[:-1]  # the way of OpenAI: a chunk of its own
    assert [without_usage(event) for event in got] == [without_usage(event) for event in recorded]


def assert_complete(key, body):
    kept = ("object", "model", "data") if RECORDINGS[key]["operation"] == "embeddings" else ("id", "object", "created", "model", "choices")
    assert all(body[member] for member in kept), body


def assert_answer_headers(response, key):
    assert response.headers["served-model-name"] == "served"
    assert response.headers["x-weirgate-answered-by"] == "provider"
    assert response.headers["x-weirgate-attempts"] == "1"
    assert response.headers["x-request-id"] and response.headers["x-databricks-request-id"]
    private = [name for name in response.headers if name.startswith(("openai-", "x-ratelimit-", "x-replay"))]
    assert not private and response.headers.get("server") != "replay", f"provider-private headers came through: {private}"


# -- errors of the provider

@pytest.mark.parametrize("key", ERRORS)
def test_provider_error_on_v1(gateway, replaying, key):
    response, body, _ = send(gateway, *text_for(key, shapes.V1))
    status = RECORDINGS[key]["response"]["status"]
    expected = 403 if status in (401, 403) else status
    message = shapes.assert_error(response, shapes.V1, expected, "provider")
    if expected != 403:
        theirs = RECORDINGS[key]["response"]["body"]
        theirs = theirs.get("error", theirs)
        assert message == theirs["message"]
        for member in {"type", "code"} & set(theirs):
            if theirs[member] is not None:
                assert json.loads(body)["error"][member] == theirs[member]
    if status == 429:
        assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("key", ERRORS)
def test_provider_error_on_databricks_doors(gateway, replaying, key):
    record = RECORDINGS[key]
    status = record["response"]["status"]
    expected = {401: 403, 403: 403, 429: 429}.get(status, 400 if status < 500 else 502)
    for path, model in paths(key, shapes.DATABRICKS):
        response, _, _ = send(gateway, path, request_text(key, model))
        message = shapes.assert_error(response, shapes.DATABRICKS, expected, "provider")
        assert json.loads(message) == {"external_model_provider": record["provider"],
                                       "external_model_error": record["response"]["body"]}
        if status == 429:
            assert response.headers["retry-after"] == "2"


# -- faults

def text_for(key, door):
    path, model = paths(key, door)[0]
    return path, request_text(key, model)


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("fault", ["http500", "http429"])
@pytest.mark.parametrize("key", FINE)
def test_error_instead_of_an_answer(gateway, replaying, key, fault, door):
    replaying(fault=fault)
    response, body, _ = send(gateway, *text_for(key, door))
    expected = 502 if fault == "http500" else 429
    shapes.assert_error(response, door, expected, "provider")
    if fault == "http429":
        assert response.headers["retry-after"] == "1"
        assert b"http429 was asked for" in body


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("fault", CUTS)
@pytest.mark.parametrize("key", WHOLE)
def test_whole_answer_cut_short(gateway, replaying, key, fault, door):
    replaying(fault=fault)
    response, _, _ = send(gateway, *text_for(key, door))
    shapes.assert_error(response, door, CUTS[fault])


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("fault, chunk", [("reset", None), ("truncate", None), ("truncate", 7), ("stall", None)])
@pytest.mark.parametrize("key", STREAMS)
def test_stream_cut_short(gateway, replaying, key, fault, door, chunk):
    """What came before the cut is passed on; then one error event, no [DONE], and the end of the connection."""
    replaying(fault=fault, **({"chunk": chunk} if chunk else {}))
    response, body, _ = send(gateway, *text_for(key, door))
    assert response.status_code == 200, body
    *got, last = wire.events(body)
    shapes.assert_error_event(last, door)
    recorded = [event.removeprefix("data: ") for event in RECORDINGS[key]["response"]["sse"]]
    assert got and [without_usage(e) for e in got] == [without_usage(e) for e in recorded[:len(got)]]
    size = sum(len(event.encode()) + len("data: \n\n") for event in recorded)
    arrived = [sum(len(e.encode()) + len("data: \n\n") for e in recorded[:i + 1]) <= size // 2 for i in range(len(recorded))]
    # a reset may destroy bytes that were on their way; the other cuts lose nothing
    assert fault == "reset" or len(got) == sum(arrived)


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("fault", CUTS)
@pytest.mark.parametrize("key", ERRORS)
def test_error_answer_cut_short_is_still_an_error(gateway, replaying, key, fault, door):
    replaying(fault=fault)
    response, _, _ = send(gateway, *text_for(key, door))
    assert response.status_code >= 400
    shapes.assert_error_body(response.json(), door, response.status_code)
