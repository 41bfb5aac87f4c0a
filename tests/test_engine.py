"""Our own engine behind the gateway: the real small chat model and the real embedding model, by the openai client."""
import base64
import concurrent.futures
import math
import struct

import openai
import pytest

from support import documents, engine, shapes, wire
from support.gateway import Gateway

pytestmark = pytest.mark.timeout(120)
SYSTEM = {"role": "system", "content": "Be brief."}  # shorter than the model's own: the engine under test is a debug build
MESSAGES = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"model": engine.CHAT_ENDPOINT, "messages": MESSAGES, "temperature": 0, "max_tokens": 8}


@pytest.fixture(scope="module")
def gateway(folders):
    gateway = Gateway(folders(), [engine.chat_endpoint(), engine.embedding_endpoint(), engine.text_endpoint()], engine.catalog())
    try:
        yield gateway.start().wait_ready(60)
    finally:
        gateway.stop()


@pytest.fixture(params=shapes.DOORS, scope="module")
def door(request):
    return request.param


@pytest.fixture(scope="module")
def client(gateway, door):
    with openai.OpenAI(base_url=gateway.url + door, api_key=documents.ALICE, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def v1(gateway):
    with openai.OpenAI(base_url=gateway.url + shapes.V1, api_key=documents.ALICE, max_retries=0, timeout=60) as client:
        yield client


def test_chat(client):
    answer = client.chat.completions.create(**GREEDY)
    choice = answer.choices[0]
    assert "Paris" in choice.message.content and choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert answer.object == "chat.completion" and answer.id and answer.model
    usage = answer.usage
    assert usage.prompt_tokens > 10 and 0 < usage.completion_tokens <= 8
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_greedy_is_the_same_every_time_and_streamed(client):
    whole = client.chat.completions.create(**GREEDY)
    again = client.chat.completions.create(**GREEDY)
    chunks = list(client.chat.completions.create(**GREEDY, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert whole.choices[0].message.content == again.choices[0].message.content == text
    assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1
    assert [chunk.usage for chunk in chunks if chunk.usage] == [chunks[-1].usage]
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert reasons == [whole.choices[0].finish_reason]
    assert len(chunks) > 5, "the stream came in one piece"


def test_stream_without_usage(gateway, door):
    body = {**GREEDY, "stream": True, "max_tokens": 4}
    with gateway.client() as client, client.stream("POST", f"{door}/chat/completions", json=body) as response:
        got, clean = wire.read_all(response)
    assert clean and response.headers["content-type"].startswith("text/event-stream")
    *events, done = wire.events(got)
    assert done == b"[DONE]" and not [event for event in events if b'"usage":{' in event]


def test_seed_and_sampling(v1):
    def sample(seed):
        answer = v1.chat.completions.create(**{**GREEDY, "temperature": 1.5, "max_tokens": 5}, seed=seed)
        return answer.choices[0].message.content

    first = sample(7)
    assert sample(7) == first
    assert {sample(seed) for seed in (1, 2, 3)} != {first}


def test_max_tokens_and_stop(v1):
    answer = v1.chat.completions.create(**{**GREEDY, "max_tokens": 3})
    assert answer.usage.completion_tokens == 3 and answer.choices[0].finish_reason == "length"
    full = v1.chat.completions.create(**GREEDY).choices[0].message.content
    stop = full[4:7]
    cut = v1.chat.completions.create(**GREEDY, stop=[stop, "never said"])
    assert cut.choices[0].message.content == full[:full.index(stop)] and cut.choices[0].finish_reason == "stop"
    streamed = v1.chat.completions.create(**GREEDY, stop=stop, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert text == full[:full.index(stop)], "a part of the stop text slipped out of the stream"


def test_several_choices(v1):
    answer = v1.chat.completions.create(**{**GREEDY, "temperature": 1.0, "max_tokens": 5}, n=3, seed=1)
    assert sorted(choice.index for choice in answer.choices) == [0, 1, 2]
    chunks = v1.chat.completions.create(**{**GREEDY, "max_tokens": 3}, n=2, stream=True)
    texts = {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    assert set(texts) == {0, 1} and texts[0] == texts[1] != ""


def test_logprobs(v1):
    answer = v1.chat.completions.create(**{**GREEDY, "max_tokens": 4}, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens
    assert "".join(item.token for item in content) == answer.choices[0].message.content
    for item in content:
        assert item.logprob <= 0 and len(item.top_logprobs) == 3
        values = [top.logprob for top in item.top_logprobs]
        assert values == sorted(values, reverse=True)
        assert math.isclose(values[0], item.logprob, abs_tol=1e-4), "greedy takes the likeliest token"
        assert sum(map(math.exp, values)) <= 1.0001


def test_batch_gives_what_each_request_gives_alone(v1):
    prompts = ["Say hello.", "Count from one to five.", "Name a fruit.", "Write a line about the sea, then one about a hill."]

    def ask(prompt):
        messages = [SYSTEM, {"role": "user", "content": prompt}]
        return v1.chat.completions.create(**{**GREEDY, "messages": messages}).choices[0].message.content

    alone = [ask(prompt) for prompt in prompts]
    with concurrent.futures.ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(ask, prompts)) == alone


def test_completions_on_a_chat_model(gateway, v1):
    """The task is chat: the route of another task is refused (contract §8.1)."""
    with pytest.raises(openai.BadRequestError):
        v1.completions.create(model=engine.CHAT_ENDPOINT, prompt="The capital of France is", max_tokens=4)


def test_completions(client):
    asked = {"model": engine.TEXT_ENDPOINT, "max_tokens": 4, "temperature": 0}
    one = client.completions.create(**asked, prompt="The capital of France is")
    assert one.object == "text_completion" and one.choices[0].text.startswith(" Paris") and one.usage.completion_tokens == 4
    several = client.completions.create(**asked, prompt=["The capital of France is", "2+2="])
    assert [choice.index for choice in several.choices] == [0, 1] and several.choices[0].text == one.choices[0].text
    chunks = list(client.completions.create(**asked, prompt="The capital of France is", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == one.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize("wrong", [{"prompt": ""}, {"prompt": [999_999]}, {"suffix": "x"}, {"prompt": {}}])
def test_wrong_completions(gateway, door, wrong):
    """What it cannot do is refused, and the text names the parameter."""
    with gateway.client() as client:
        answer = client.post(f"{door}/completions", json={"model": engine.TEXT_ENDPOINT, "prompt": "x", "max_tokens": 2, **wrong})
        message = shapes.assert_error(answer, door, 400)
    assert "suffix" not in wrong or "suffix" in message


@pytest.mark.parametrize("wanted", [{"tools": [{"type": "function", "function": {"name": "f"}}]}, {"response_format": {"type": "json_object"}}])
def test_what_the_engine_cannot_do_is_refused(gateway, door, wanted):
    with gateway.client() as client:
        answer = client.post(f"{door}/chat/completions", json={**GREEDY, **wanted})
        assert next(iter(wanted)) in shapes.assert_error(answer, door, 400)


def test_context_that_does_not_fit(client, door):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**GREEDY, "messages": [{"role": "user", "content": "word " * 20_000}]})
    assert any(character.isdigit() for character in str(caught.value)), "the text says no numbers"


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 2}, {"max_tokens": 0}, {"n": 0}, {"messages": []}, {"stop": 7},
                                   {"messages": [{"role": "wizard", "content": "x"}]}, {"messages": "hello"}])
def test_wrong_parameters(gateway, door, wrong):
    with gateway.client() as client:
        answer = client.post(f"{door}/chat/completions", json={**GREEDY, **wrong})
        shapes.assert_error(answer, door, 400)


def test_unicode(v1):
    chunks = v1.chat.completions.create(**{**GREEDY, "messages": [SYSTEM, {"role": "user", "content": "Repeat: 日本語 🙂 naïve"}]}, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text and "\ufffd" not in text.rstrip("\ufffd")


@pytest.mark.parametrize("path", ["/serving-endpoints/smol/invocations", "/serving-endpoints/smol/served-models/smollm2/invocations"])
def test_invocations(gateway, v1, path):
    body = {key: value for key, value in GREEDY.items() if key != "model"}
    with gateway.client() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 200 and answer.headers["served-model-name"] == "smollm2"
    wanted = v1.chat.completions.create(**GREEDY).choices[0].message.content
    assert answer.json()["choices"][0]["message"]["content"] == wanted


# -- embeddings

def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


TEXTS = ["A cat sits on the mat.", "A kitten is lying on a rug.", "Interest rates rose in the last quarter."]


def test_embeddings(client):
    answer = client.embeddings.create(model=engine.EMBED_ENDPOINT, input=TEXTS)
    cat, kitten, rates = (item.embedding for item in answer.data)
    assert len(cat) == 384 and all(math.isclose(math.hypot(*v), 1, abs_tol=1e-3) for v in (cat, kitten, rates))
    assert cosine(cat, kitten) > 0.5 > 0.2 > cosine(cat, rates)
    assert [item.index for item in answer.data] == [0, 1, 2] and answer.usage.prompt_tokens == answer.usage.total_tokens > 15


def test_embeddings_as_floats_and_base64_are_equal(gateway, door):
    with gateway.client() as client:
        def ask(**more):
            answer = client.post(f"{door}/embeddings", json={"model": engine.EMBED_ENDPOINT, "input": TEXTS[0], **more})
            assert answer.status_code == 200, answer.text
            return answer.json()["data"][0]["embedding"]

        floats, default, encoded = ask(encoding_format="float"), ask(), ask(encoding_format="base64")
    assert isinstance(floats, list) and floats == default and isinstance(encoded, str)
    raw = base64.b64decode(encoded)
    decoded = struct.unpack(f"<{len(raw) // 4}f", raw)
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(floats, decoded, strict=True))


def test_embedding_does_not_depend_on_its_neighbours(v1):
    def ask(texts):
        answer = v1.embeddings.create(model=engine.EMBED_ENDPOINT, input=texts, encoding_format="float")
        return [item.embedding for item in answer.data]

    alone, together = ask([TEXTS[0]])[0], ask([*TEXTS, "x " * 100])[0]
    assert cosine(alone, together) > 0.99999


def test_embeddings_on_invocations_are_floats(gateway):
    with gateway.client() as client:
        answer = client.post(f"/serving-endpoints/{engine.EMBED_ENDPOINT}/invocations", json={"input": TEXTS})
    assert answer.status_code == 200
    assert all(isinstance(item["embedding"], list) for item in answer.json()["data"])


@pytest.mark.parametrize("wrong", [{"input": []}, {"input": 7}, {"input": None}, {"input": "x", "stream": True},
                                   {"input": "x", "encoding_format": "hex"}])
def test_wrong_embedding_requests(gateway, door, wrong):
    with gateway.client() as client:
        answer = client.post(f"{door}/embeddings", json={"model": engine.EMBED_ENDPOINT, **wrong})
        shapes.assert_error(answer, door, 400)


def test_models_lists_all(client):
    assert {engine.CHAT_ENDPOINT, engine.EMBED_ENDPOINT, engine.TEXT_ENDPOINT} == {model.id for model in client.models.list()}
