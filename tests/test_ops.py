"""The operations listener: health, readiness, and metrics that tell the truth."""
import concurrent.futures
import signal
import time

import httpx
import pytest

from support import documents, shapes
from support.gateway import Gateway, eventually
from support.upstream import DONE, Upstream, always, answer, completion, delta
from support.wire import Raw, post

pytestmark = pytest.mark.timeout(45)


def stream(connection):
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}}
    if connection.request():
        connection.start_stream()
        time.sleep(0.3)
        connection.chunk(delta("a"))
        connection.chunk(delta("", usage=usage))
        connection.chunk(DONE)
        connection.send(b"0\r\n\r\n")


def stuck(connection):
    connection.request()
    connection.until_closed(10)


def stuck_stream(connection):
    connection.request()
    connection.start_stream()
    connection.chunk(delta("first"))
    connection.until_closed(10)


SCRIPTS = {"chat": always(lambda request: answer(completion())), "stream": stream, "stuck": stuck, "stuck-stream": stuck_stream,
           "failing": always(lambda request: answer({"error": {"message": "no", "type": "t", "code": None}}, "500 No"))}


@pytest.fixture(scope="module")
def gateway(folders):
    endpoints = [documents.endpoint(name, documents.openai(f"{name}-entity", f"{Upstream(script).url}/v1"))
                 for name, script in SCRIPTS.items()]
    with Gateway(folders(), endpoints) as gateway:
        yield gateway


def ask(gateway, name, **more):
    with gateway.client() as client:
        return client.post("/v1/chat/completions", json=documents.chat_body(name, **more))


def test_healthz(gateway):
    answer = httpx.get(f"{gateway.operations}/healthz")
    assert answer.status_code == 200


def test_readyz(gateway):
    status, body = gateway.readyz()
    assert status == 200 and body["status"] == "ready" and body["generation"] >= 1 and body["engines"] == []
    assert not body.get("config_error")


