"""Updates that take time: models of the catalog on the real engine, which come up, fail, are cancelled, survive a restart."""
import threading
import time

import pytest
from databricks.sdk.errors import OperationFailed
from databricks.sdk.service import serving as s

from support import clients, documents, engine, models, places
from support.control import ENDPOINTS, Api
from support.gateway import eventually

pytestmark = pytest.mark.timeout(120)
SMALL, BROKEN = models.SMOL, "system.ai.broken"


class Deployments(Api):
    """A gateway whose engines wait, before they load their model, while the file `brake` is there."""

    def __init__(self, gateway, brake):
        super().__init__(gateway)
        self.brake = brake


@pytest.fixture
def api(gateways, folders, speaker):
    folder = folders()
    brake, wrapper, broken = folder / "brake", folder / "weirgate-inference", folder / "broken.gguf"
    wrapper.write_text(f'#!/bin/sh\nwhile [ -e "{brake}" ]; do sleep 0.05; done\nexec "{places.engine_binary()}" "$@"\n')
    wrapper.chmod(0o755)
    broken.write_bytes(b"GGUF" + bytes(4096))
    catalog = [*models.catalog(speaker.url), {"name": BROKEN, "version": "1", "task": documents.CHAT, "source": str(broken)}]
    gateway = gateways(catalog=catalog, settings={"engine": {"command": str(wrapper), "deploy_timeout": "60s"}})
    return Deployments(gateway, brake)


def entity(model, version="1", name="m", **more):
    return {"name": name, "entity_name": model, "entity_version": version, **more}


def state(endpoint):
    return endpoint["state"]["ready"], endpoint["state"]["config_update"]


def only(config):
    found, = config["served_entities"]
    return found


def ask(api, name):
    answer = api.ask(name, max_tokens=3)
    return answer.status_code


def test_a_model_comes_up(api):
    api.brake.touch()
    made = api.create({"name": "pt", "config": {"served_entities": [models.provisioned(SMALL, 1, (1, 2), "m")]}})
    assert state(made) == ("NOT_READY", "IN_PROGRESS") and "config" not in made
    assert made["pending_config"]["start_time"] >= made["creation_timestamp"] and made["pending_config"]["config_version"] == 1
    pending = only(made["pending_config"])
    assert pending["state"]["deployment"] == "DEPLOYMENT_CREATING" and pending["max_provisioned_throughput"] == 200
    listed, = api.ok("GET", ENDPOINTS)["endpoints"]
    assert state(listed) == state(made) and "pending_config" not in listed
    answer = api.ask("pt")
    assert answer.status_code == 400 and answer.json()["error_code"] == "BAD_REQUEST", "503 makes clients retry for minutes"
    api.refused("PUT", f"{ENDPOINTS}/pt/config", {"served_entities": [entity(SMALL)]}, 409, "RESOURCE_CONFLICT")
    api.brake.unlink()
    ready = api.settled("pt")
    assert state(ready) == ("READY", "NOT_UPDATING") and "pending_config" not in ready and ready["config"]["config_version"] == 1
    assert only(ready["config"])["state"]["deployment"] == "DEPLOYMENT_READY" and ready["id"] == made["id"]
    assert ask(api, "pt") == 200
    assert api.ok("GET", f"{ENDPOINTS}/pt/served-models/m/logs")["logs"], "the engine's own log"
    assert api.delete("pt") == {} and api.names() == []
    eventually(lambda: not engine.children(api.gateway.process.pid))


