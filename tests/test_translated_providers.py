"""What a translated provider gets besides the body, and what the client is told: credentials, tokens, batches, parameters."""
import concurrent.futures
import time
from urllib.parse import parse_qs

import jwt
import pytest

from support import documents, external, shapes
from support.gateway import eventually
from support.upstream import Upstream, always, answer, completion

AZURE = {"openai_api_version": "2024-06-01", "openai_deployment_name": "my gpt"}
ENTRA = {"openai_api_type": "azuread", "microsoft_entra_tenant_id": "tenant", "microsoft_entra_client_id": "client",
         "microsoft_entra_client_secret_plaintext": "entra-secret-0123456789"}
CLAUDE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
          "content": [{"type": "text", "text": "Hello!"}], "usage": {"input_tokens": 3, "output_tokens": 2}}


@pytest.fixture
def up():
    up = Upstream(always(lambda request: answer(completion())))
    yield up
    up.close()


@pytest.fixture
def claude(gateways):
    up = Upstream(always(lambda request: answer(CLAUDE)))
    yield gateways([documents.endpoint("chat", entity("anthropic", "anthropic_config", anthropic_api_base=up.url,
                                                      anthropic_api_key_plaintext=documents.UPSTREAM_KEY))]), up
    up.close()


def entity(provider, block, model="m", task=documents.CHAT, **config):
    return {"name": "a", "external_model": {"name": model, "provider": provider, "task": task, block: config}}


def azure(up, **config):
    return documents.endpoint("chat", entity("openai", "openai_config", openai_api_base=up.url, **AZURE, **config))


def ask(gateway, headers=None, **more):
    with gateway.client(headers=headers or {}) as client:
        return client.post("/v1/chat/completions", json=documents.chat_body("chat", **more))


def token_server(life=3600, pause=0):
    """A token endpoint whose tokens are numbered."""
    def give(request):
        time.sleep(pause)
        return answer({"access_token": f"token-{len(up.requests)}", "token_type": "Bearer", "expires_in": life})

    up = Upstream(always(give))
    return up


# -- Azure

def test_azure_key(gateways, up):
    gateway = gateways([azure(up, openai_api_type="azure", openai_api_key_plaintext=documents.UPSTREAM_KEY)])
    assert ask(gateway).status_code == 200
    (sent,) = up.requests
    assert sent.path == "/openai/deployments/my%20gpt/chat/completions?api-version=2024-06-01"
    assert sent.headers["api-key"] == documents.UPSTREAM_KEY and "authorization" not in sent.headers


def test_azure_ready_token(gateways, up):
    gateway = gateways([azure(up, openai_api_type="azuread", openai_api_key_plaintext="ready-token-0123456789")])
    assert ask(gateway).status_code == 200
    assert up.requests[0].headers["authorization"] == "Bearer ready-token-0123456789"


def test_entra_token_is_fetched_once_by_many_and_renewed_beside_the_requests(gateways, up):
    tokens = token_server(life=3, pause=0.2)
    gateway = gateways([azure(up, **ENTRA)], env={"AZURE_AUTHORITY_HOST": tokens.url})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {response.status_code for response in pool.map(lambda _: ask(gateway), range(16))} == {200}
    assert len(tokens.requests) == 1, "never by two at once"
    (form,) = [parse_qs(request.body.decode()) for request in tokens.requests]
    assert tokens.requests[0].path == "/tenant/oauth2/v2.0/token"
    assert form == {"grant_type": ["client_credentials"], "client_id": ["client"], "client_secret": ["entra-secret-0123456789"],
                    "scope": ["https://cognitiveservices.azure.com/.default"]}
    assert {request.headers["authorization"] for request in up.requests} == {"Bearer token-1"}
    eventually(lambda: len(tokens.requests) >= 2, 5)  # nobody asks meanwhile
    time.sleep(0.4)
    up.clear()
    assert ask(gateway).status_code == 200
    assert up.requests[0].headers["authorization"] in ("Bearer token-2", "Bearer token-3")


