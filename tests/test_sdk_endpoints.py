"""The unmodified databricks-sdk manages endpoints."""
import json

import pytest
from databricks.sdk import errors
from databricks.sdk.service import serving as s

from support import clients, documents, models
from support.control import Api, unique

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def w(managed, home):
    with clients.environment(managed, documents.ADMIN, home):
        yield clients.workspace(managed)


def entity(speaker, name="a", model="gpt-4o", task=documents.CHAT):
    config = s.OpenAiConfig(openai_api_key_plaintext=documents.UPSTREAM_KEY, openai_api_base=f"{speaker.url}/v1")
    external = s.ExternalModel(provider=s.ExternalModelProvider.OPENAI, name=model, task=task, openai_config=config)
    return s.ServedEntityInput(name=name, external_model=external)


def core(name, *entities, **split):
    routes = [s.Route(served_model_name=entity, traffic_percentage=share) for entity, share in split.items()]
    return s.EndpointCoreConfigInput(name=name, served_entities=list(entities), traffic_config=s.TrafficConfig(routes) if split else None)


@pytest.fixture
def chat(w, speaker):
    """An endpoint made with the SDK; gives what create_and_wait gave."""
    name = unique("sdk")
    yield w.serving_endpoints.create_and_wait(name, config=core(name, entity(speaker)), timeout=clients.SHORT)
    w.serving_endpoints.delete(name)


def test_create_and_wait(w, speaker):
    name = unique("sdk")
    seen = []
    made = w.serving_endpoints.create(
        name, config=core(name, entity(speaker, "a"), entity(speaker, "b", "gpt-4"), a=60, b=40), description="for people",
        tags=[s.EndpointTag("team", "gen-ai"), s.EndpointTag("bare")], route_optimized=True, budget_policy_id="budget-1",
        email_notifications=s.EmailNotifications(on_update_failure=["a@example.com"]),
        rate_limits=[s.RateLimit(calls=5, renewal_period=s.RateLimitRenewalPeriod.MINUTE)],
    ).result(timeout=clients.SHORT, callback=seen.append)
    assert made.name == name and made.description == "for people" and made.budget_policy_id == "budget-1"
    assert made.state == s.EndpointState(config_update=s.EndpointStateConfigUpdate.NOT_UPDATING, ready=s.EndpointStateReady.READY)
    assert {tag.key: tag.value for tag in made.tags}.get("team") == "gen-ai" and {tag.key for tag in made.tags} == {"team", "bare"}
    assert made.route_optimized is True and made.endpoint_url.endswith(f"/serving-endpoints/{name}/invocations")
    assert made.data_plane_info is None
    assert made.email_notifications.on_update_failure == ["a@example.com"] and made.task == documents.CHAT
    assert made.permission_level == s.ServingEndpointDetailedPermissionLevel.CAN_MANAGE
    assert made.config.config_version == 1 and made.pending_config is None
    assert [(r.served_model_name, r.traffic_percentage) for r in made.config.traffic_config.routes] == [("a", 60), ("b", 40)]
    for served in made.config.served_entities:
        assert served.state.deployment == s.ServedModelStateDeployment.DEPLOYMENT_READY and served.creator == made.creator
        assert served.creation_timestamp >= made.creation_timestamp
        assert served.external_model.openai_config.openai_api_key_plaintext is None
        assert served.external_model.openai_config.openai_api_key is None
    assert w.serving_endpoints.get(name).as_dict() == made.as_dict()
    w.serving_endpoints.delete(name)
    with pytest.raises(errors.ResourceDoesNotExist):
        w.serving_endpoints.get(name)


def test_list(w, chat, bob):
    found, = [endpoint for endpoint in w.serving_endpoints.list() if endpoint.name == chat.name]
    assert found.id == chat.id and found.state == chat.state and found.creator == chat.creator and found.task == documents.CHAT
    served, = found.config.served_entities
    assert served.name == "a" and served.external_model.name == "gpt-4o"
    assert chat.name not in bob.names(), "no CAN_VIEW, not in the list"


def test_update_config_and_wait(w, chat, speaker):
    updated = w.serving_endpoints.update_config_and_wait(chat.name, served_entities=[entity(speaker, "b", "gpt-4")], timeout=clients.SHORT)
    assert updated.config.config_version == 2 and [e.name for e in updated.config.served_entities] == ["b"]
    assert updated.last_updated_timestamp > chat.last_updated_timestamp and updated.creation_timestamp == chat.creation_timestamp
    assert updated.id == chat.id
    both = [entity(speaker, "a"), entity(speaker, "b", "gpt-4")]
    routes = s.TrafficConfig([s.Route(served_entity_name="a", traffic_percentage=30), s.Route(served_model_name="b", traffic_percentage=70)])
    updated = w.serving_endpoints.update_config_and_wait(chat.name, served_entities=both, traffic_config=routes, timeout=clients.SHORT)
    assert [(r.served_entity_name, r.traffic_percentage) for r in updated.config.traffic_config.routes] == [("a", 30), ("b", 70)]
    swapped = s.TrafficConfig([s.Route(served_model_name="b", traffic_percentage=100)])
    updated = w.serving_endpoints.update_config_and_wait(chat.name, traffic_config=swapped, timeout=clients.SHORT)
    assert updated.config.config_version == 4 and len(updated.config.served_entities) == 2
    answer = w.serving_endpoints.query(chat.name, messages=[s.ChatMessage("hello", s.ChatMessageRole.USER)])
    assert answer.served_model_name == "b" and answer.choices[0].message.content == "from gpt-4"


