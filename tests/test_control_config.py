"""Splitting traffic, replacing the config, tags, notifications: contract §§4.3-4.5."""
import pytest

from support import documents
from support.control import ENDPOINTS, routes, unique

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def two(speaker):
    return [documents.openai("a", f"{speaker.url}/v1", "model-a"), documents.openai("b", f"{speaker.url}/v1", "model-b")]


@pytest.fixture
def split(api, two):
    """An endpoint with two entities, 60 to 40."""
    with api.created({"name": unique("split"), "config": {"served_entities": two, "traffic_config": routes(a=60, b=40)}}) as made:
        yield made["name"]


def shares(endpoint):
    return {r["served_model_name"]: r["traffic_percentage"] for r in endpoint["config"]["traffic_config"]["routes"]}


def route(share, name="a", **more):
    return {"served_model_name": name, "traffic_percentage": share, **more}


WRONG = {
    "under": routes(a=50, b=49), "over": routes(a=51, b=50), "nothing": routes(a=0, b=0), "no routes": {"routes": []}, "empty": {},
    "stranger": routes(a=50, c=50), "twice": {"routes": [route(50), route(50)]}, "above": routes(a=101, b=-1),
    "fraction": routes(a=50.5, b=49.5),
    "bool": routes(a=True, b=99), "word": routes(a="most", b=1), "spaces": routes(a=" 50", b=50), "fraction as text": routes(a="50.0", b=50),
    "sign": routes(a="+50", b=50), "empty text": routes(a="", b=100), "list": {"routes": [[]]},
    "no share": {"routes": [{"served_model_name": "a"}]},
    "no name": {"routes": [{"traffic_percentage": 100}]}, "two names": {"routes": [route(50, served_entity_name="b"), route(50, "b")]},
    "huge": routes(a=10**30, b=0), "huge as text": routes(a="9" * 30, b=0), "null share": {"routes": [route(None), route(100, "b")]},
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_split(api, two, split, case):
    config = {"served_entities": two, "traffic_config": WRONG[case]}
    message = api.refused("POST", ENDPOINTS, {"name": unique("split"), "config": config})
    assert "traffic_config" in message
    with api.unchanged():
        api.refused("PUT", f"{ENDPOINTS}/{split}/config", config)
        api.refused("PUT", f"{ENDPOINTS}/{split}/config", {"traffic_config": WRONG[case]})


RIGHT = [routes(a="90", b="10"), routes(a=90, b="10"), routes(a=100), routes(b=100), routes(a=100, b=0),
         {"routes": [{"served_entity_name": "a", "traffic_percentage": 90}, route(10, "b", served_entity_name="b")]}]


@pytest.mark.parametrize("given", RIGHT, ids=str)
def test_right_split(api, split, given):
    updated = api.put_config(split, {"traffic_config": given})
    wanted = {r.get("served_model_name") or r["served_entity_name"]: int(r["traffic_percentage"]) for r in given["routes"]}
    assert {k: v for k, v in shares(updated).items() if v} == {k: v for k, v in wanted.items() if v}
    for emitted in updated["config"]["traffic_config"]["routes"]:
        assert emitted["served_model_name"] == emitted["served_entity_name"] and type(emitted["traffic_percentage"]) is int
    assert len(updated["config"]["served_entities"]) == 2


def test_an_entity_without_a_route_is_reached_directly_only(api, split):
    api.put_config(split, {"traffic_config": routes(a=100)})
    assert {api.ask(split).headers["served-model-name"] for _ in range(20)} == {"a"}
    assert api.ask(split, f"/serving-endpoints/{split}/served-models/b/invocations").headers["served-model-name"] == "b"
    assert api.ask(split, f"/serving-endpoints/{split}/served-models/c/invocations").status_code == 404


def test_split_is_kept_while_the_names_are(api, two, split):
    assert shares(api.put_config(split, {"served_entities": two[::-1]})) == {"a": 60, "b": 40}
    with api.unchanged():
        message = api.refused("PUT", f"{ENDPOINTS}/{split}/config", {"served_entities": [two[0], {**two[1], "name": "c"}]})
        assert "traffic_config" in message
    assert shares(api.put_config(split, {"served_entities": [{**two[0], "name": "only"}]})) == {"only": 100}


def test_several_without_a_split(api, two):
    assert "traffic_config" in api.refused("POST", ENDPOINTS, {"name": unique("split"), "config": {"served_entities": two}})


def test_neither_entities_nor_split(api, split):
    with api.unchanged():
        for config in ({}, {"name": "x"}, {"served_entities": None, "traffic_config": None}, {"unknown": 1}):
            message = api.refused("PUT", f"{ENDPOINTS}/{split}/config", config)
            assert "served_entities" in message and "traffic_config" in message


def test_what_is_beside_the_config_is_ignored(api, two, split):
    updated = api.put_config(split, {"name": "other", "served_entities": two, "rate_limits": "nonsense", "tags": 5})
    assert updated["name"] == split and updated["rate_limits"] == [] and updated["tags"] == []


def test_versions_and_times_move(api, two, split):
    last = api.get(split)
    for version in (2, 3):
        two[0]["external_model"]["name"] = f"model-{version}"
        now = api.put_config(split, {"served_entities": two})
        assert now["config"]["config_version"] == version and now["last_updated_timestamp"] > last["last_updated_timestamp"]
        assert now["id"] == last["id"] and now["creation_timestamp"] == last["creation_timestamp"]
        last = now
    for method, path, body in [("PATCH", "/tags", {"add_tags": [{"key": "k"}]}), ("PUT", "/rate-limits", {"rate_limits": []}),
                               ("PUT", "/rate-limits", {"rate_limits": [{"calls": 9, "renewal_period": "minute"}]}),
                               ("PUT", "/ai-gateway", {"usage_tracking_config": {"enabled": True}}),
                               ("PATCH", "/notifications", {"email_notifications": {"on_update_success": ["a@b"]}})]:
        api.ok(method, f"{ENDPOINTS}/{split}{path}", body)
        now = api.get(split)
        moved = now["last_updated_timestamp"] - last["last_updated_timestamp"]
        assert now["config"]["config_version"] == 3 and (moved > 0 or body == {"rate_limits": []})
        last = now


def test_plaintext_is_not_carried_over(api, two, split):
    """An entity that keeps its name must bring its secret again, contract §4.4."""
    del two[0]["external_model"]["openai_config"]["openai_api_key_plaintext"]
    with api.unchanged():
        assert "openai_api_key" in api.refused("PUT", f"{ENDPOINTS}/{split}/config", {"served_entities": two})
    assert api.ask(split).status_code == 200


def test_an_accepted_change_is_served_at_once(api, two, split):
    """By every worker: each request comes on a connection of its own."""
    for number in range(10):
        two[0]["external_model"]["name"] = two[1]["external_model"]["name"] = f"model-{number}"
        api.put_config(split, {"served_entities": two})
        for _ in range(4):
            with api.gateway.client(documents.ADMIN) as fresh:
                answer = fresh.post(f"/serving-endpoints/{split}/invocations", json=documents.chat_body())
                assert answer.json()["choices"][0]["message"]["content"] == f"from model-{number}"


def test_unknown_endpoint(api):
    for method, path, body in [("GET", "", None), ("DELETE", "", None), ("PUT", "/config", {"served_entities": []}), ("PATCH", "/tags", {}),
                               ("PUT", "/rate-limits", {"rate_limits": []}), ("PUT", "/ai-gateway", {}), ("GET", "/metrics", None),
                               ("PATCH", "/notifications", {}), ("GET", "/openapi", None), ("GET", "/served-models/a/logs", None),
                               ("GET", "/served-models/a/build-logs", None), ("POST", "/config/cancel", {})]:
        api.refused(method, f"{ENDPOINTS}/no-such-endpoint{path}", body, 404, "RESOURCE_DOES_NOT_EXIST")


def tags(api, name, **change):
    return [(tag["key"], tag.get("value", "")) for tag in api.ok("PATCH", f"{ENDPOINTS}/{name}/tags", change)["tags"]]


def test_tags(api, split):
    assert tags(api, split, add_tags=[{"key": "z", "value": "1"}, {"key": "a"}]) == [("a", ""), ("z", "1")], "sorted by key"
    assert tags(api, split, add_tags=[{"key": "z", "value": "2"}]) == [("a", ""), ("z", "2")], "overwritten"
    assert tags(api, split, add_tags=[{"key": "m"}], delete_tags=["m", "a", "unknown"]) == [("z", "2")], "adds first, then deletes"
    assert tags(api, split) == [("z", "2")]
    assert api.get(split)["tags"] == [{"key": "z", "value": "2"}]
    with api.unchanged():
        for wrong in ({"add_tags": [{"key": "x" * 128}]}, {"add_tags": [{"value": "v"}]}, {"delete_tags": "z"}, {"add_tags": {"key": "k"}},
                      {"add_tags": [{"key": f"k{i}"} for i in range(20)]}, {"delete_tags": [1]},
                      {"add_tags": [{"key": "k", "value": "x" * 256}]}):
            assert "tags" in api.refused("PATCH", f"{ENDPOINTS}/{split}/tags", wrong)
    assert len(tags(api, split, add_tags=[{"key": f"k{i}"} for i in range(20)], delete_tags=["z"])) == 20


def test_notifications(api, split):
    path, mails = f"{ENDPOINTS}/{split}/notifications", {"on_update_success": ["a@example.com"], "on_update_failure": ["b@example.com"]}
    assert api.ok("PATCH", path, {"email_notifications": mails}) == {"name": split, "email_notifications": mails}
    assert api.get(split)["email_notifications"] == mails
    with api.unchanged():
        assert "on_update_success" in api.refused("PATCH", path, {"email_notifications": {"on_update_success": "a"}})


def test_managed_by_file(api, split, speaker):
    file = documents.endpoint(unique("file"), documents.openai("a", f"{speaker.url}/v1"), managed_by="file",
                              permissions=[{"user_name": "alice", "permission_level": "CAN_MANAGE"}])
    api.gateway.reload(lambda: api.gateway.put(file))
    name = file["name"]
    id = api.get(name)["id"]
    with api.unchanged():
        for method, path, body in [("DELETE", "", None), ("PUT", "/config", file["config"]), ("PATCH", "/tags", {"add_tags": [{"key": "k"}]}),
                                   ("PUT", "/rate-limits", {"rate_limits": []}), ("PUT", "/ai-gateway", {}),
                                   ("PATCH", "/notifications", {"email_notifications": {}})]:
            message = api.refused(method, f"{ENDPOINTS}/{name}{path}", body, 403, "PERMISSION_DENIED")
            assert "file" in message
        for method in ("PUT", "PATCH"):
            api.refused(method, f"/permissions/serving-endpoints/{id}", {"access_control_list": []}, 403, "PERMISSION_DENIED")
    assert api.ask(name).status_code == 200
    api.gateway.reload(lambda: api.gateway.remove(name))
