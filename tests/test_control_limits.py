"""Rate limits as they are set and read (contract §5), and the AI Gateway block (§9). Enforcement has its own suites."""
import pytest

from support import documents
from support.control import ENDPOINTS, unique

pytestmark = pytest.mark.timeout(60)
MINUTE = {"renewal_period": "minute"}


@pytest.fixture
def name(api, speaker):
    with api.created(documents.endpoint(unique("limits"), documents.openai("a", f"{speaker.url}/v1"))) as made:
        yield made["name"]


def legacy(api, name, *limits):
    return api.ok("PUT", f"{ENDPOINTS}/{name}/rate-limits", {"rate_limits": list(limits)})["rate_limits"]


def gateway(api, name, **parts):
    return api.ok("PUT", f"{ENDPOINTS}/{name}/ai-gateway", parts)


def test_legacy_list(api, name):
    user, endpoint = {"calls": 10, "key": "user", **MINUTE}, {"calls": 0, "key": "endpoint", **MINUTE}
    assert legacy(api, name, user, endpoint) == [user, endpoint] and api.get(name)["rate_limits"] == [user, endpoint]
    shown, = legacy(api, name, {"calls": 5, **MINUTE})
    assert shown["calls"] == 5 and shown.get("key", "endpoint") == "endpoint"
    assert legacy(api, name) == [] and api.get(name)["rate_limits"] == []


WRONG_LEGACY = {
    "no calls": [MINUTE], "negative": [{"calls": -1, **MINUTE}], "text": [{"calls": "10", **MINUTE}], "fraction": [{"calls": 1.5, **MINUTE}],
    "bool": [{"calls": True, **MINUTE}], "no period": [{"calls": 1}], "hour": [{"calls": 1, "renewal_period": "hour"}],
    "group": [{"calls": 1, "key": "user_group", **MINUTE}], "service principal": [{"calls": 1, "key": "service_principal", **MINUTE}],
    "case": [{"calls": 1, "key": "User", **MINUTE}], "twice": [{"calls": 1, "key": "user", **MINUTE}] * 2,
    "default twice": [{"calls": 1, **MINUTE}, {"calls": 1, "key": "endpoint", **MINUTE}], "no list": {"calls": 1}, "text in list": ["x"],
}


@pytest.mark.parametrize("case", WRONG_LEGACY)
def test_wrong_legacy_list(api, name, speaker, case):
    with api.unchanged():
        assert "rate_limits" in api.refused("PUT", f"{ENDPOINTS}/{name}/rate-limits", {"rate_limits": WRONG_LEGACY[case]})
        body = documents.endpoint(unique("limits"), documents.openai("a", f"{speaker.url}/v1"), rate_limits=WRONG_LEGACY[case])
        assert "rate_limits" in api.refused("POST", ENDPOINTS, body)


def entry(key=None, principal=None, **amounts):
    return {**amounts, **MINUTE} | ({"key": key} if key else {}) | ({"principal": principal} if principal is not None else {})


GOOD = [
    [entry(calls=1)], [entry(tokens=5)], [entry("user", calls=1, tokens=2)], [entry("user", "a@example.com", calls=1), entry("user", calls=9)],
    [entry("service_principal", "app-1", tokens=1)], [entry("user_group", f"g{i}", calls=1) for i in range(5)],
    [entry("user", f"u{i}", calls=0) for i in range(20)], [],
]


@pytest.mark.parametrize("limits", GOOD, ids=lambda limits: f"{len(limits)}-{limits[0] if limits else ''}"[:50])
def test_gateway_list(api, name, limits):
    shown = gateway(api, name, rate_limits=limits, usage_tracking_config={"enabled": True})
    assert api.get(name).get("ai_gateway") == shown
    assert len(shown.get("rate_limits", [])) == len(limits)
    for given, found in zip(limits, shown.get("rate_limits", []), strict=True):
        assert given.items() <= found.items() and found.get("key") == given.get("key", found.get("key"))
        assert found.get("key", "endpoint") == given.get("key", "endpoint")


WRONG_GATEWAY = {
    "neither": [entry("user")], "principal on endpoint": [entry("endpoint", "a", calls=1)], "principal by default": [entry(None, "a", calls=1)],
    "service principal without": [entry("service_principal", calls=1)], "group without": [entry("user_group", calls=1)],
    "six groups": [entry("user_group", f"g{i}", calls=1) for i in range(6)], "twenty-one": [entry("user", f"u{i}", calls=1) for i in range(21)],
    "negative": [entry(calls=-1)], "negative tokens": [entry(tokens=-5)], "text": [entry(tokens="9")],
    "hour": [{"calls": 1, "renewal_period": "hour"}],
    "no period": [{"calls": 1}], "key": [entry("team", calls=1)], "empty principal": [entry("user", "", calls=1)], "huge": [entry(calls=10**30)],
}


