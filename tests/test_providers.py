"""How requests leave: URLs, credentials, secrets from elsewhere, and addresses that are not allowed."""
import socket
import threading

import pytest

from support import documents, shapes
from support.gateway import eventually
from support.upstream import Upstream, always, answer, completion, hello

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(scope="module")
def up():
    return Upstream(hello)


@pytest.fixture(autouse=True)
def forget(up):
    up.clear()


def ask(gateway, name="chat", door=shapes.V1, path="chat/completions", **more):
    with gateway.client() as client:
        return client.post(f"{door}/{path}", json={"model": name, **(more or documents.chat_body())})


def entity(up, **config):
    made = documents.openai("a", f"{up.url}/v1")
    made["external_model"]["openai_config"] = {"openai_api_base": f"{up.url}/v1", **config}
    return made


def test_openai_organization_and_base(gateways, up):
    plain = {"openai_api_key_plaintext": documents.UPSTREAM_KEY}
    gateway = gateways([
        documents.endpoint("chat", entity(up, **plain, openai_organization="org-1")),
        documents.endpoint("slash", entity(up, **plain, openai_api_base=f"{up.url}/v1/")),
        documents.endpoint("deep", entity(up, **plain, openai_api_base=f"{up.url}/a/b%20c/v1")),
        documents.endpoint("root", entity(up, **plain, openai_api_base=up.url)),
    ])
    for name, path in (("chat", "/v1"), ("slash", "/v1"), ("deep", "/a/b%20c/v1"), ("root", "")):
        up.clear()
        assert ask(gateway, name).status_code == 200
        request = up.requests[0]
        assert request.path == f"{path}/chat/completions" and request.headers["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"
        assert request.headers.get("openai-organization") == ("org-1" if name == "chat" else None)


CUSTOM = [("/x", documents.CHAT, "/x/chat/completions"), ("/v1/chat/completions", documents.CHAT, "/v1/chat/completions"),
          ("", documents.EMBEDDINGS, "/embeddings"), ("/odd/", documents.COMPLETIONS, "/odd/completions"),
          ("/y/embeddings", documents.EMBEDDINGS, "/y/embeddings")]


def test_custom_provider(gateways, up):
    bearer = {"bearer_token_auth": {"token_plaintext": documents.UPSTREAM_KEY}}
    header = {"api_key_auth": {"key": "X-My-Key", "value_plaintext": documents.UPSTREAM_KEY}}
    endpoints = [documents.endpoint(f"c{i}", documents.custom("a", up.url + url, "their-model", task, **(header if i % 2 else bearer)))
                 for i, (url, task, _) in enumerate(CUSTOM)]
    gateway = gateways(endpoints)
    bodies = {documents.CHAT: documents.chat_body(), documents.COMPLETIONS: {"prompt": "x"}, documents.EMBEDDINGS: {"input": "x"}}
    for i, (_, task, wanted) in enumerate(CUSTOM):
        up.clear()
        with gateway.client() as client:
            client.post(f"/serving-endpoints/c{i}/invocations", json=bodies[task])
        request = up.requests[0]
        assert request.path == wanted and request.json() == {**bodies[task], "model": "their-model"}
        if i % 2:
            assert request.headers["x-my-key"] == documents.UPSTREAM_KEY and "authorization" not in request.headers
        else:
            assert request.headers["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"


def test_databricks_model_name_is_escaped_in_the_path(gateways, up):
    gateway = gateways([documents.endpoint("chat", documents.databricks("a", up.url + "/", "a b/../c?d#e%41"))])
    assert ask(gateway).status_code == 200
    assert up.requests[0].path == "/serving-endpoints/a%20b%2F..%2Fc%3Fd%23e%2541/invocations"


def test_secrets_from_environment_and_file(gateways, up):
    gateway = gateways([documents.endpoint("from-env", entity(up, openai_api_key="{{env/MY_KEY}}")),
                        documents.endpoint("from-file", entity(up, openai_api_key="{{file/keys/openai}}"))],
                       env={"MY_KEY": "sk-from-env"}, start=False)
    (gateway.config / "keys").mkdir()
    (gateway.config / "keys/openai").write_text("sk-from-file\n")
    gateway.start().wait_ready()
    for name, key in (("from-env", "sk-from-env"), ("from-file", "sk-from-file")):
        up.clear()
        assert ask(gateway, name).status_code == 200
        assert up.requests[0].headers["authorization"] == f"Bearer {key}", "a newline at the end is stripped"
    gateway.stop()
    assert "sk-from" not in gateway.log()


@pytest.mark.parametrize("door", shapes.DOORS)
def test_missing_secret_is_400_at_the_query_and_the_rest_works(gateways, up, door):
    names = ("{{env/NOT_THERE}}", "{{file/not/there}}", "{{secrets/prod/none}}")
    endpoints = [documents.endpoint(f"s{i}", entity(up, openai_api_key=name)) for i, name in enumerate(names)]
    gateway = gateways([*endpoints, documents.endpoint("chat", documents.openai("a", f"{up.url}/v1"))])
    for i, name in enumerate(names):
        message = shapes.assert_error(ask(gateway, f"s{i}", door), door, 400, "gateway")
        assert name in message
    assert not up.requests
    assert ask(gateway, "chat", door).status_code == 200


@pytest.mark.parametrize("value", ["sk-a\nx-injected: 1", "sk-a\rb", "sk-\x00"])
def test_secret_that_would_split_a_header_is_400(gateways, up, value):
    gateway = gateways([documents.endpoint("chat", entity(up, openai_api_key="{{file/key}}"))], start=False)
    (gateway.config / "key").write_text(value)
    gateway.start().wait_ready()
    message = shapes.assert_error(ask(gateway), shapes.V1, 400, "gateway")
    assert "sk-" not in message and not up.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0",
                                  socket.gethostname()])
