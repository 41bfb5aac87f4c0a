"""The official openai client, unmodified, against recorded OpenAI and Databricks traffic."""
import asyncio
import math

import httpx
import openai
import pytest

from support import documents, shapes
from support.gateway import Gateway

pytestmark = pytest.mark.timeout(45)
STREAM = "openai/chat_stream_length_cache_usage_system"


@pytest.fixture(scope="module")
def gateway(replay, folders):
    def recorded(name, recording, task=documents.CHAT, model="m"):
        return documents.endpoint(name, documents.openai("a", f"{replay.url}/r/openai/{recording}/v1", model, task))

    def from_databricks(name, recording, task):
        entity = documents.databricks("a", f"{replay.url}/r/databricks-model-serving/{recording}", "m", task)
        return documents.endpoint(name, entity)

    endpoints = [
        recorded("chat", "chat_2"), recorded("unicode", "chat_multi_turn_unicode"),
        recorded("stream", STREAM.split("/")[1]), recorded("tools", "chat_tool_call_tools_json_schema_empty_arguments"),
        recorded("stream-tools", "chat_stream_tool_calls_parallel_tools_system"),
        recorded("complete-stream", "completions_stream_no_usage_unicode", documents.COMPLETIONS),
        from_databricks("complete", "completions", documents.COMPLETIONS),
        recorded("embed", "embeddings_base64_dimensions", documents.EMBEDDINGS),
        from_databricks("embed-floats", "embeddings_batch", documents.EMBEDDINGS),
        recorded("refused", "chat_error_401_n_several_multi_turn_system"), recorded("missing", "chat_error_404"),
        recorded("wrong", "chat_error_400_developer_role"), recorded("busy", "error_429_rate_limit"),
        recorded("overloaded", "error_503_overloaded"),
        recorded("cut", f"{STREAM.split('/')[1]};fault=truncate"),
    ]
    with Gateway(folders(), endpoints, settings={"limits": {"body": "1MiB"}}) as gateway:
        yield gateway


@pytest.fixture(params=shapes.DOORS)
def door(request):
    return request.param


@pytest.fixture
def client(gateway, door):
    with openai.OpenAI(base_url=gateway.url + door, api_key=documents.ALICE, max_retries=0, timeout=10) as client:
        yield client


MESSAGES = [{"role": "user", "content": "Hello"}]


def recording(replay, name):
    return replay.recordings.all[name]["response"]


def test_chat(client, replay):
    answer = client.chat.completions.create(model="chat", messages=MESSAGES)
    body = recording(replay, "openai/chat_2")["body"]
    assert answer.choices[0].message.content == body["choices"][0]["message"]["content"]
    assert (answer.id, answer.created, answer.model) == (body["id"], body["created"], body["model"])
    assert answer.usage.total_tokens == body["usage"]["total_tokens"]


def test_unicode_both_ways(client, replay):
    said = "나는 바다를 — \U0001f30a \"quoted\" \u2028"
    answer = client.chat.completions.create(model="unicode", messages=[{"role": "user", "content": said}])
    assert replay.received[-1]["body"]["messages"][0]["content"] == said
    kept = recording(replay, "openai/chat_multi_turn_unicode")["body"]["choices"][0]["message"]["content"]
    assert answer.choices[0].message.content == kept


def test_tool_calls(client, replay):
    answer = client.chat.completions.create(model="tools", messages=MESSAGES)
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("get_user_country", "{}")


def test_stream(client, replay):
    chunks = list(client.chat.completions.create(model="stream", messages=MESSAGES, stream=True,
                                                 stream_options={"include_usage": True}))
    assert len(chunks) == len(recording(replay, STREAM)["sse"]) - 1
    assert len({chunk.id for chunk in chunks}) == 1
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).startswith("Struct")
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [1520]


def test_stream_of_tool_calls(client):
    calls = {}
    for chunk in client.chat.completions.create(model="stream-tools", messages=MESSAGES, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
    assert len(calls) == 2 and all(arguments.startswith("{") for arguments in calls.values())


def test_stream_that_breaks_raises(client):
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="cut", messages=MESSAGES, stream=True))


