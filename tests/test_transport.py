"""HTTP/2 without TLS, and TLS with the protocol chosen by ALPN."""
import asyncio
import socket
import ssl
import time

import httpx
import pytest
import trustme

from support import documents, shapes, wire
from support.gateway import Gateway, free_port

pytestmark = pytest.mark.timeout(45)
BODY = documents.chat_body("chat")
STREAM = "chat_stream_length_cache_usage_system"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def write_certificate(authority, folder):
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))


@pytest.fixture(scope="module")
def gateway(replay, folders, authority):
    """Plain text on its usual port, TLS on `tls_port`."""
    folder, tls_port = folders(), free_port()
    write_certificate(authority, folder)
    base = f"{replay.url}/r/openai"
    gateway = Gateway(folder, [documents.endpoint("chat", documents.openai("a", f"{base}/chat_2/v1")),
                               documents.endpoint("stream", documents.openai("a", f"{base}/{STREAM}/v1")),
                               documents.endpoint("cut", documents.openai("a", f"{base}/{STREAM};fault=truncate/v1"))])
    gateway.settings["listeners"].append({"address": f"127.0.0.1:{tls_port}",
                                          "tls": {"cert": str(folder / "chain.pem"), "key": str(folder / "key.pem")}})
    gateway.settings["limits"] = {"body": "1MiB"}
    gateway.write("weirgate.yaml", gateway.settings)
    gateway.tls_port, gateway.tls_folder = tls_port, folder
    with gateway:
        yield gateway


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(params=["h2c", "tls h2", "tls http/1.1"])
def client(request, gateway, authority):
    """A client for each transport but plain HTTP/1.1, which the other suites use."""
    secure = request.param.startswith("tls")
    two = request.param != "tls http/1.1"
    url = f"https://localhost:{gateway.tls_port}" if secure else gateway.url
    options = {"verify": trusting(authority)} if secure else {}
    with gateway.client(http1=not two or secure, http2=two, **options) as client:
        client.base_url = url
        client.version = "HTTP/2" if two else "HTTP/1.1"
        yield client


@pytest.mark.parametrize("door", shapes.DOORS)
def test_chat(client, door):
    answer = client.post(f"{door}/chat/completions", json=BODY)
    assert answer.http_version == client.version
    assert answer.status_code == 200 and answer.json()["choices"]
    assert answer.headers["served-model-name"] == "a"
    if client.version == "HTTP/2":
        assert not {"connection", "transfer-encoding", "keep-alive"} & set(answer.headers)


def test_stream(client, replay):
    body = documents.chat_body("stream", stream=True, stream_options={"include_usage": True})
    with client.stream("POST", "/v1/chat/completions", json=body) as response:
        got, clean = wire.read_all(response)
    recorded = replay.recordings.all[f"openai/{STREAM}"]["response"]["sse"]
    assert clean and [b"data: " + event for event in wire.events(got)] == [event.encode() for event in recorded]


def test_broken_stream_does_not_end_as_a_success(client):
    with client.stream("POST", "/v1/chat/completions", json=documents.chat_body("cut", stream=True)) as response:
        got, _ = wire.read_all(response)
    shapes.assert_error_event(wire.events(got)[-1], shapes.V1)


def test_control_api(client):
    """On the same listeners, with the same protocols and authentication."""
    path, admin = "/api/2.0/serving-endpoints", {"authorization": f"Bearer {documents.ADMIN}"}
    body = documents.endpoint("by-wire", documents.openai("a", "http://127.0.0.1:9/v1"), description="x" * 60_000)
    made = client.post(path, json=body, headers=admin)
    assert made.status_code == 200 and made.http_version == client.version, made.text
    patched = client.patch(f"{path}/by-wire/tags", content=iter([b'{"add_tags": ', b'[{"key": "k"}]}']), headers=admin)
    assert patched.status_code == 200 and patched.json()["tags"][0]["key"] == "k"
    assert client.get(f"{path}/by-wire/", headers=admin).json()["description"] == body["description"]
    gone = client.request("DELETE", f"{path}/by-wire", headers=admin, json={"a": "body"})
    assert gone.status_code == 200 and gone.json() == {} and gone.http_version == client.version
    shapes.assert_error(client.get(path, headers={"authorization": "Bearer no"}), shapes.DATABRICKS, 401)
    shapes.assert_error(client.post(path, content=b"{", headers=admin), shapes.DATABRICKS, 400)
    shapes.assert_error(client.post(path, content=b" " * 5_000_000, headers=admin), shapes.DATABRICKS, 413)
    assert client.get(path, headers=admin).status_code == 200, "the connection goes on, or a new one does"