def test_private_upstreams_are_refused_unless_allowed(gateways, up, host):
    """Loopback in all its spellings, and a name that resolves to a private address; plain http is refused as well."""
    before = len(up.connections)
    for scheme in ("http", "https"):
        document = documents.endpoint("chat", documents.openai("a", f"{scheme}://{host}:{up.port}/v1"))
        gateway = gateways([document], settings={"upstreams": {"allow_private": False}}, start=False).start()
        try:
            gateway.wait_ready(5)
        except RuntimeError:
            assert "allow_private" in gateway.log(), "refused at the start, which is as good"
            continue
        shapes.assert_error(ask(gateway), shapes.V1, {400, 502})
    assert len(up.connections) == before


def test_name_that_does_not_resolve(gateways):
    gateway = gateways([documents.endpoint("chat", documents.openai("a", "http://no-such-host.invalid/v1"))])
    shapes.assert_error(ask(gateway), shapes.V1, 502)


def test_failing_entity_of_a_split_does_not_touch_the_other(gateways, up):
    broken = Upstream(always(lambda request: answer({"error": {"message": "no"}}, "500 No")))
    split = {"a": 50, "b": 50}
    gateway = gateways([documents.endpoint("chat", documents.openai("a", f"{up.url}/v1"), documents.openai("b", f"{broken.url}/v1"), split=split)])
    seen = {(answered.headers["served-model-name"], answered.status_code) for answered in (ask(gateway) for _ in range(40))}
    assert seen == {("a", 200), ("b", 502)}
    assert len(up.requests) + len(broken.requests) == 40, "no retry unless the policy asks for it"


def test_address_that_comes_up_later(gateways):
    first = Upstream(hello)
    first.close()
    gateway = gateways([documents.endpoint("chat", documents.openai("a", f"{first.url}/v1"))])
    assert ask(gateway).status_code == 502
    again = socket.create_server(("127.0.0.1", first.port))

    def serve():
        connection, _ = again.accept()
        connection.recv(65536)
        connection.sendall(answer(completion()))

    threading.Thread(target=serve, daemon=True).start()
    eventually(lambda: ask(gateway).status_code == 200, 5)