@pytest.mark.parametrize("door", shapes.DOORS)
def test_entra_that_refuses(gateways, up, door):
    said = {"error": "invalid_client", "error_description": "AADSTS7000215: wrong secret entra-secret-0123456789"}
    tokens = Upstream(always(lambda request: answer(said, "401 Unauthorized")))
    gateway = gateways([azure(up, **ENTRA)], env={"AZURE_AUTHORITY_HOST": tokens.url})
    for _ in range(3):
        with gateway.client() as client:
            response = client.post(f"{door}/chat/completions", json=documents.chat_body("chat"))
        message = shapes.assert_error(response, door, 403, "gateway")
        assert "AADSTS7000215" in message and "entra-secret" not in message
    assert not up.requests and len(tokens.requests) == 1, "the endpoint is left alone for a while after a failure"


def test_token_endpoint_that_is_down(gateways, up):
    tokens = token_server()
    tokens.close()
    gateway = gateways([azure(up, **ENTRA)], env={"AZURE_AUTHORITY_HOST": tokens.url})
    shapes.assert_error(ask(gateway), shapes.V1, 502, "gateway")


# -- Google

def vertex(up, key, **more):
    return documents.endpoint("chat", entity(
        "google-cloud-vertex-ai", "google_cloud_vertex_ai_config", "gemini-2.5-flash", google_cloud_vertex_ai_api_base=up.url,
        region=external.REGION, project_id=external.PROJECT, private_key_plaintext=key, **more))