def test_tags(w, chat):
    def tags(**change):
        return {tag.key: tag.value for tag in w.serving_endpoints.patch(chat.name, **change).tags or []}

    assert tags(add_tags=[s.EndpointTag("b", "1"), s.EndpointTag("a", "2")]) == {"a": "2", "b": "1"}
    assert tags(add_tags=[s.EndpointTag("a", "3"), s.EndpointTag("c", "4")], delete_tags=["c", "b", "unknown"]) == {"a": "3"}
    assert [tag.as_dict() for tag in w.serving_endpoints.get(chat.name).tags] == [{"key": "a", "value": "3"}]
    assert tags(delete_tags=["a"]) == {}


def test_rate_limits(w, chat):
    limit = s.RateLimit(calls=10, renewal_period=s.RateLimitRenewalPeriod.MINUTE, key=s.RateLimitKey.USER)
    assert w.serving_endpoints.put(chat.name, rate_limits=[limit]).rate_limits == [limit]
    assert w.serving_endpoints.put(chat.name, rate_limits=[]).rate_limits in ([], None)
    assert w.serving_endpoints.get(chat.name).config.config_version == 1


def test_notifications(w, chat):
    mails = s.EmailNotifications(on_update_success=["a@example.com"], on_update_failure=["b@example.com"])
    answer = w.serving_endpoints.update_notifications(chat.name, email_notifications=mails)
    assert answer.name == chat.name and answer.email_notifications == mails
    assert w.serving_endpoints.get(chat.name).email_notifications == mails


def test_ai_gateway(w, chat):
    answer = w.serving_endpoints.put_ai_gateway(chat.name, usage_tracking_config=s.AiGatewayUsageTrackingConfig(enabled=True),
                                                fallback_config=s.FallbackConfig(enabled=True))
    assert answer.usage_tracking_config.enabled and answer.fallback_config.enabled
    answer = w.serving_endpoints.put_ai_gateway(chat.name, fallback_config=s.FallbackConfig(enabled=False))
    assert answer.as_dict() == {"fallback_config": {"enabled": False}}, "the whole block is replaced"
    listed, = [e for e in w.serving_endpoints.list() if e.name == chat.name]
    assert listed.ai_gateway.as_dict() == {"fallback_config": {"enabled": False}}
    assert w.serving_endpoints.put_ai_gateway(chat.name).as_dict() == {}
    assert w.serving_endpoints.get(chat.name).ai_gateway in (None, s.AiGatewayConfig())


def test_query_by_every_task(w, chat, speaker):
    answer = w.serving_endpoints.query(chat.name, messages=[s.ChatMessage("hello", s.ChatMessageRole.USER)], max_tokens=5, temperature=0.5,
                                       extra_params={"top_k": "3"}, client_request_id="mine")
    assert answer.served_model_name == "a" and answer.choices[0].message.content == "from gpt-4o" and answer.usage.total_tokens == 9
    for task, query, check in [
            (documents.COMPLETIONS, {"prompt": "Say"}, lambda a: a.choices[0].text == "from m"),
            (documents.EMBEDDINGS, {"input": "x"}, lambda a: a.data[0].embedding == [0.5, -0.5])]:
        name = unique("sdk")
        w.serving_endpoints.create_and_wait(name, config=core(name, entity(speaker, "e", "m", task)), timeout=clients.SHORT)
        assert check(w.serving_endpoints.query(name, **query))
        w.serving_endpoints.delete(name)


def test_observation(w, chat):
    w.serving_endpoints.query(chat.name, messages=[s.ChatMessage("hello", s.ChatMessageRole.USER)])
    text = w.serving_endpoints.export_metrics(chat.name).contents.read().decode()
    assert f'endpoint="{chat.name}"' in text and "# TYPE" in text
    document = json.loads(w.serving_endpoints.get_open_api(chat.name).contents.read())
    assert document["openapi"].startswith("3.1") and any(path.endswith(f"/{chat.name}/invocations") for path in document["paths"])
    assert isinstance(w.serving_endpoints.logs(chat.name, "a").logs, str)
    assert w.serving_endpoints.build_logs(chat.name, "a").logs in ("", None)
    for read in (w.serving_endpoints.logs, w.serving_endpoints.build_logs):
        with pytest.raises(errors.ResourceDoesNotExist):
            read(chat.name, "no-such-entity")


