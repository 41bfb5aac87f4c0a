"""What careful clients never send to the control API, and what they would trip over in its answers."""
import json
import threading

import pytest

from support import documents, shapes
from support.control import ENDPOINTS, Api, unique
from support.gateway import eventually
from support.upstream import Upstream, always, answer
from support.wire import Raw, chunked, post

pytestmark = pytest.mark.timeout(60)
# databricks-sdk asks again for minutes if an error's text holds one of these, contract §1.2.
PHRASES = ["Unexpected error", "Please try again later or try a faster operation.", "RPC token bucket limit has been exceeded",
           "Unknown worker environment", "There is no worker environment with id", "does not have any associated worker environments",
           "ClusterNotReadyException"]


@pytest.mark.parametrize("phrase", PHRASES)
def test_texts_that_make_clients_retry(api, speaker, phrase):
    """Not even inside what a caller or a provider said."""
    parroting = Upstream(always(lambda request: answer({"error": {"message": f"{phrase}: sorry"}}, "400 No")))
    entity = documents.openai("a", f"{parroting.url}/v1")
    document = documents.endpoint(unique("parrot"), entity)
    with api.created(document) as made:
        answers = [
            api.call("POST", ENDPOINTS, {"name": phrase}), api.call("GET", f"{ENDPOINTS}/{phrase}"), api.call("GET", f"/{phrase}"),
            api.call("POST", ENDPOINTS, {"name": "x", "tags": [{"key": phrase}, {"key": phrase}], phrase: 1, "config": {phrase: {}}}),
            api.call("POST", ENDPOINTS, f'{{"name": "{phrase}", "name": 1}}'.encode()),
            api.call("PUT", f"{ENDPOINTS}/{made['name']}/config", {"served_entities": [{**entity, "name": phrase}]}),
            api.call("PUT", f"{ENDPOINTS}/{made['name']}/config", {"traffic_config": {"routes": [
                {"served_model_name": phrase, "traffic_percentage": 100}]}}),
            api.call("PUT", f"{ENDPOINTS}/{made['name']}/ai-gateway", {"guardrails": {"input": {"pii": {"behavior": phrase}}}}),
            api.call("GET", f"{ENDPOINTS}/{made['name']}/served-models/{phrase}/logs"),
            api.call("GET", f"{ENDPOINTS}/get-model-optimization-info/{phrase}/1"),
            api.call("GET", "/secrets/list", params={"scope": phrase}), api.call("POST", "/secrets/scopes/create", {"scope": phrase}),
            api.call("POST", "/token/delete", {"token_id": phrase}), api.call("GET", f"/permissions/serving-endpoints/{phrase}"),
            api.ask(phrase), api.ask(made["name"]), api.ask(made["name"], f"/serving-endpoints/{made['name']}/served-models/{phrase}/invocations"),
            api.ask(None, "/serving-endpoints/chat/completions", model=phrase),
        ]
        for found in answers:
            if found.status_code == 200:  # one of them is a good name
                assert phrase == "ClusterNotReadyException", (found.request.url, found.text)
                continue
            message = shapes.assert_error(found, shapes.DATABRICKS, found.status_code)
            assert phrase not in message and phrase not in found.text, (found.request.method, str(found.request.url), message)
    api.call("POST", "/secrets/scopes/delete", {"scope": phrase})
    api.call("DELETE", f"{ENDPOINTS}/{phrase}")


STRANGE = ["%00", "%ff", "%C3%28", "a%2Fb", "%2e%2e", "..", "%", "%zz", "a%20b", "a%0Ab", "x" * 5000, "%E2%80%AE", "a;b", "a?b"]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_paths(api, name):
    for path in (f"{ENDPOINTS}/{name}", f"{ENDPOINTS}/{name}/metrics", f"{ENDPOINTS}/x/served-models/{name}/logs",
                 f"{ENDPOINTS}/get-model-optimization-info/{name}/1", f"/permissions/serving-endpoints/{name}"):
        found = api.call("GET", path)
        assert found.status_code in (400, 404, 414, 431), (path[:80], found.status_code, found.text[:300])
        assert found.json()["error_code"] in ("RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND", "BAD_REQUEST", "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("query", ["scope=%ff", "scope=", "scope", "scope=a&scope=b", "scope=%00", "scope=" + "x" * 5000, "%zz=1", "&&&",
                                   "scope=a;b"])
