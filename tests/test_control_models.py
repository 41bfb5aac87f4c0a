"""Models of the catalog: provisioned throughput in both forms (contract §7), custom models, the old form of served models."""
import pytest

from support import models
from support.control import ENDPOINTS, unique

pytestmark = pytest.mark.timeout(60)
PT = models.provisioned(models.MISTRAL, "2", name="pt")


def body(entity):
    return {"name": unique("model"), "config": {"served_entities": [entity]}}


def refuse(api, document, *named):
    message = api.refused("POST", ENDPOINTS, document)
    for part in named:
        assert part in message, (part, message)


WRONG_THROUGHPUT = {
    "not a multiple": {"max_provisioned_throughput": 971}, "minimum not a multiple": {"min_provisioned_throughput": 1},
    "nothing": {"min_provisioned_throughput": 0, "max_provisioned_throughput": 0}, "upside down": {"min_provisioned_throughput": 2910},
    "negative": {"min_provisioned_throughput": -970}, "text": {"max_provisioned_throughput": "many"},
    "fraction": {"max_provisioned_throughput": 970.5},
    "no minimum": {"min_provisioned_throughput": None}, "no maximum": {"max_provisioned_throughput": None},
    "unknown model": {"entity_name": "system.ai.nothing"}, "unknown version": {"entity_version": "9"}, "bool": {"entity_version": True},
}


@pytest.mark.parametrize("case", WRONG_THROUGHPUT)
def test_wrong_throughput(api, case):
    with api.unchanged():
        refuse(api, body({**PT, **WRONG_THROUGHPUT[case]}), "served_entities[0]")


def test_model_that_cannot_be_provisioned(api):
    """No chunk size: it is pay-per-token, and 400 with a throughput."""
    refuse(api, body({"entity_name": models.PLAIN, "entity_version": "1", "min_provisioned_throughput": 0, "max_provisioned_throughput": 10}))
    assert api.ok("GET", f"{ENDPOINTS}/get-model-optimization-info/{models.PLAIN}/1") == {"optimizable": False}


def test_optimisation_info(api, alice):
    info = f"{ENDPOINTS}/get-model-optimization-info"
    assert alice.ok("GET", f"{info}/{models.MISTRAL}/2") == {"optimizable": True, "model_type": "mistral", "throughput_chunk_size": 970}
    assert api.ok("GET", f"{info}/{models.SCORER}/7") == {"optimizable": False}
    for unknown in ("no.such.model/1", f"{models.MISTRAL}/9"):
        api.refused("GET", f"{info}/{unknown}", status=404, code="RESOURCE_DOES_NOT_EXIST")


def test_custom_models(api):
    with api.unchanged():
        refuse(api, body(models.custom(min_provisioned_concurrency=1, max_provisioned_concurrency=4)), "workload_size")
        refuse(api, body(models.custom(workload_type="TPU")), "workload_type")
        refuse(api, body(models.custom()) | {"rate_limits": [{"calls": 1, "renewal_period": "minute"}]}, "rate_limits")
    with api.created(body(models.custom(environment_vars={"A": "plain"}))) as made:
        found = api.settled(made["name"])
        served = (found.get("config") or found["pending_config"])["served_entities"][0]
        assert served["name"] == "scorer-7" and served["environment_vars"] == {"A": "plain"} and found["endpoint_type"] == "CUSTOM"


def test_old_form(api):
    old = {"name": "m", "model_name": models.MISTRAL, "model_version": 2, "scale_to_zero_enabled": True, "min_provisioned_throughput": 970,
           "max_provisioned_throughput": 970}
    for missing in ("model_name", "model_version", "scale_to_zero_enabled"):
        message = api.refused("POST", ENDPOINTS, {"name": unique("old"), "config": {"served_models": [{**old, missing: None}]}})
        assert missing in message
    both = {"served_models": [old], "served_entities": [PT]}
    assert "served_models" in api.refused("POST", ENDPOINTS, {"name": unique("old"), "config": both})
    with api.created({"name": unique("old"), "config": {"served_models": [old]}}) as made:
        found = api.settled(made["name"])
        assert found["config"]["served_models"][0]["model_version"] == "2"
        assert found["config"]["served_entities"][0]["entity_name"] == models.MISTRAL


def units(model=models.MISTRAL, version="2", count=50, **more):
    return {"entity_name": model, "entity_version": version, "provisioned_model_units": count, **more}


def test_model_units(api):
    """The other form: its updates are instantaneous, and what some SDK versions add is ignored."""
    name = unique("units")
    made = api.ok("POST", f"{ENDPOINTS}/pt", {
        "name": name, "config": {"served_entities": [units(burst_scaling_enabled=False, name="m")]}, "tags": [{"key": "k", "value": "v"}],
        "budget_policy_id": "b", "email_notifications": {"on_update_success": ["a@b"]}, "ai_gateway": {"usage_tracking_config": {"enabled": True}},
        "pt_term": "P1M", "pt_auto_renew": True, "relocate_pt_commitment": {}, "pt_commitment_auto_renew": False})
    assert made["tags"] == [{"key": "k", "value": "v"}] and made["budget_policy_id"] == "b"
    assert made["email_notifications"] == {"on_update_success": ["a@b"]} and made["ai_gateway"]["usage_tracking_config"] == {"enabled": True}
    assert api.settled(name)["config"]["served_entities"][0]["provisioned_model_units"] == 50
    updated = api.ok("PUT", f"{ENDPOINTS}/pt/{name}/config", {"config": {"served_entities": [units(count=100, name="m")]}})
    assert updated["state"]["config_update"] == "NOT_UPDATING" and updated["config"]["config_version"] == 2
    served, = updated["config"]["served_entities"]
    assert served["provisioned_model_units"] == 100 and "burst_scaling_enabled" not in served and updated["name"] == name
    for wrong in ({"config": {"served_entities": []}}, {"config": {"served_entities": [units(count=None)]}}, {}, {"config": []},
                  {"config": {"served_entities": [units(count="many")]}}, {"config": {"served_entities": [units(version="9")]}}):
        with api.unchanged():
            api.refused("PUT", f"{ENDPOINTS}/pt/{name}/config", wrong)
    assert api.delete(name) == {}
    api.refused("PUT", f"{ENDPOINTS}/pt/{name}/config", {"config": {"served_entities": [units()]}}, 404, "RESOURCE_DOES_NOT_EXIST")


WRONG_UNITS = {"no units": {"provisioned_model_units": None}, "negative": {"provisioned_model_units": -1}, "text": {"provisioned_model_units": "x"},
               "no model": {"entity_name": None}, "unknown model": {"entity_name": "system.ai.nothing"}, "unknown version": {"entity_version": "9"}}


@pytest.mark.parametrize("case", WRONG_UNITS)
def test_wrong_units(api, case):
    with api.unchanged():
        api.refused("POST", f"{ENDPOINTS}/pt", {"name": unique("units"), "config": {"served_entities": [{**units(), **WRONG_UNITS[case]}]}})


def test_an_endpoint_for_units_needs_a_config(api):
    for document in ({"name": unique("units")}, {"name": unique("units"), "config": {}}, {"config": {"served_entities": [units()]}}):
        api.refused("POST", f"{ENDPOINTS}/pt", document)


def test_custom_models_have_no_legacy_limits(api):
    with api.created(body(models.custom())) as made:
        api.settled(made["name"])
        with api.unchanged():
            limits = {"rate_limits": [{"calls": 1, "renewal_period": "minute"}]}
            assert "rate_limits" in api.refused("PUT", f"{ENDPOINTS}/{made['name']}/rate-limits", limits)