def test_sdk_waits(api, home):
    with clients.environment(api.gateway, documents.ADMIN, home):
        w = clients.workspace(api.gateway)
        seen = []
        config = s.EndpointCoreConfigInput(name="pt", served_entities=[s.ServedEntityInput(
            name="m", entity_name=SMALL, entity_version="1", min_provisioned_throughput=0, max_provisioned_throughput=100)])
        waiting = w.serving_endpoints.create("pt", config=config)
        made = waiting.result(timeout=clients.SHORT, callback=lambda endpoint: seen.append(endpoint.state.config_update.value))
        assert made.state.ready == s.EndpointStateReady.READY and seen and set(seen) <= {"IN_PROGRESS", "NOT_UPDATING"}
        served = s.ServedEntityInput(name="b", entity_name=BROKEN, entity_version="1")
        with pytest.raises(OperationFailed, match="UPDATE_FAILED"):
            w.serving_endpoints.update_config_and_wait("pt", served_entities=[served], timeout=clients.SHORT)


def test_the_old_config_serves_while_an_update_fails(api):
    api.create({"name": "pt", "config": {"served_entities": [entity(SMALL)]}})
    assert state(api.settled("pt")) == ("READY", "NOT_UPDATING")
    answers, stop = [], threading.Event()

    def load():
        mine = Api(api.gateway)
        while not stop.is_set():
            answers.append(ask(mine, "pt"))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        two = {"served_entities": [entity(BROKEN, name="b"), entity(models.MISTRAL, "2", "other")],
               "traffic_config": {"routes": [{"served_model_name": "b", "traffic_percentage": 100}]}}
        updating = api.put_config("pt", two)
        assert state(updating) == ("READY", "IN_PROGRESS") and only(updating["config"])["entity_name"] == SMALL
        assert [e["name"] for e in updating["pending_config"]["served_entities"]] == ["b", "other"]
        failed = api.settled("pt", 60)
    finally:
        stop.set()
        thread.join(30)
    assert state(failed) == ("READY", "UPDATE_FAILED") and only(failed["config"])["entity_name"] == SMALL
    assert failed["config"]["config_version"] == 1 and "pending_config" not in failed
    assert answers and set(answers) == {200}, "the old config serves all the time"
    told = failed.get("failed_config", {}).get("served_entities", [])
    assert [e["state"]["deployment"] for e in told] == ["DEPLOYMENT_FAILED", "DEPLOYMENT_ABORTED"]
    assert told[0]["state"]["deployment_state_message"]
    again = api.put_config("pt", {"served_entities": [entity(models.MISTRAL, "2")]})
    assert again["state"]["config_update"] in ("IN_PROGRESS", "NOT_UPDATING"), "the next update is allowed"
    assert state(api.settled("pt")) == ("READY", "NOT_UPDATING") and api.get("pt")["config"]["config_version"] == 2
    assert "failed_config" not in api.get("pt")


def test_a_failed_create(api):
    api.create({"name": "never", "config": {"served_entities": [entity(BROKEN)]}})
    failed = api.settled("never", 60)
    assert state(failed) == ("NOT_READY", "UPDATE_FAILED")
    told = only(failed["config"])["state"]
    assert told["deployment"] == "DEPLOYMENT_FAILED" and "GGUF" in told["deployment_state_message"], "clients have no other place to read why"
    assert ask(api, "never") == 400
    api.put_config("never", {"served_entities": [entity(SMALL)]})
    ready = api.settled("never")
    assert state(ready) == ("READY", "NOT_UPDATING") and ready["config"]["config_version"] == 1 and ask(api, "never") == 200


def test_cancel(api):
    api.refused("POST", f"{ENDPOINTS}/none/config/cancel", None, 404, "RESOURCE_DOES_NOT_EXIST")
    api.create({"name": "pt", "config": {"served_entities": [entity(models.MISTRAL, "2")]}})
    api.settled("pt")
    assert api.call("POST", f"{ENDPOINTS}/pt/config/cancel").status_code in (400, 409), "nothing to cancel"
    api.brake.touch()
    assert state(api.put_config("pt", {"served_entities": [entity(SMALL)]})) == ("READY", "IN_PROGRESS")
    cancelled = api.ok("POST", f"{ENDPOINTS}/pt/config/cancel", {})
    assert state(cancelled) == ("READY", "UPDATE_CANCELED") and only(cancelled["config"])["entity_name"] == models.MISTRAL
    assert "pending_config" not in cancelled and cancelled["config"]["config_version"] == 1 and ask(api, "pt") == 200
    api.brake.unlink()
    time.sleep(1)
    assert state(api.get("pt")) == ("READY", "UPDATE_CANCELED"), "a cancelled update does not come back"
    api.put_config("pt", {"served_entities": [entity(models.MIXTRAL, "3")]})
    assert state(api.settled("pt")) == ("READY", "NOT_UPDATING")


