"""A bad body of any kind gets the right 4xx with a message and changes nothing: every route that changes something, by property."""
import json
import string

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from support import documents, shapes
from support.control import ENDPOINTS, unique

pytestmark = pytest.mark.timeout(120)
EXAMPLES = settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def target(api, speaker):
    """An endpoint, a scope with a secret, a token: what a bad body could harm."""
    made = api.create(documents.endpoint(unique("target"), documents.openai("a", f"{speaker.url}/v1")))
    api.put_secret("target", "key", "value")
    token = api.ok("POST", "/token/create", {"comment": "target"})
    yield {"name": made["name"], "id": made["id"], "token_id": token["token_info"]["token_id"]}
    api.delete(made["name"])


CHAT = {"served_entities": [documents.openai("a", "http://127.0.0.1:9/v1")]}
PT = {"entity_name": "system.ai.mistral_7b_instruct_v0_1", "entity_version": "2", "provisioned_model_units": 1}
# Each route that changes something, with a body that would be accepted but for the harm done to it.
ROUTES = {
    "create": ("POST", ENDPOINTS, {"name": "harmed", "config": CHAT, "tags": [{"key": "k", "value": "v"}],
                                   "rate_limits": [{"calls": 1, "renewal_period": "minute", "key": "user"}]}),
    "config": ("PUT", f"{ENDPOINTS}/NAME/config",
               {**CHAT, "traffic_config": {"routes": [{"served_model_name": "a", "traffic_percentage": 100}]}}),
    "tags": ("PATCH", f"{ENDPOINTS}/NAME/tags", {"add_tags": [{"key": "k", "value": "v"}], "delete_tags": ["x"]}),
    "rate limits": ("PUT", f"{ENDPOINTS}/NAME/rate-limits", {"rate_limits": [{"calls": 1, "renewal_period": "minute"}]}),
    "ai gateway": ("PUT", f"{ENDPOINTS}/NAME/ai-gateway", {"rate_limits": [{"calls": 1, "renewal_period": "minute"}],
                                                           "fallback_config": {"enabled": True}}),
    "notifications": ("PATCH", f"{ENDPOINTS}/NAME/notifications", {"email_notifications": {"on_update_success": ["a@b"]}}),
    "pt": ("POST", f"{ENDPOINTS}/pt", {"name": "harmed", "config": {"served_entities": [PT]}}),
    "permissions": ("PUT", "/permissions/serving-endpoints/ID",
                    {"access_control_list": [{"user_name": "alice", "permission_level": "CAN_VIEW"}]}),
    "more permissions": ("PATCH", "/permissions/serving-endpoints/ID",
                         {"access_control_list": [{"group_name": "g", "permission_level": "CAN_QUERY"}]}),
    "scope": ("POST", "/secrets/scopes/create", {"scope": "harmed"}),
    "delete scope": ("POST", "/secrets/scopes/delete", {"scope": "target"}),
    "secret": ("POST", "/secrets/put", {"scope": "target", "key": "harmed", "string_value": "v"}),
    "delete secret": ("POST", "/secrets/delete", {"scope": "target", "key": "key"}),
    "acl": ("POST", "/secrets/acls/put", {"scope": "target", "principal": "alice", "permission": "READ"}),
    "delete acl": ("POST", "/secrets/acls/delete", {"scope": "target", "principal": "admin"}),
    "token": ("POST", "/token/create", {"comment": "c", "lifetime_seconds": 60}),
    "delete token": ("POST", "/token/delete", {"token_id": "TOKEN"}),
    "obo token": ("POST", "/token-management/on-behalf-of/tokens", {"application_id": "harmed", "comment": "c"}),
}
# Keys whose value is free text or is read loosely, so that another value there is no harm.
LOOSE = {"comment", "value", "traffic_percentage", "entity_version", "description"}


def filled(value, target):
    text = json.dumps(value).replace("NAME", target["name"]).replace('/ID', f"/{target['id']}").replace('"TOKEN"', f'"{target["token_id"]}"')
    return json.loads(text)