def test_completions(client, replay):
    answer = client.completions.create(model="complete", prompt="What is a quoll?")
    assert answer.choices[0].text.startswith("A quoll is") and answer.object == "text_completion"


def test_completions_stream(client):
    chunks = list(client.completions.create(model="complete-stream", prompt="x", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks).startswith("-stacktrace")


def test_embeddings_as_the_client_asks_by_default(client, replay):
    answer = client.embeddings.create(model="embed", input="hello")
    assert replay.received[-1]["body"]["encoding_format"] == "base64"
    values = answer.data[0].embedding
    assert isinstance(values, list) and math.isclose(math.hypot(*values), 1, abs_tol=1e-3)


def test_embeddings_as_floats(client, replay):
    answer = client.embeddings.create(model="embed-floats", input=["a", "b"], encoding_format="float")
    assert replay.received[-1]["body"]["encoding_format"] == "float"
    body = recording(replay, "databricks-model-serving/embeddings_batch")["body"]
    assert [item.embedding for item in answer.data] == [item["embedding"] for item in body["data"]]


def test_models(client):
    names = {model.id for model in client.models.list()}
    assert {"chat", "stream", "embed"} <= names
    model = client.models.retrieve("chat")
    assert (model.id, model.object) == ("chat", "model") and isinstance(model.created, int) and model.owned_by
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_wrong_key(gateway, door):
    client = openai.OpenAI(base_url=gateway.url + door, api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="chat", messages=MESSAGES)
    assert caught.value.status_code == 401


def test_unknown_model(client, door):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert "no-such-model" in caught.value.message
    if door == shapes.V1:
        assert caught.value.type and caught.value.code
    else:
        assert caught.value.body["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_wrong_task(client):
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="chat", input="x")
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="embed", messages=MESSAGES)


def test_too_large(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x" * 2_000_000}])
    assert caught.value.status_code == 413


@pytest.mark.parametrize("model, v1, databricks", [("refused", 403, 403), ("missing", 404, 400), ("wrong", 400, 400),
                                                   ("busy", 429, 429), ("overloaded", 503, 502)])
def test_errors_of_the_provider(client, door, model, v1, databricks):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert caught.value.status_code == (v1 if door == shapes.V1 else databricks)
    assert caught.value.response.headers["x-weirgate-answered-by"] == "provider"


def test_raw_response_headers(client):
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=MESSAGES)
    assert raw.headers["served-model-name"] == "a" and raw.request_id
    assert raw.headers["x-weirgate-attempts"] == "1"
    assert raw.parse()._request_id == raw.request_id


def test_request_id_is_echoed(client):
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=MESSAGES,
                                                           extra_headers={"x-request-id": "my-request-17"})
    assert raw.request_id == "my-request-17" == raw.headers["x-databricks-request-id"]


def test_async_streams_side_by_side(gateway, door, replay):
    async def one(client):
        stream = await client.chat.completions.create(model="stream", messages=MESSAGES, stream=True)
        return [chunk async for chunk in stream]

    async def many():
        async with openai.AsyncOpenAI(base_url=gateway.url + door, api_key=documents.ALICE, max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(20)))

    results = asyncio.run(many())
    assert len({tuple(chunk.model_dump_json() for chunk in chunks) for chunks in results}) == 1


def test_client_closes_a_stream_early(client, gateway):
    for _ in range(5):
        with client.chat.completions.create(model="stream", messages=MESSAGES, stream=True) as stream:
            next(iter(stream))
    assert client.chat.completions.create(model="chat", messages=MESSAGES).choices


def test_plain_http_client_sees_the_same(gateway):
    """What the SDK hides: content type and framing of a whole answer."""
    body = documents.chat_body("chat")
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body,
                        headers={"authorization": f"Bearer {documents.ALICE}"})
    assert answer.status_code == 200 and "transfer-encoding" not in answer.headers
