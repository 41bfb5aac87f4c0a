"""The unmodified MLflow deployments client, through the Databricks SDK (its default) and by plain HTTP."""
import socket

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import HTTPError

from support import clients, documents
from support.control import unique
from support.upstream import Upstream, always, answer

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=[True, False], ids=["sdk", "http"])
def mlflow(request, managed, home):
    with clients.environment(managed, documents.ADMIN, home, db_sdk=request.param), clients.quiet():
        client = clients.mlflow_client()
        client.through_sdk = request.param
        yield client


def entity(speaker, name="a", model="gpt-4o", **more):
    return documents.openai(name, f"{speaker.url}/v1", model, **more)


@pytest.fixture
def name(mlflow, speaker):
    """An endpoint made in the new call style."""
    name = unique("mlflow")
    mlflow.create_endpoint(config={"name": name, "config": {"served_entities": [entity(speaker)]}})
    yield name
    mlflow.delete_endpoint(endpoint=name)


def test_old_call_style(mlflow, speaker):
    name = unique("old")
    limits = [{"key": "endpoint", "renewal_period": "minute", "calls": 100}]
    made = mlflow.create_endpoint(name=name, config={
        "served_entities": [entity(speaker)], "tags": [{"key": "team", "value": "x"}], "rate_limits": limits})
    assert made.name == name and made.tags == [{"key": "team", "value": "x"}] and made.rate_limits == limits
    assert made.creator and made.creation_timestamp and made.state == {"ready": "READY", "config_update": "NOT_UPDATING"}
    assert made.config["served_entities"][0]["external_model"]["name"] == "gpt-4o" and len(made.id) == 32
    assert mlflow.delete_endpoint(endpoint=name) == {}


def test_new_call_style(mlflow, speaker):
    name = unique("new")
    made = mlflow.create_endpoint(config={"name": name, "route_optimized": True, "description": "d",
                                          "config": {"served_entities": [entity(speaker)]}}, route_optimized=True)
    assert made.name == name and made.route_optimized is True and made.description == "d"
    assert mlflow.delete_endpoint(endpoint=name) == {}


def test_get_and_list(mlflow, name):
    found = mlflow.get_endpoint(endpoint=name)
    assert found.name == name and found.permission_level == "CAN_MANAGE" and found.endpoint_type == "EXTERNAL_MODEL"
    listed, = [endpoint for endpoint in mlflow.list_endpoints() if endpoint["name"] == name]
    assert listed["id"] == found.id and listed["state"] == found.state


def test_update_endpoint(mlflow, name, speaker):
    """The old update: one call for config and limits, which the client sends to two routes by the dict's keys."""
    limits = [{"key": "user", "renewal_period": "minute", "calls": 100}]
    assert mlflow.update_endpoint(endpoint=name, config={"rate_limits": limits}) == {"rate_limits": limits}
    both = {"served_entities": [entity(speaker, "b", "gpt-4")], "rate_limits": [], "name": "chats"}
    updated = mlflow.update_endpoint(endpoint=name, config=both)
    assert updated.name == name and updated.config["config_version"] == 2
    assert mlflow.get_endpoint(endpoint=name).rate_limits == limits, "limits beside entities are ignored"


def test_specific_updates(mlflow, name, speaker):
    updated = mlflow.update_endpoint_config(endpoint=name, config={
        "served_entities": [entity(speaker), entity(speaker, "b", "gpt-4")],
        "traffic_config": {"routes": [{"served_model_name": "a", "traffic_percentage": 1},
                                      {"served_model_name": "b", "traffic_percentage": 99}]}})
    assert updated.config["config_version"] == 2
    tags = mlflow.update_endpoint_tags(endpoint=name, config={"add_tags": [{"key": "project", "value": "test"}]})
    assert tags == {"tags": [{"key": "project", "value": "test"}]}
    limits = {"rate_limits": [{"calls": 10, "key": "endpoint", "renewal_period": "minute"}]}
    assert mlflow.update_endpoint_rate_limits(endpoint=name, config=limits) == limits
    gateway = {"usage_tracking_config": {"enabled": True},
               "inference_table_config": {"enabled": True, "catalog_name": "c", "schema_name": "s"}}
    assert mlflow.update_endpoint_ai_gateway(endpoint=name, config=gateway) == {
        "usage_tracking_config": {"enabled": True},
        "inference_table_config": {"catalog_name": "c", "schema_name": "s", "table_name_prefix": name, "enabled": True}}
    assert mlflow.update_endpoint_ai_gateway(endpoint=name, config={}) == {}


def test_predict(mlflow, name):
    answered = mlflow.predict(endpoint=name, inputs=documents.chat_body(max_tokens=10))
    assert answered.choices[0]["message"]["content"] == "from gpt-4o" and answered.usage["total_tokens"] == 9