def test_strange_queries(api, query):
    found = api.call("GET", f"/secrets/list?{query}")
    assert found.status_code in (400, 404), (query[:50], found.text[:300])
    shapes.assert_error(found, shapes.DATABRICKS, found.status_code)


def test_a_body_where_none_belongs(api):
    for body in (b"nonsense", b"{}", b"[1, 2"):
        for path in (ENDPOINTS, "/token/list", "/secrets/scopes/list"):
            assert api.call("GET", path, body).status_code in (200, 400), path
    name = unique("body")
    api.create({"name": name})
    assert api.call("DELETE", f"{ENDPOINTS}/{name}", b"nonsense").status_code in (200, 400)
    api.call("DELETE", f"{ENDPOINTS}/{name}")


def test_head(api):
    found = api.call("HEAD", ENDPOINTS)
    assert found.status_code == 200 and not found.content


def test_compressed_bodies_are_refused_or_read(api):
    import gzip
    found = api.call("POST", ENDPOINTS, gzip.compress(b'{"name": "zipped"}'), headers={"content-encoding": "gzip"})
    assert found.status_code in (200, 415), found.text
    if found.status_code == 200:
        assert api.delete("zipped") == {}


def test_bodies_that_never_come(plain):
    """A silent or dripping body ends after `limits.body_timeout`; a hundred of them do not keep others out."""
    path = f"/api/2.0{ENDPOINTS}"
    waiting = [Raw(plain) for _ in range(100)]
    for raw in waiting:
        raw.send(post(path, {}, "content-length: 100", token=documents.ADMIN, length=False)[:-2])
    assert Api(plain).names() == ["chat"]
    for raw in waiting[:5]:
        status, _, body = raw.answer()
        assert status == 408 and shapes.assert_error_body(json.loads(body), shapes.DATABRICKS, 408)
    for raw in waiting:
        raw.sock.close()


def test_bodies_by_the_wire(plain):
    """Chunks, `Expect`, several requests on one connection, a client that leaves before its answer."""
    body = json.dumps({"name": "wired"}).encode()
    path = f"/api/2.0{ENDPOINTS}"
    with Raw(plain) as raw:
        raw.send(post(path, chunked(body), "transfer-encoding: chunked", token=documents.ADMIN, length=False))
        assert raw.answer()[0] == 200
        raw.send(f"DELETE {path}/wired HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {documents.ADMIN}\r\n\r\n".encode())
        status, headers, answered = raw.answer()
        assert status == 200 and answered == b"{}" and headers["content-type"].startswith("application/json")
        raw.send(post(path, body, "expect: 100-continue", token=documents.ADMIN))
        assert raw.answer()[0] == 200
    with Raw(plain) as raw:
        raw.send(f"DELETE {path}/wired HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {documents.ADMIN}\r\n\r\n".encode())
    eventually(lambda: Api(plain).names() == ["chat"], 5)


def test_nothing_breaks_in_a_storm(managed, api, speaker):
    """Eight callers create, change, query and delete the same two endpoints, scopes and permissions: never a 5xx, and all free at the end."""
    names, wrong = [unique("storm"), unique("storm")], []

    def storm(number):
        mine = Api(managed, (documents.ADMIN, documents.ALICE)[number % 2])
        for turn in range(12):
            name = names[(number + turn) % 2]
            document = documents.endpoint(name, documents.openai("a", f"{speaker.url}/v1", f"m{turn}"))
            found = [mine.call("POST", ENDPOINTS, document), mine.call("PUT", f"{ENDPOINTS}/{name}/config", document["config"]), mine.ask(name),
                     mine.call("PATCH", f"{ENDPOINTS}/{name}/tags", {"add_tags": [{"key": f"t{number}"}]}), mine.call("GET", f"{ENDPOINTS}/{name}"),
                     mine.call("GET", ENDPOINTS), mine.call("DELETE", f"{ENDPOINTS}/{name}"),
                     mine.call("POST", "/secrets/scopes/create", {"scope": name}), mine.call("POST", "/secrets/scopes/delete", {"scope": name})]
            wrong.extend((f.request.method, f.request.url.path, f.status_code, f.text[:200]) for f in found if f.status_code >= 500)

    threads = [threading.Thread(target=storm, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not wrong, wrong[:5]
    for name in names:
        api.call("DELETE", f"{ENDPOINTS}/{name}")
        api.call("POST", "/secrets/scopes/delete", {"scope": name})
    assert not set(names) & set(api.names())