def places(value, path=()):
    """The paths of all values in a body."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, by):
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def at(value, path):
    for key in path:
        value = value[key]
    return value


SCALARS = st.none() | st.booleans() | st.integers(-2**70, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
                    max_leaves=6)


def kind(value):
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


@st.composite
def wrong_types(draw, body):
    """The body with a value of another type at a random place (never `null`, which means absent)."""
    path = draw(st.sampled_from([p for p in places(body) if p and p[-1] not in LOOSE]))
    other = draw(JSON.filter(lambda v: v is not None and kind(v) != kind(at(body, path)) and v != {} and v != []))
    return json.dumps(replaced(body, path, other)).encode()


@st.composite
def numbers(draw, body):
    """Impossible numbers, and numbers as text, where numbers are wanted; text where none fits otherwise."""
    path = draw(st.sampled_from([p for p in places(body) if p and p[-1] not in LOOSE and not isinstance(at(body, p), dict | list)]))
    wrong = st.sampled_from(["-1", "1e400", "123456789012345678901234567890", "0.5", '"1x"', "-0.0001"])
    text = json.dumps(replaced(body, path, "\0"))
    return text.replace('"\\u0000"', draw(wrong if kind(at(body, path)) == "number" else wrong.filter(lambda w: w[0] != '"'))).encode()


@st.composite
def twice(draw, body):
    """A key that comes twice in some object."""
    path = draw(st.sampled_from([p for p in places(body) if isinstance(at(body, p), dict) and at(body, p)]))
    inner = at(body, path)
    key = draw(st.sampled_from(sorted(inner)))
    doubled = json.dumps(inner)[:-1] + f", {json.dumps(key)}: {json.dumps(inner[key])}}}"
    return json.dumps(replaced(body, path, "\0")).replace('"\\u0000"', doubled, 1).encode() if path else doubled.encode()


@st.composite
def cut(draw, body):
    text = json.dumps(body).encode()
    return text[:draw(st.integers(1, len(text) - 1))]


@st.composite
def not_utf8(draw, body):
    text = json.dumps(body).encode()
    strings = [i for i, c in enumerate(text[:-1]) if chr(c) in string.ascii_letters]
    where = draw(st.sampled_from(strings))
    return text[:where] + draw(st.sampled_from([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf"])) + text[where + 1:]


@st.composite
def deep(draw, body):
    depth = draw(st.sampled_from([200, 2_000, 100_000]))
    shape = draw(st.sampled_from([b"[", b'{"a":']))
    close = b"]" if shape == b"[" else b"}"
    key = draw(st.sampled_from(sorted(body))).encode()
    return b'{"%s": %s1%s}' % (key, shape * depth, close * depth)


HARM = {"wrong types": wrong_types, "numbers": numbers, "twice": twice, "cut": cut, "not utf-8": not_utf8, "deep": deep}
NO_OBJECT = st.one_of(JSON.filter(lambda v: not isinstance(v, dict)).map(lambda v: json.dumps(v).encode()),
                      st.binary(min_size=1, max_size=60).filter(lambda b: b.strip() and b.strip()[:1] != b"{"))


def is_refused(api, method, path, body, codes=("BAD_REQUEST", "INVALID_PARAMETER_VALUE")):
    answer = api.call(method, path, body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, (answer.status_code, answer.text[:300], body[:300])
    message = shapes.assert_error(answer, shapes.DATABRICKS, 400)
    assert len(message) > 10 and answer.json()["error_code"] in codes, (answer.text[:300], body[:300])
    assert len(answer.content) < 20_000, "a refusal is no copy of the body"


@pytest.mark.parametrize("route", ROUTES)
def test_harmed_bodies(api, target, route):
    method, path, body = ROUTES[route]
    path, body = filled(path, target), filled(body, target)
    with api.unchanged():
        for make in HARM.values():
            @seed(7)
            @EXAMPLES
            @given(make(body))
            def harmed(text):
                is_refused(api, method, path, text)
            harmed()

        @seed(7)
        @EXAMPLES
        @given(NO_OBJECT)
        def no_object(text):
            is_refused(api, method, path, text, ["BAD_REQUEST"])
        no_object()
    assert api.ask(target["name"]).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_twenty_megabytes(api, target, route):
    method, path, body = ROUTES[route]
    body = json.dumps(filled(body, target))[:-1] + ', "more": "' + "x" * (20 << 20) + '"}'
    with api.unchanged():
        api.refused(method, filled(path, target), body.encode(), 413, "BAD_REQUEST")


def test_many_small_things(api, target):
    """Bodies inside the size limit that are costly to look at."""
    path = f"{ENDPOINTS}/{target['name']}"
    with api.unchanged():
        for body in ({"add_tags": [{"key": f"k{i}"} for i in range(50_000)]}, {"delete_tags": [5] * 300_000},
                     {f"unknown{i}": i for i in range(50_000)} | {"add_tags": 5},
                     {"add_tags": [{"key": "x" * 3_000_000}]}):
            message = api.refused("PATCH", f"{path}/tags", body)
            assert len(message) < 20_000
        entities = [documents.openai(f"e{i}", "http://127.0.0.1:9/v1") for i in range(5_000)]
        api.refused("PUT", f"{path}/config", {"served_entities": entities})