def test_other_writes_while_it_is_in_progress(api):
    api.brake.touch()
    api.create({"name": "pt", "config": {"served_entities": [entity(SMALL)]}})
    assert api.ok("PATCH", f"{ENDPOINTS}/pt/tags", {"add_tags": [{"key": "k"}]})["tags"]
    assert api.ok("PUT", f"{ENDPOINTS}/pt/ai-gateway", {"usage_tracking_config": {"enabled": True}})
    assert state(api.get("pt")) == ("NOT_READY", "IN_PROGRESS")
    api.brake.unlink()
    ready = api.settled("pt")
    assert state(ready) == ("READY", "NOT_UPDATING") and ready["tags"][0]["key"] == "k"
    api.brake.touch()
    api.create({"name": "gone", "config": {"served_entities": [entity(models.MINILM)]}})
    assert api.delete("gone") == {}, "DELETE at any time"
    api.create({"name": "gone"})
    assert state(api.get("gone")) == ("NOT_READY", "NOT_UPDATING"), "the name is free again, without its pending config"


def test_a_restart_goes_on_with_it(api):
    api.brake.touch()
    made = api.create({"name": "pt", "config": {"served_entities": [entity(SMALL)]}})
    api.gateway.process.kill()
    api.gateway.process.wait()
    api.gateway.start()
    eventually(lambda: api.call("GET", f"{ENDPOINTS}/pt").status_code == 200, 20)
    found = api.get("pt")
    assert found["id"] == made["id"] and state(found) == ("NOT_READY", "IN_PROGRESS")
    assert only(found["pending_config"])["entity_name"] == SMALL
    api.brake.unlink()
    assert state(api.settled("pt")) == ("READY", "NOT_UPDATING") and ask(api, "pt") == 200


def test_it_takes_too_long(gateways, folders, speaker):
    folder = folders()
    wrapper = folder / "weirgate-inference"
    wrapper.write_text("#!/bin/sh\nsleep 600\n")
    wrapper.chmod(0o755)
    api = Api(gateways(catalog=models.catalog(speaker.url), settings={"engine": {"command": str(wrapper), "deploy_timeout": "2s"}}))
    api.create({"name": "slow", "config": {"served_entities": [entity(SMALL)]}})
    started = time.monotonic()
    failed = api.settled("slow")
    assert state(failed) == ("NOT_READY", "UPDATE_FAILED") and time.monotonic() - started < 10
    assert "2s" in str(failed) or "time" in str(failed).lower()


def test_what_is_ready_is_applied_at_once(api):
    """All models of the new config are up already: no waiting."""
    api.create({"name": "one", "config": {"served_entities": [entity(SMALL)]}})
    api.settled("one")
    made = api.create({"name": "two", "config": {"served_entities": [entity(SMALL)]}})
    assert state(made) == ("READY", "NOT_UPDATING") and ask(api, "two") == 200
    assert len(engine.children(api.gateway.process.pid)) == 1


def test_files_are_applied_at_once(api):
    """A file says what is served, whatever it names; the engine is started behind it."""
    api.gateway.reload(lambda: api.gateway.put(documents.endpoint("file", entity(SMALL))))
    found = api.get("file")
    assert found["config"]["config_version"] == 1 and found["state"]["config_update"] == "NOT_UPDATING"
    eventually(lambda: state(api.get("file"))[0] == "READY", 30, 0.1)
    assert ask(api, "file") == 200
