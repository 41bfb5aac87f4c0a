"""Served entities of the providers that are translated, made from recordings, and the credentials that they send."""
import hashlib
import hmac
import json
import re
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import httpx

from . import wire
from .documents import ALICE, UPSTREAM_KEY

TRANSLATED = ("ai21labs", "amazon-bedrock", "anthropic", "cohere", "google-cloud-vertex-ai")
AWS_ID, AWS_SECRET, REGION, PROJECT = "AKIAEXAMPLEEXAMPLE12", "aws+secret/0123456789abcdef", "eu-west-3", "project-1"
ACCOUNT = "gateway@project-1.iam.gserviceaccount.com"
ACCOUNT_KEY = rsa.generate_private_key(65537, 2048)
PEM = ACCOUNT_KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()


def service_account(token_uri):
    """A key file as Google issues it."""
    return json.dumps({"type": "service_account", "project_id": PROJECT, "private_key_id": "key-1", "private_key": PEM,
                       "client_email": ACCOUNT, "token_uri": token_uri})


# APIs that the gateway calls for old models only, and one of these.
OLD = {"/v1/chat": "command-light", "/v1/embed": "embed-english-v2.0"}


def model(record):
    """The model's name at the provider."""
    path = unquote(record["request"]["path"])
    if path in OLD and record["provider"] == "cohere":
        return OLD[path]
    found = re.search(r"/models?/(.+?)(?:/(?:converse|invoke)[^/]*|:[a-zA-Z]+)$", path)
    body = record["request"]["body"].get("model")
    return found.group(1) if found else body or path.split("/")[-2]


def entity(name, base, record, task, tokens):
    """A served entity that answers with a recording below `base`; access tokens come from `tokens`."""
    provider, called = record["provider"], model(record)
    block, config = {
        "anthropic": ("anthropic_config", {"anthropic_api_base": base, "anthropic_api_key_plaintext": UPSTREAM_KEY}),
        "cohere": ("cohere_config", {"cohere_api_base": base, "cohere_api_key_plaintext": UPSTREAM_KEY}),
        "ai21labs": ("ai21labs_config", {"ai21labs_api_base": f"{base}/studio/v1", "ai21labs_api_key_plaintext": UPSTREAM_KEY}),
        "amazon-bedrock": ("amazon_bedrock_config", {
            "amazon_bedrock_api_base": base, "aws_region": REGION, "bedrock_provider": maker(called),
            "aws_access_key_id_plaintext": AWS_ID, "aws_secret_access_key_plaintext": AWS_SECRET}),
        "google-cloud-vertex-ai": ("google_cloud_vertex_ai_config", {
            "google_cloud_vertex_ai_api_base": base, "region": REGION, "project_id": PROJECT,
            "private_key_plaintext": service_account(f"{tokens}/token")}),
    }[provider]
    return {"name": name, "external_model": {"name": called, "provider": provider, "task": task, block: config}}


def maker(called):
    makers = {"cohere": "cohere", "ai21": "ai21labs", "anthropic": "anthropic"}
    return next((name for part, name in makers.items() if part in called), "amazon")


def assert_credential(headers, record):
    """The request carries the provider's credential, and none in another place."""
    provider = record["provider"]
    if provider == "anthropic":
        assert headers["x-api-key"] == UPSTREAM_KEY and "authorization" not in headers
    elif provider == "amazon-bedrock":
        assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={AWS_ID}/")
    else:
        token = "replay-token" if provider == "google-cloud-vertex-ai" else UPSTREAM_KEY
        assert headers["authorization"] == f"Bearer {token}"


def signature(method, path, headers, body):
    """The signature that a request should carry, step by step after AWS' "Create a signed AWS API request"."""
    authorization = headers["authorization"]
    day, region, service, end = re.search(r"Credential=[^/]+/([^,]+)", authorization).group(1).split("/")
    names = re.search(r"SignedHeaders=([^,]+)", authorization).group(1)
    # The path is on the wire once encoded, and is encoded once more to be signed.
    canonical = "\n".join([method, quote(path, safe="/-_.~"), "", *(f"{name}:{headers[name]}" for name in names.split(";")), "",
                           names, hashlib.sha256(body).hexdigest()])
    scope = f"{day}/{region}/{service}/{end}"
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{AWS_SECRET}".encode()
    for part in (day, region, service, end, text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def post(gateway, route, body, **headers):
    """A request, with its answer read to the end: (response, bytes, whether it ended cleanly)."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"authorization": f"Bearer {ALICE}"}
    with httpx.Client(base_url=gateway.url, timeout=10) as client, \
            client.stream("POST", route, json=body, headers=headers) as response:
        response._content, clean = wire.read_all(response)
        return response, response._content, clean


def chunks(response, body, clean):
    """The JSON of the events of a stream that ended well."""
    assert response.status_code == 200 and clean, body[-500:]
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, done = wire.events(body)
    assert done == b"[DONE]"
    events = [json.loads(event) for event in events]
    assert len({(event["id"], event["created"]) for event in events}) == 1
    return events
