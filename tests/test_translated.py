"""Every recording that an OpenAI client can ask for, through the gateway: what goes out, what comes back, whole and streamed."""
import collections
import copy
import json
from urllib.parse import unquote

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from support import documents, external, shapes, wire
from support.gateway import Gateway
from support.places import REPO, replay_module, shared

pytestmark = pytest.mark.timeout(45)
ROUTES = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
TASKS = {"chat": documents.CHAT, "completions": documents.COMPLETIONS, "embeddings": documents.EMBEDDINGS}
GOLDEN = REPO / "proxy/translate/tests/golden"
INDEX = {entry["recording"]: entry for entry in json.loads((shared() / "recorded/index.json").read_text())}
RECORDINGS = {key: record for key, record in replay_module().Recordings([shared() / "recorded"]).all.items()
              if record["provider"] in external.TRANSLATED and INDEX[key]["openai_can_ask"]}
# Recordings that the gateway never asks for, and why.
LEFT_OUT = {
    **{key: "Nova has Converse, so the gateway does not use InvokeModel for it" for key in RECORDINGS if "/invoke_nova" in key},
    **{key: "Claude 3 and later have Converse, so the gateway does not use InvokeModel for them" for key, record in RECORDINGS.items()
       if "/invoke_anthropic-messages" in key and "claude-v2" not in external.model(record)},
    "google-cloud-vertex-ai/embedcontent": "batchEmbedContents is Gemini's own; Vertex AI has embedContent for one text",
}


def golden(key):
    path = GOLDEN / f"{key}.json"
    return json.loads(path.read_text()) if path.exists() else None


GOLDENS = {key: golden(key) for key in RECORDINGS if key not in LEFT_OUT}
FINE = [key for key, made in GOLDENS.items() if made and "error" not in made]
STREAMS = [key for key in FINE if "chunks" in GOLDENS[key]]
WHOLE = [key for key in FINE if "answer" in GOLDENS[key]]
FAILING = [key for key, made in GOLDENS.items() if made and "error" in made]
ERRORS = [key for key in FAILING if RECORDINGS[key]["response"]["status"] >= 400]
# The status that an error stands for, where the provider's own hides it.
STATUS = {"amazon-bedrock/converse_error_424_model": 500}


@pytest.fixture(scope="module")
def gateway(replay, folders):
    endpoints = [documents.endpoint(name_of(key), external.entity("served", f"{replay.url}/r/{key}", record,
                                                                  TASKS[record["operation"]], replay.url))
                 for key, record in RECORDINGS.items()]
    times = {"connect": "2s", "first_byte": "2s", "gap": "500ms", "total": "20s"}
    with Gateway(folders(), endpoints, settings={"upstreams": {"allow_private": True, **times}}) as gateway:
        yield gateway


@pytest.fixture
def replaying(replay):
    def options(**chosen):
        replay.options = {"stall-s": 2, **chosen}
        replay.raw.clear(), replay.received.clear(), replay.faulted.clear()
    options()
    return options


def name_of(key):
    return f"r{sorted(RECORDINGS).index(key)}"


def ask(gateway, key, door=shapes.V1, **more):
    """The OpenAI request of a golden file. The request's id is what the golden files' own was."""
    body = {**GOLDENS[key]["ours"], "model": name_of(key), **more}
    return external.post(gateway, door + ROUTES[RECORDINGS[key]["operation"]], body, x_request_id="filled")


def masked(key, made):
    """An answer or chunk, with what the gateway fills in (id, time, model) as the golden files have it."""
    made = copy.deepcopy(made)
    if isinstance(made.get("created"), int):
        made["created"] = 77
    if made.get("id") == "cmpl-filled":
        made["id"] = "chatcmpl-filled"
    if made.get("model") == external.model(RECORDINGS[key]):
        made["model"] = "filled-model"
    for choice in made.get("choices", []):
        for call in choice.get("message", {}).get("tool_calls", []):
            # The text of a JSON value: its layout is the replay server's.
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return made


def test_all_are_here():
    """None is left out without a reason."""
    missing = [key for key, made in GOLDENS.items() if not made or "ours" not in made]
    assert not missing
    assert set(LEFT_OUT) <= set(RECORDINGS)
    count = collections.Counter(RECORDINGS[key]["provider"] for key in GOLDENS)
    print(f"\nthrough the gateway: {dict(count)}, {sum(count.values())} in all, {len(LEFT_OUT)} left out")


@pytest.mark.parametrize("pieces", [1, 3, 7])
@pytest.mark.parametrize("key", WHOLE)
def test_whole_answer(gateway, replay, replaying, key, pieces):
    replaying(chunk=pieces if len(str(RECORDINGS[key]["response"])) < 50_000 else 4096 + pieces)
    response, body, clean = ask(gateway, key)
    assert response.status_code == 200 and clean, body
    assert masked(key, json.loads(body)) == masked(key, GOLDENS[key]["answer"])
    assert_story(response, key)
    assert_sent(replay, key)