@pytest.mark.parametrize("case", WRONG_GATEWAY)
def test_wrong_gateway_list(api, name, case):
    with api.unchanged():
        assert "rate_limits" in api.refused("PUT", f"{ENDPOINTS}/{name}/ai-gateway", {"rate_limits": WRONG_GATEWAY[case]})


def test_whole_block_is_replaced(api, name):
    full = {"guardrails": {"input": {"pii": {"behavior": "BLOCK"}, "invalid_keywords": ["secret plan"]},
                           "output": {"pii": {"behavior": "MASK"}}},
            "inference_table_config": {"enabled": True, "catalog_name": "c", "schema_name": "s", "table_name_prefix": "t"},
            "rate_limits": [entry("user", calls=1)], "usage_tracking_config": {"enabled": True}, "fallback_config": {"enabled": True}}
    assert gateway(api, name, **full) == full
    listed, = [e for e in api.ok("GET", ENDPOINTS)["endpoints"] if e["name"] == name]
    assert api.get(name)["ai_gateway"] == listed["ai_gateway"] == full
    assert gateway(api, name, fallback_config={"enabled": False}) == {"fallback_config": {"enabled": False}}
    assert gateway(api, name) == {} and api.get(name).get("ai_gateway", {}) == {}
    assert api.get(name)["config"]["config_version"] == 1, "the block is no part of the config"


def test_block_on_create(api, speaker):
    block = {"usage_tracking_config": {"enabled": True}, "fallback_config": {"enabled": True}}
    with api.created(documents.endpoint(unique("limits"), documents.openai("a", f"{speaker.url}/v1"), ai_gateway=block)) as made:
        assert made["ai_gateway"] == block


TABLE = {"enabled": True, "catalog_name": "c", "schema_name": "s"}
WRONG_BLOCKS = {
    "table without names": {"inference_table_config": {"enabled": True}},
    "table without schema": {"inference_table_config": {**TABLE, "schema_name": None}},
    "fallback without enabled": {"fallback_config": {}}, "fallback text": {"fallback_config": {"enabled": "true"}},
    "behaviour": {"guardrails": {"input": {"pii": {"behavior": "HIDE"}}}}, "case": {"guardrails": {"input": {"pii": {"behavior": "mask"}}}},
    "safety": {"guardrails": {"input": {"safety": True}}}, "topics": {"guardrails": {"output": {"valid_topics": ["weather"]}}},
    "keywords": {"guardrails": {"input": {"invalid_keywords": "word"}}}, "list": {"guardrails": []},
    "usage": {"usage_tracking_config": {"enabled": 1}},
}


@pytest.mark.parametrize("case", WRONG_BLOCKS)
def test_wrong_block(api, name, speaker, case):
    part = next(iter(WRONG_BLOCKS[case]))
    with api.unchanged():
        assert part in api.refused("PUT", f"{ENDPOINTS}/{name}/ai-gateway", WRONG_BLOCKS[case])
        body = documents.endpoint(unique("limits"), documents.openai("a", f"{speaker.url}/v1"), ai_gateway=WRONG_BLOCKS[case])
        assert part in api.refused("POST", ENDPOINTS, body)


def test_safety_switched_off_is_no_safety(api, name):
    assert gateway(api, name, guardrails={"input": {"safety": False,
                                                    "invalid_keywords": ["x"]}})["guardrails"]["input"]["invalid_keywords"] == ["x"]


def test_names_of_a_table_change_only_while_it_is_disabled(api, name):
    path = f"{ENDPOINTS}/{name}/ai-gateway"
    assert gateway(api, name, inference_table_config=TABLE)["inference_table_config"]["table_name_prefix"] == name
    with api.unchanged():
        for change in ({"catalog_name": "other"}, {"schema_name": "other"}, {"table_name_prefix": "other"}):
            assert "inference_table_config" in api.refused("PUT", path, {"inference_table_config": {**TABLE, **change}})
    assert gateway(api, name, inference_table_config=TABLE, usage_tracking_config={"enabled": True})
    assert gateway(api, name, inference_table_config={**TABLE, "enabled": False})
    assert gateway(api, name, inference_table_config={**TABLE, "catalog_name": "other"})["inference_table_config"]["catalog_name"] == "other"