def test_service_account(gateways):
    said = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello!"}]}, "finishReason": "STOP"}]}
    up, tokens = Upstream(always(lambda request: answer(said))), token_server()
    uri = f"{tokens.url}/any/where"
    gateway = gateways([vertex(up, external.service_account(uri))])
    assert ask(gateway).json()["choices"][0]["message"]["content"] == "Hello!"
    form = parse_qs(tokens.requests[0].body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"] and tokens.requests[0].path == "/any/where"
    claims = jwt.decode(form["assertion"][0], external.ACCOUNT_KEY.public_key(), algorithms=["RS256"], audience=uri)
    assert claims["iss"] == external.ACCOUNT and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert jwt.get_unverified_header(form["assertion"][0])["kid"] == "key-1"
    (sent,) = up.requests
    assert sent.headers["authorization"] == "Bearer token-1"
    assert sent.path == (f"/v1/projects/{external.PROJECT}/locations/{external.REGION}"
                         "/publishers/google/models/gemini-2.5-flash:generateContent")
    gateway.stop()
    assert "PRIVATE KEY" not in gateway.log()


@pytest.mark.parametrize("key, more", [("{}", {}), ("-----BEGIN", {"client_email": "x@y"}), (external.PEM, {})])
def test_key_that_is_none(gateways, up, key, more):
    gateway = gateways([vertex(up, key, **more)])
    message = shapes.assert_error(ask(gateway), shapes.V1, 400, "gateway")
    assert "private_key" in message and "BEGIN" not in message


# -- Amazon

def test_signature(gateways):
    model = "arn:aws:bedrock:eu-west-3:1:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0"
    up = Upstream(always(lambda request: answer({"message": "no"}, "403 Forbidden")))
    gateway = gateways([documents.endpoint("chat", entity(
        "amazon-bedrock", "amazon_bedrock_config", model, amazon_bedrock_api_base=up.url, aws_region=external.REGION,
        bedrock_provider="Anthropic", aws_access_key_id_plaintext=external.AWS_ID,
        aws_secret_access_key_plaintext=external.AWS_SECRET))])
    shapes.assert_error(ask(gateway), shapes.V1, 403, "provider")
    (sent,) = up.requests
    assert sent.path.startswith("/model/arn%3Aaws%3Abedrock")
    wanted = external.signature("POST", sent.path, sent.headers, sent.body)
    assert sent.headers["authorization"].endswith(f"Signature={wanted}")
    assert f"/{external.REGION}/bedrock/aws4_request" in sent.headers["authorization"]


# -- what cannot be called

@pytest.mark.parametrize("made", [
    entity("palm", "palm_config", palm_api_key_plaintext=documents.UPSTREAM_KEY),
    entity("amazon-bedrock", "amazon_bedrock_config", aws_region="us-east-1", bedrock_provider="amazon",
           instance_profile_arn="arn:aws:iam::1:instance-profile/x"),
])
def test_not_callable(gateways, made):
    shapes.assert_error(ask(gateways([documents.endpoint("chat", made)])), shapes.V1, 501, "gateway")


# -- requests

def test_headers_of_the_api_are_passed_on_and_no_others(claude):
    gateway, up = claude
    given = {"anthropic-beta": "context-1m-2025-08-07", "openai-beta": "x", "cookie": "a=b", "x-api-key": "mine"}
    assert ask(gateway, given).status_code == 200
    sent = up.requests[0].headers
    assert sent["anthropic-beta"] == "context-1m-2025-08-07" and sent["anthropic-version"] == "2023-06-01"
    assert sent["x-api-key"] == documents.UPSTREAM_KEY
    assert not {"openai-beta", "cookie", "authorization"} & set(sent)


def test_dropped_parameters_are_told(claude):
    gateway, up = claude
    response = ask(gateway, seed=1, presence_penalty=0.5)
    assert response.status_code == 200 and response.headers["x-weirgate-dropped"] == "presence_penalty, seed"
    assert not {"seed", "presence_penalty"} & set(up.requests[0].json())
    assert "x-weirgate-dropped" not in ask(gateway).headers


@pytest.mark.parametrize("door", shapes.DOORS)
def test_refused_parameter_is_named(claude, door):
    gateway, up = claude
    with gateway.client() as client:
        response = client.post(f"{door}/chat/completions", json=documents.chat_body("chat", n=2))
    message = shapes.assert_error(response, door, 400, "gateway")
    assert message.startswith("`n` ") and not up.requests
    if door == shapes.V1:
        assert response.json()["error"]["param"] == "n"


def test_embeddings_are_asked_for_in_batches(gateways):
    def embed(request):
        texts = request.json()["texts"]
        time.sleep(0.02 * (len(texts) % 5))  # so that the answers come out of order
        return answer({"id": "e", "embeddings": {"float": [[float(text)] for text in texts]}, "texts": texts,
                       "meta": {"billed_units": {"input_tokens": len(texts)}}})

    up = Upstream(always(embed))
    gateway = gateways([documents.endpoint("embed", entity("cohere", "cohere_config", "embed-v4.0", documents.EMBEDDINGS,
                                                           cohere_api_base=up.url, cohere_api_key_plaintext=documents.UPSTREAM_KEY))])
    with gateway.client() as client:
        body = {"model": "embed", "input": [str(i) for i in range(250)], "encoding_format": "float"}
        response = client.post("/v1/embeddings", json=body)
    assert [entry["embedding"] for entry in response.json()["data"]] == [[float(i)] for i in range(250)]
    assert [entry["index"] for entry in response.json()["data"]] == list(range(250))
    assert response.json()["usage"]["prompt_tokens"] == 250 and response.headers["x-weirgate-attempts"] == "1"
    assert sorted(len(request.json()["texts"]) for request in up.requests) == [58, 96, 96]


def test_one_failed_batch_fails_the_request(gateways):
    def embed(request):
        texts = request.json()["texts"]
        if "100" in texts:
            return answer({"message": "too fast"}, "429 Slow", "retry-after: 7")
        return answer({"embeddings": {"float": [[1.0] for _ in texts]}})

    up = Upstream(always(embed))
    gateway = gateways([documents.endpoint("embed", entity("cohere", "cohere_config", "embed-v4.0", documents.EMBEDDINGS,
                                                           cohere_api_base=up.url, cohere_api_key_plaintext=documents.UPSTREAM_KEY))])
    with gateway.client() as client:
        response = client.post("/v1/embeddings", json={"model": "embed", "input": [str(i) for i in range(250)]})
    assert shapes.assert_error(response, shapes.V1, 429, "provider") == "too fast"
    assert response.headers["retry-after"] == "7"


def test_usage_is_recorded(claude):
    gateway, _ = claude
    assert ask(gateway).status_code == 200

    def counted():
        found = {labels["class"]: value for name, labels, value in gateway.metrics() if name == "weirgate_tokens_total" and value}
        return found == {"input": 3, "output": 2}

    eventually(counted)