def test_model_units(w, managed):
    """Updates of this form are instantaneous."""
    name = unique("units")
    model = s.PtServedModel(models.MISTRAL, 50, entity_version="2", name="m", burst_scaling_enabled=True)
    config = s.PtEndpointCoreConfig(served_entities=[model])
    made = w.serving_endpoints.create_provisioned_throughput_endpoint_and_wait(name, config, timeout=clients.SHORT)
    served, = made.config.served_entities
    assert served.entity_name == models.MISTRAL and served.provisioned_model_units == 50 and served.burst_scaling_enabled is None
    model.provisioned_model_units = 100
    updated = w.serving_endpoints.update_provisioned_throughput_endpoint_config(name, config)
    assert updated.response.state.config_update == s.EndpointStateConfigUpdate.NOT_UPDATING
    assert updated.response.config.served_entities[0].provisioned_model_units == 100
    w.serving_endpoints.delete(name)


def test_errors_become_the_right_exceptions(w, managed, chat, speaker):
    endpoints, bob = w.serving_endpoints, clients.workspace(managed, documents.BOB)
    empty = unique("empty")
    endpoints.create(empty)
    w.secrets.create_scope(scope := unique("scope"))
    config = core("x", entity(speaker))
    cases = [
        (errors.InvalidParameterValue, lambda: endpoints.create("no spaces", config=config)),
        (errors.ResourceAlreadyExists, lambda: endpoints.create(chat.name, config=config)),
        (errors.ResourceAlreadyExists, lambda: w.secrets.create_scope(scope)),
        (errors.ResourceDoesNotExist, lambda: endpoints.delete("no-such-endpoint")),
        (errors.ResourceDoesNotExist, lambda: endpoints.query("no-such-endpoint", messages=[])),
        (errors.ResourceDoesNotExist, lambda: w.tokens.delete("0" * 64)),
        (errors.ResourceDoesNotExist, lambda: endpoints.get_permissions("0" * 32)),
        (errors.NotFound, lambda: w.api_client.do("GET", "/api/2.0/no-such-route")),
        (errors.BadRequest, lambda: endpoints.query(empty, messages=[s.ChatMessage("x", s.ChatMessageRole.USER)])),
        (errors.BadRequest, lambda: w.secrets.get_secret(scope, "any")),
        (errors.PermissionDenied, lambda: bob.serving_endpoints.get(chat.name)),
        (errors.PermissionDenied, lambda: bob.serving_endpoints.delete(chat.name)),
        (errors.PermissionDenied, lambda: bob.secrets.put_secret(scope, "k", string_value="v")),
        (errors.Unauthenticated, lambda: clients.workspace(managed, "nobody's").serving_endpoints.get(chat.name)),
    ]
    for exception, call in cases:
        with pytest.raises(errors.DatabricksError) as raised:
            call()
        assert type(raised.value) is exception and str(raised.value), (exception, raised.value)
    w.secrets.delete_scope(scope)
    endpoints.delete(empty)


def test_failures_of_providers(gateways, home, speaker):
    """502 and 504 have classes of their own and are not retried by the SDK."""
    from support.upstream import Upstream, always, answer
    broken = Upstream(always(lambda request: answer(b"<html>", "500 Oops", content_type="text/html")))
    stuck = Upstream(lambda connection: connection.until_closed(5))
    gateway = gateways([documents.endpoint("broken", documents.openai("a", f"{broken.url}/v1")),
                        documents.endpoint("stuck", documents.openai("a", f"{stuck.url}/v1"))], settings={
        "upstreams": {"allow_private": True, "first_byte": "500ms"}})
    with clients.environment(gateway, documents.ADMIN, home):
        w = clients.workspace(gateway)
        for name, exception, code in (("broken", errors.DatabricksError, "INTERNAL_ERROR"),
                                      ("stuck", errors.DeadlineExceeded, "DEADLINE_EXCEEDED")):
            with pytest.raises(exception) as raised:
                w.serving_endpoints.query(name, messages=[s.ChatMessage("x", s.ChatMessageRole.USER)])
            assert raised.value.error_code == code
    assert len(broken.requests) == 1


def test_discovery_needs_no_token(managed):
    api = Api(managed, token=None)
    answer = api.client.get("/.well-known/databricks-config")
    assert answer.status_code == 200 and isinstance(answer.json(), dict)
    wrong = api.client.get("/.well-known/databricks-config", headers={"authorization": "Bearer nobody"})
    assert wrong.status_code == 200
    assert api.client.post("/.well-known/databricks-config").status_code == 405