def test_metrics_content_type(gateway):
    assert ask(gateway, "chat").status_code == 200
    answer = httpx.get(f"{gateway.operations}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {name for name, _, _ in gateway.metrics()}
    assert all(name.startswith(("weirgate_", "process_")) for name in names), names
    described = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# HELP")}
    assert {"weirgate_requests_total", "weirgate_request_seconds", "weirgate_requests_in_flight"} <= described


def test_operations_are_private(gateway):
    """They are not on the public listener, and the public routes are not here."""
    with gateway.client() as client:
        for path in ("/metrics", "/readyz"):
            assert client.get(path).status_code == 404
    assert httpx.get(f"{gateway.operations}/v1/models").status_code == 404
    assert httpx.get(f"{gateway.operations}/nothing").status_code == 404


def test_counters_move(gateway):
    labels = {"endpoint": "chat", "entity": "chat-entity"}

    def counts():
        return [gateway.metric(name, **labels) or 0 for name in
                ("weirgate_requests_total", "weirgate_request_seconds_count", "weirgate_tokens_total")]

    before = counts()
    for _ in range(5):
        assert ask(gateway, "chat").status_code == 200
    eventually(lambda: [now - old for now, old in zip(counts(), before, strict=True)] == [5, 5, 45])
    assert gateway.metric("weirgate_requests_total", outcome="ok", **labels) >= 5


def test_failures_are_counted_by_reason(gateway):
    assert ask(gateway, "failing").status_code == 502
    eventually(lambda: gateway.metric("weirgate_requests_total", endpoint="failing", outcome="provider_failed") == 1)
    before = gateway.metric("weirgate_refusals_total", reason="endpoint_not_found") or 0
    assert ask(gateway, "nope").status_code == 404
    eventually(lambda: gateway.metric("weirgate_refusals_total", reason="endpoint_not_found") == before + 1)


def test_stream_counts_tokens_by_disjoint_class_and_the_first_token(gateway):
    assert ask(gateway, "stream", stream=True).status_code == 200

    def counted():
        found = {labels["class"]: value for name, labels, value in gateway.metrics()
                 if name == "weirgate_tokens_total" and labels["endpoint"] == "stream" and value}
        assert found == {"input": 4, "cache_read": 3, "output": 2}
        return True

    eventually(counted)
    first = gateway.metric("weirgate_time_to_first_token_seconds_sum", endpoint="stream")
    assert 0.25 < first < 5
    assert gateway.metric("weirgate_time_to_first_token_seconds_count", endpoint="stream") == 1


def test_labels_come_from_config_names_only(gateway):
    odd = 'made-up-model-7c1e"\n'
    with gateway.client() as client:
        client.post("/v1/chat/completions", json=documents.chat_body(odd))
        client.post("/serving-endpoints/made-up-7c1e/invocations", json=documents.chat_body())
        client.post("/serving-endpoints/chat/served-models/made-up-7c1e/invocations", json=documents.chat_body())
        client.get("/v1/models/made-up-7c1e")
        client.get("/made-up-7c1e")
        client.request("MADEUP7C1E", "/v1/models")
        client.post("/v1/chat/completions", json=documents.chat_body("chat", user="made-up-7c1e"), headers={"user-agent": "made-up-7c1e"})
    text = httpx.get(f"{gateway.operations}/metrics").text.lower()
    assert "7c1e" not in text
    assert {labels["endpoint"] for _, labels, _ in gateway.metrics() if "endpoint" in labels} <= set(SCRIPTS)
    for secret in (documents.ALICE, documents.UPSTREAM_KEY, "alice"):
        assert secret not in text


def in_flight(gateway, name):
    return gateway.metric("weirgate_requests_in_flight", endpoint=name) or 0


@pytest.mark.parametrize("name", ["stuck", "stuck-stream"])
def test_in_flight_goes_back_to_zero_when_clients_leave(gateway, name):
    clients = [Raw(gateway) for _ in range(10)]
    for raw in clients:
        raw.send(post("/v1/chat/completions", documents.chat_body(name, stream=name == "stuck-stream")))
    eventually(lambda: in_flight(gateway, name) == 10)
    for raw in clients:
        raw.sock.close()
    eventually(lambda: in_flight(gateway, name) == 0, 5)
    eventually(lambda: gateway.metric("weirgate_requests_total", endpoint=name, outcome="client_gone") == 10)


def test_in_flight_is_zero_after_a_crowd(gateway):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: ask(gateway, ("chat", "failing", "nope", "chat")[i % 4]), range(100)))
    eventually(lambda: sum(in_flight(gateway, name) for name in SCRIPTS) == 0)


def test_metrics_last_a_reload(gateway):
    assert ask(gateway, "chat").status_code == 200
    before = eventually(lambda: gateway.metric("weirgate_requests_total", endpoint="chat"))
    generation = gateway.metric("weirgate_config_generation")
    gateway.reload(lambda: gateway.put(documents.endpoint("chat", documents.openai("chat-entity", f"{Upstream(SCRIPTS['chat']).url}/v1"))))
    assert gateway.metric("weirgate_requests_total", endpoint="chat") == before
    assert gateway.metric("weirgate_config_generation") > generation
    assert gateway.metric("weirgate_config_broken") == 0


def test_sigterm_lets_a_request_finish(gateways):
    """A drain: the running stream ends well, and the gateway after it."""
    gateway = gateways([documents.endpoint("stream", documents.openai("a", f"{Upstream(stream).url}/v1"))],
                       settings={"shutdown": {"grace": "10s"}})
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=documents.chat_body("stream", stream=True)) as response:
            gateway.process.send_signal(signal.SIGTERM)
            assert response.read().endswith(DONE)
    assert gateway.process.wait(10) == 0


def test_log_has_no_line_per_request(gateway):
    size = len(gateway.log())
    for _ in range(50):
        ask(gateway, "chat")
        ask(gateway, "nope")
    assert len(gateway.log()) - size < 2000, gateway.log()[size:size + 1000]


@pytest.mark.parametrize("door", shapes.DOORS)
def test_error_answers_name_their_reason(gateway, door):
    with gateway.client() as client:
        reasons = [client.post(f"{door}/chat/completions", json=documents.chat_body(name)).headers["x-weirgate-reason"]
                   for name in ("nope", "failing")]
    assert reasons == ["endpoint_not_found", "provider_failed"]
