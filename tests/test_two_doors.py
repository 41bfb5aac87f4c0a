"""One state, two doors (product.md §1): what one door writes the other shows, and neither loses what the other wrote."""
import time

import pytest

from support import documents, editors
from support.control import ENDPOINTS, Api
from support.doors import SOON, chat, file_of, model_of, restarted
from support.gateway import eventually

pytestmark = pytest.mark.timeout(60)


def test_an_api_write_is_a_file_and_survives(doors, speaker):
    made = doors.create(chat("chat", speaker, tags=[{"key": "team", "value": "x"}], description="text"))
    text = file_of(doors, "chat").read_text()
    assert "name: chat" in text and "gpt-4o" in text and documents.UPSTREAM_KEY not in text
    file_of(doors, "chat").rename(doors.gateway.folder / "kept.yaml")
    eventually(lambda: "chat" not in doors.names(), SOON)
    (doors.gateway.folder / "kept.yaml").rename(file_of(doors, "chat"))
    back = eventually(lambda: doors.call("GET", f"{ENDPOINTS}/chat").status_code == 200 and doors.get("chat"), SOON)
    assert back["tags"] == made["tags"] and back["config"]["config_version"] == 1 and back["id"] == made["id"]
    assert doors.ask("chat").status_code == 200 and speaker.requests[-1].headers["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"
    assert doors.delete("chat") == {}
    assert doors.create(chat("chat", speaker))["id"] != made["id"], "what was deleted is gone for good"
    assert back["id"] == made["id"] and back["creator"] == made["creator"], "a file that was away is the same endpoint"
    assert doors.ask("chat").status_code == 200, "and its sealed key is still there"


def test_everything_survives_a_restart(doors, speaker):
    first = doors.create(chat("first", speaker))
    doors.put_config("first", chat("first", speaker, "gpt-4")["config"])
    doors.ok("PATCH", f"{ENDPOINTS}/first/tags", {"add_tags": [{"key": "k"}]})
    doors.gateway.reload(lambda: doors.gateway.put(chat("by-file", speaker)))
    ref = doors.put_secret("scope", "key", "sk-kept")
    doors.create(documents.endpoint("keyed", documents.openai("a", f"{speaker.url}/v1", key=ref)))
    token = doors.ok("POST", "/token/create", {})["token_value"]
    before = doors.everything()
    again = restarted(doors)
    after = again.everything()
    for part, was in before.items():
        assert after[part] == was, part
    assert after["endpoints"]["first"]["id"] == first["id"] and after["endpoints"]["first"]["config"]["config_version"] == 2
    assert Api(again.gateway, token).names() == again.names()
    for name, key in (("keyed", "sk-kept"), ("first", documents.UPSTREAM_KEY), ("by-file", documents.UPSTREAM_KEY)):
        assert again.ask(name).status_code == 200
        assert speaker.requests[-1].headers["authorization"] == f"Bearer {key}"


def test_a_file_edit_appears(doors, speaker):
    gateway = doors.gateway
    gateway.put(chat("edited", speaker))
    started = time.monotonic()
    first = eventually(lambda: "edited" in doors.names() and doors.get("edited"), 5)
    assert time.monotonic() - started < SOON and first["config"]["config_version"] == 1
    assert first["state"]["ready"] == "READY" and first["id"] and first["creator"]
    for version in (2, 3):
        gateway.put(chat("edited", speaker, f"model-{version}"))
        started = time.monotonic()
        found = eventually(lambda v=version: model_of(doors.get("edited")) == f"model-{v}" and doors.get("edited"), 5)
        assert time.monotonic() - started < SOON
        assert found["config"]["config_version"] == version and found["id"] == first["id"]
        assert found["last_updated_timestamp"] > first["last_updated_timestamp"]
    gateway.reload(lambda: gateway.put(chat("edited", speaker, "model-3", description="other")))
    assert doors.get("edited")["config"]["config_version"] == 3, "only what is under `config` makes a new version"
    gateway.reload(lambda: gateway.remove("edited"))
    doors.refused("GET", f"{ENDPOINTS}/edited", None, 404, "RESOURCE_DOES_NOT_EXIST")
    gateway.reload(lambda: gateway.put(chat("edited", speaker)))
    back = doors.get("edited")
    assert back["id"] == first["id"] and back["config"]["config_version"] == 4, "a file that was away for a while is the same endpoint"


def test_a_file_edit_of_an_api_endpoint(doors, speaker):
    """Hand edit over what the API wrote, then the API again: id stays, versions go on, nothing is lost."""
    made = doors.create(chat("shared", speaker))
    document = chat("shared", speaker, "by-hand", tags=[{"key": "by", "value": "hand"}])
    doors.gateway.reload(lambda: doors.gateway.put(document))
    found = doors.get("shared")
    assert (found["id"], found["config"]["config_version"], model_of(found)) == (made["id"], 2, "by-hand")
    doors.ok("PATCH", f"{ENDPOINTS}/shared/tags", {"add_tags": [{"key": "api"}]})
    found = doors.get("shared")
    assert model_of(found) == "by-hand" and [tag["key"] for tag in found["tags"]] == ["api", "by"]
    assert found["config"]["config_version"] == 2


@pytest.mark.parametrize("write", editors.ALL)
def test_ways_of_editors_keep_what_is_no_config(doors, speaker, write):
    """Removing a file to write it anew is no deletion of the endpoint: its id and the key that came as plaintext are still there."""
    made = doors.create(chat("vim", speaker))
    path = "endpoints/vim.yaml"
    for model in ("gpt-5", "gpt-6"):
        text = (doors.gateway.config / path).read_text()
        write(doors.gateway, path, text.replace(model_of(doors.get("vim")), model))
        found = eventually(lambda m=model: doors.call("GET", f"{ENDPOINTS}/vim").status_code == 200 and model_of(doors.get("vim")) == m
                           and doors.get("vim"), 5)
        assert found["id"] == made["id"] and found["creator"] == made["creator"]
        assert doors.ask("vim").status_code == 200 and speaker.requests[-1].headers["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"
    assert found["config"]["config_version"] == 3


def test_a_plaintext_of_a_file_is_kept_over_an_api_write(doors, speaker):
    """Tags of a file-made endpoint: the gateway rewrites the file and must not lose the credential in it."""
    doors.gateway.reload(lambda: doors.gateway.put(chat("file", speaker)))
    doors.ok("PATCH", f"{ENDPOINTS}/file/tags", {"add_tags": [{"key": "k"}]})
    assert doors.ask("file").status_code == 200
    assert speaker.requests[-1].headers["authorization"] == f"Bearer {documents.UPSTREAM_KEY}"


BROKEN = "name: broken\nconfig:\n  served_entities:\n    - name: a\n      external_modle: {}\n"


def test_a_broken_file_does_not_block_the_api(doors, speaker):
    gateway = doors.gateway
    doors.create(chat("healthy", speaker))
    gateway.write("endpoints/broken.yaml", BROKEN)
    error = eventually(lambda: gateway.readyz()[1].get("config_error"))
    assert gateway.readyz()[0] == 200 and "endpoints/broken.yaml:5:7" in str(error)
    status = doors.ok("GET", "/gateway/status")
    assert "endpoints/broken.yaml:5:7" in str(status) and status["generation"] == gateway.generation()
    assert doors.put_config("healthy", chat("healthy", speaker, "newer")["config"])["config"]["config_version"] == 2
    doors.create(chat("other", speaker))
    assert doors.delete("other") == {}
    assert model_of(doors.get("healthy")) == "newer" and doors.ask("healthy").status_code == 200
    assert gateway.readyz()[1].get("config_error"), "the error is still told"
    again = restarted(doors)
    assert again.names() == ["healthy"] and model_of(again.get("healthy")) == "newer"
    again.gateway.write("endpoints/broken.yaml", chat("broken", speaker))
    eventually(lambda: again.names() == ["broken", "healthy"])
    assert not again.gateway.readyz()[1].get("config_error")
    assert not again.ok("GET", "/gateway/status").get("config_error")


def test_a_broken_own_file(doors, speaker):
    """The API must not overwrite what somebody is mending."""
    doors.create(chat("own", speaker))
    doors.gateway.write("endpoints/own.yaml", BROKEN.replace("broken", "own"))
    eventually(lambda: doors.gateway.readyz()[1].get("config_error"))
    doors.refused("PATCH", f"{ENDPOINTS}/own/tags", {"add_tags": [{"key": "k"}]}, 409, "RESOURCE_CONFLICT")
    assert "external_modle" in file_of(doors, "own").read_text() and doors.ask("own").status_code == 200