@pytest.mark.parametrize("pieces", [1, 3, 7])
@pytest.mark.parametrize("key", STREAMS)
def test_stream(gateway, replay, replaying, key, pieces):
    replaying(chunk=pieces)
    response, body, clean = ask(gateway, key)
    events = external.chunks(response, body, clean)
    assert [masked(key, event) for event in events] == [masked(key, chunk) for chunk in GOLDENS[key]["chunks"]]
    assert_story(response, key)
    assert_sent(replay, key)


def assert_story(response, key):
    assert response.headers["x-weirgate-answered-by"] == "provider"
    assert response.headers["served-model-name"] == "served" and response.headers["x-weirgate-attempts"] == "1"
    assert response.headers.get("x-weirgate-dropped", "") == ", ".join(GOLDENS[key]["dropped"])
    assert response.headers.get("server") != "replay"


def assert_sent(replay, key):
    """The provider got what the golden file says, with the gateway's credential and without the client's."""
    made, (sent,) = GOLDENS[key], replay.received
    path, _, query = made["path"].partition("?")
    assert sent["recording"] == key and sent["path"].endswith(unquote(path))
    assert all(f"{name}={value}" in query for name, value in sent["query"].items())
    ours = {"model": external.model(RECORDINGS[key])} if "model" in made["theirs"] else {}
    assert sent["body"] == {**made["theirs"], **ours}
    assert sent["headers"].items() >= dict(made["headers"]).items()
    external.assert_credential(sent["headers"], RECORDINGS[key])
    assert documents.ALICE not in json.dumps(sent)


@pytest.mark.parametrize("door", shapes.DOORS)
@pytest.mark.parametrize("key", ERRORS)
def test_error(gateway, replaying, key, door):
    response, body, _ = ask(gateway, key, door)
    status = STATUS.get(key, RECORDINGS[key]["response"]["status"])
    if door == shapes.DATABRICKS:
        wanted = {401: 403, 403: 403, 429: 429}.get(status, 400 if status < 500 else 502)
        message = json.loads(shapes.assert_error(response, door, wanted, "provider"))
        assert message["external_model_provider"] == RECORDINGS[key]["provider"]
        return
    passed_on = (400, 404, 413, 422, 429, 503, 529)
    wanted = 403 if status in (401, 403) else status if status in passed_on else 502 if status >= 500 else 400
    message = shapes.assert_error(response, door, wanted, "provider")
    if wanted != 403:
        theirs = GOLDENS[key]["error"]
        assert message == theirs["message"]
        assert theirs["type"] is None or response.json()["error"]["type"] == theirs["type"]
    if status == 429:
        assert 1 <= int(response.headers["retry-after"]) <= 60


@pytest.mark.parametrize("key", [key for key in FAILING if key not in ERRORS])
def test_stream_that_fails_at_its_end(gateway, replaying, key):
    _, body, _ = ask(gateway, key)
    *before, last = wire.events(body)
    shapes.assert_error_event(last, shapes.V1)
    assert before and json.loads(last)["error"]["message"] == GOLDENS[key]["error"]["message"]


# -- faults

@pytest.mark.parametrize("fault", ["truncate", "reset"])
@pytest.mark.parametrize("key", STREAMS)
def test_stream_cut_short(gateway, replaying, key, fault):
    """What came before is passed on, then one error event and no [DONE]; or, before any content, a 502."""
    replaying(fault=fault)
    response, body, _ = ask(gateway, key)
    if response.status_code != 200:
        shapes.assert_error(response, shapes.V1, 502)
    else:
        *before, last = wire.events(body)
        shapes.assert_error_event(last, shapes.V1)
        assert before and all("choices" in json.loads(event) for event in before)


@pytest.mark.parametrize("fault, wanted", [("truncate", 502), ("http500", 502), ("http429", 429)])
@pytest.mark.parametrize("key", WHOLE)
def test_whole_answer_fails(gateway, replaying, key, fault, wanted):
    replaying(fault=fault)
    response, _, _ = ask(gateway, key)
    shapes.assert_error(response, shapes.V1, wanted)


# -- the openai client

# The client's type of a completion demands a finish_reason, which OpenAI itself leaves null until the end of a stream.
STRICT = [key for key in FINE if not (key in STREAMS and RECORDINGS[key]["operation"] == "completions")]
TYPES = {"chat": ChatCompletion, "completions": Completion, "embeddings": CreateEmbeddingResponse}


@pytest.mark.parametrize("key", STRICT)
def test_openai_client_reads_it_strictly(gateway, replaying, key):
    operation, streamed = RECORDINGS[key]["operation"], key in STREAMS
    body = {**GOLDENS[key]["ours"], "model": name_of(key)}
    body.pop("encoding_format", None)  # the client's own method decodes base64, its type takes floats
    types = {"stream": True, "stream_cls": openai.Stream[ChatCompletionChunk]}
    with openai.OpenAI(base_url=gateway.url + shapes.V1, api_key=documents.ALICE, max_retries=0, timeout=10,
                       _strict_response_validation=True) as client:
        answer = client.post(ROUTES[operation], body=body, cast_to=TYPES[operation], **(types if streamed else {}))
        answers = list(answer) if streamed else [answer]
    assert answers
    for answer in answers:
        openai._models.validate_type(type_=type(answer), value=answer.to_dict())
