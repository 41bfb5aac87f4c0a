"""Recorded Azure OpenAI traffic through the gateway: the client's schema, with Azure's oddities repaired (contract §8.6)."""
import json

import openai
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from support import documents, external, shapes
from support.gateway import Gateway
from support.places import replay_module, shared

pytestmark = pytest.mark.timeout(45)
RECORDINGS = {key: record for key, record in replay_module().Recordings([shared() / "recorded"]).all.items()
              if record["provider"] == "azure-openai"}
FINE = [key for key, record in RECORDINGS.items() if record["response"]["status"] < 400]
WHOLE = [key for key in FINE if not RECORDINGS[key]["stream"]]
STREAMS = [key for key in FINE if RECORDINGS[key]["stream"]]
ERRORS = [key for key in RECORDINGS if key not in FINE]
ROUTES = {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings"}


@pytest.fixture(scope="module")
def gateway(replay, folders):
    def entity(key, record):
        config = {"openai_api_type": "azure", "openai_api_base": f"{replay.url}/r/{key}", "openai_api_version": "2024-06-01",
                  "openai_deployment_name": "mine", "openai_api_key_plaintext": documents.UPSTREAM_KEY}
        return {"name": "served", "external_model": {"name": "gpt", "provider": "openai", "task": f"llm/v1/{record['operation']}",
                                                     "openai_config": config}}

    with Gateway(folders(), [documents.endpoint(name_of(key), entity(key, record)) for key, record in RECORDINGS.items()]) as gateway:
        yield gateway


@pytest.fixture
def replaying(replay):
    def options(**chosen):
        replay.options = chosen
        replay.raw.clear(), replay.received.clear(), replay.faulted.clear()
    options()
    return options


def name_of(key):
    return f"r{sorted(RECORDINGS).index(key)}"


def body_of(key):
    record = RECORDINGS[key]
    return {**record["request"]["body"], "model": name_of(key), **({"stream": True} if record["stream"] else {})}


def ask(gateway, key):
    return external.post(gateway, ROUTES[RECORDINGS[key]["operation"]], body_of(key))


def assert_sent(replay, key):
    (sent,) = replay.received
    assert sent["path"] == f"/openai/deployments/mine{ROUTES[RECORDINGS[key]['operation']].removeprefix('/v1')}"
    assert sent["query"] == {"api-version": "2024-06-01"} and sent["headers"]["api-key"] == documents.UPSTREAM_KEY
    assert "authorization" not in sent["headers"] and sent["body"] == {**body_of(key), "model": "gpt"}


def test_count():
    print(f"\nthrough the gateway: {{'azure-openai': {len(RECORDINGS)}}}, none left out")
    assert len(WHOLE) + len(STREAMS) + len(ERRORS) == len(RECORDINGS) == 18


@pytest.mark.parametrize("pieces", [1, 3, 7])
@pytest.mark.parametrize("key", WHOLE)
def test_whole_answer(gateway, replay, replaying, key, pieces):
    replaying(chunk=pieces)
    response, body, clean = ask(gateway, key)
    assert response.status_code == 200 and clean, body
    recorded = RECORDINGS[key]["response"]["body"]
    assert {name: value for name, value in json.loads(body).items() if name in recorded} == recorded
    assert_sent(replay, key)


@pytest.mark.parametrize("pieces", [1, 3, 7])
@pytest.mark.parametrize("key", STREAMS)
def test_stream(gateway, replay, replaying, key, pieces):
    replaying(chunk=pieces)
    events = external.chunks(*ask(gateway, key))
    recorded = [json.loads(event.removeprefix("data: ")) for event in RECORDINGS[key]["response"]["sse"] if event != "data: [DONE]"]
    choices = [[choice for event in stream for choice in event.get("choices", [])] for stream in (events, recorded)]
    assert choices[0] == choices[1]
    assert all(event["id"] and event["model"] and event["object"] == "chat.completion.chunk" for event in events)
    used = [i for i, event in enumerate(events) if event.get("usage")]
    asked = RECORDINGS[key]["request"]["body"].get("stream_options", {}).get("include_usage")
    assert used == ([len(events) - 1] if asked else [])
    assert_sent(replay, key)


@pytest.mark.parametrize("key", FINE)
def test_openai_client_reads_it(gateway, replaying, key):
    """Strictly typed; Azure's first chunk and its filters are members that the client keeps."""
    operation, streamed = RECORDINGS[key]["operation"], key in STREAMS
    body = {name: value for name, value in body_of(key).items() if name != "encoding_format"}
    types = {"stream": True, "stream_cls": openai.Stream[ChatCompletionChunk]}
    with openai.OpenAI(base_url=gateway.url + shapes.V1, api_key=documents.ALICE, max_retries=0, timeout=10) as client:
        kind = ChatCompletion if operation == "chat" else CreateEmbeddingResponse
        answer = client.post(ROUTES[operation].removeprefix("/v1"), body=body, cast_to=kind, **(types if streamed else {}))
        assert list(answer) if streamed else answer


@pytest.mark.parametrize("key", ERRORS)
def test_error(gateway, replaying, key):
    response, _, _ = ask(gateway, key)
    status = RECORDINGS[key]["response"]["status"]
    assert shapes.assert_error(response, shapes.V1, status, "provider") == RECORDINGS[key]["response"]["body"]["error"]["message"]