def test_predict_stream(mlflow, name):
    chunks = list(mlflow.predict_stream(endpoint=name, inputs=documents.chat_body()))
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "from gpt-4o"
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)


def status_of(error):
    """The status that the client reports, in either mode."""
    return error.response.status_code if isinstance(error, HTTPError) else error.get_http_status_code()


def test_errors(mlflow, api, name, speaker):
    good = {"served_entities": [entity(speaker)]}
    api.create({"name": (bare := unique("bare"))})
    cases = [
        (404, "RESOURCE_DOES_NOT_EXIST", lambda: mlflow.get_endpoint(endpoint="no-such-endpoint")),
        (404, "RESOURCE_DOES_NOT_EXIST", lambda: mlflow.predict(endpoint="no-such-endpoint", inputs=documents.chat_body())),
        (400, "INVALID_PARAMETER_VALUE", lambda: mlflow.create_endpoint(name="no spaces", config=good)),
        # Through the SDK MLflow derives 400 from the code; by plain HTTP it keeps the gateway's 409.
        (400 if mlflow.through_sdk else 409, "RESOURCE_ALREADY_EXISTS", lambda: mlflow.create_endpoint(name=name, config=good)),
        (400, "INVALID_PARAMETER_VALUE", lambda: mlflow.update_endpoint(endpoint=name, config={"served_entities": []})),
        (400, "BAD_REQUEST", lambda: mlflow.predict(endpoint=bare, inputs=documents.chat_body())),
        (400, "", lambda: mlflow.predict(endpoint=name, inputs={"dataframe_records": []})),
    ]
    for status, code, call in cases:
        with pytest.raises((MlflowException, HTTPError)) as raised:
            call()
        assert status_of(raised.value) == status and code in str(raised.value) + getattr(raised.value, "error_code", ""), raised.value
    mlflow.delete_endpoint(endpoint=bare)


@pytest.mark.parametrize("db_sdk", [True, False], ids=["sdk", "http"])
def test_wrong_token_and_missing_right(managed, home, api, speaker, db_sdk):
    with api.created(documents.endpoint(unique("mlflow"), entity(speaker))) as made:
        for token, status in (("nobody's", 401), (documents.BOB, 403)):
            with clients.environment(managed, token, home, db_sdk=db_sdk), clients.quiet():
                with pytest.raises((MlflowException, HTTPError)) as raised:
                    clients.mlflow_client().get_endpoint(endpoint=made["name"])
                assert status_of(raised.value) == status


def test_a_429_is_asked_again_and_a_504_is_not(gateways, home):
    """Retry semantics, contract §1.3: whole seconds of Retry-After, which the client waits for."""
    limited = iter([answer({"error": {"message": "slow down"}}, "429 Too Many", "Retry-After: 1")])
    recovers = Upstream(always(lambda request: next(limited, None) or answer({"choices": []})))
    stuck = Upstream(lambda connection: connection.until_closed(5))
    gateway = gateways([documents.endpoint("recovers", entity(recovers)), documents.endpoint("stuck", entity(stuck))],
                       settings={"upstreams": {"allow_private": True, "first_byte": "500ms"}})
    with clients.environment(gateway, documents.ADMIN, home), clients.quiet():
        client = clients.mlflow_client()
        assert client.predict(endpoint="recovers", inputs=documents.chat_body())["choices"] == []
        assert len(recovers.requests) == 2
        with pytest.raises((MlflowException, HTTPError)) as raised:
            client.predict(endpoint="stuck", inputs=documents.chat_body())
        assert status_of(raised.value) == 504 and len(stuck.connections) == 1


def test_trailing_slashes_reach_the_same_handler(api, alice, speaker):
    with api.created(documents.endpoint(unique("slash"), entity(speaker))) as made:
        for path in ("", f"/{made['name']}"):
            with_slash, without = (api.call("GET", f"/serving-endpoints{path}{slash}") for slash in ("/", ""))
            assert with_slash.status_code == without.status_code == 200 and with_slash.json() == without.json()
        name = unique("slash")
        assert api.ok("POST", "/serving-endpoints/", documents.endpoint(name, entity(speaker)))["name"] == name
        assert api.ok("PATCH", f"/serving-endpoints/{name}/tags/", {"add_tags": [{"key": "k"}]})["tags"][0]["key"] == "k"
        assert api.ok("DELETE", f"/serving-endpoints/{name}/", {"any": "body"}) == {}
        assert api.call("GET", f"/serving-endpoints/{made['name']}//").status_code == 404


def test_no_other_host_is_asked(managed, mlflow, name, monkeypatch):
    """The discovery document sends no client elsewhere: every connection goes to the gateway."""
    connect, asked = socket.socket.connect, []

    def noting(self, address):
        asked.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noting)
    clients.mlflow_client().get_endpoint(endpoint=name)
    assert {address[:2] for address in asked if isinstance(address, tuple)} <= {("127.0.0.1", managed.port)}, asked