@pytest.mark.parametrize("size", [100, 70_000, 1_000_000])
def test_large_bodies(client, replay, size):
    replay.raw.clear()
    answer = client.post("/v1/chat/completions", json={**BODY, "user": "x" * size})
    assert answer.status_code == 200
    assert len(replay.raw[0]) > size


def test_body_without_a_length(client):
    pieces = (b'{"model": "chat", ', b'"messages": [{"role": "user", "content": "hi"}]}')
    assert client.post("/v1/chat/completions", content=iter(pieces)).status_code == 200


@pytest.mark.parametrize("door", shapes.DOORS)
def test_errors(client, door):
    path = f"{door}/chat/completions"
    shapes.assert_error(client.post(path, json=BODY, headers={"authorization": "Bearer no"}), door, 401)
    shapes.assert_error(client.post(path, json={**BODY, "model": "no"}), door, 404)
    shapes.assert_error(client.post(path, content=b"{"), door, 400)
    shapes.assert_error(client.get(path), door, 405)
    assert client.post(path, json=BODY).status_code == 200


@pytest.mark.parametrize("door", shapes.DOORS)
def test_too_large(client, door):
    """A client may see the refusal, or its own upload cut off; it never sees a success."""
    try:
        shapes.assert_error(client.post(f"{door}/chat/completions", content=b" " * 3_000_000), door, 413)
    except (httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
        pass
    assert client.post(f"{door}/chat/completions", json=BODY).status_code == 200


def test_many_requests_at_once(client, authority):
    """On HTTP/2 they share one connection."""
    async def many():
        options = {"headers": client.headers, "verify": trusting(authority), "timeout": 20, "trust_env": False}
        async with httpx.AsyncClient(http1=client.version == "HTTP/1.1", http2=client.version == "HTTP/2", **options) as together:
            sent = [together.post(client.base_url.join("/v1/chat/completions"), json=BODY) for _ in range(80)]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert asyncio.run(many()) == [200] * 80


@pytest.mark.parametrize("offered, chosen", [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (None, None)])
def test_alpn(gateway, authority, offered, chosen):
    context = trusting(authority)
    if offered:
        context.set_alpn_protocols(offered)
    with socket.create_connection(("127.0.0.1", gateway.tls_port), 5) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.selected_alpn_protocol() == chosen
            assert secure.version() in ("TLSv1.2", "TLSv1.3")


def serial(gateway, authority):
    with socket.create_connection(("127.0.0.1", gateway.tls_port), 5) as plain:
        with trusting(authority).wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.getpeercert()["serialNumber"]


def test_a_new_certificate_is_used_without_a_restart(gateway, authority):
    old = serial(gateway, authority)
    with httpx.Client(base_url=f"https://localhost:{gateway.tls_port}", verify=trusting(authority),
                      headers={"authorization": f"Bearer {documents.ALICE}"}) as client:
        assert client.get("/v1/models").status_code == 200
        write_certificate(authority, gateway.tls_folder)
        end = time.monotonic() + 10
        while serial(gateway, authority) == old:
            assert time.monotonic() < end, "the old certificate is still served"
            time.sleep(0.1)
        # The connection made under the old one lives on.
        assert client.get("/v1/models").status_code == 200


def test_old_tls_is_refused(gateway, authority):
    context = trusting(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", gateway.tls_port), 5) as plain:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain, server_hostname="localhost")


def test_plain_text_on_the_tls_port(gateway):
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{gateway.tls_port}/v1/models", timeout=5)
