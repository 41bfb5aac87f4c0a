"""Rules for served entities: contract §4.2, the provider blocks of §6.3, references of §6.2, the pairs of §6.5."""
import pytest

from support import documents, models
from support.control import ENDPOINTS, Api, routes, unique

pytestmark = pytest.mark.timeout(60)
TASKS = CHAT, COMPLETIONS, EMBEDDINGS = documents.CHAT, documents.COMPLETIONS, documents.EMBEDDINGS


@pytest.fixture(scope="module")
def ref(api):
    """A reference to a secret that exists; alice may not read it."""
    return api.put_secret("entities", "key", "sk-of-entities")


BLOCKS = {"openai": "openai_config", "amazon-bedrock": "amazon_bedrock_config", "google-cloud-vertex-ai": "google_cloud_vertex_ai_config",
          "databricks-model-serving": "databricks_model_serving_config", "custom": "custom_provider_config"}


def external(provider, task=CHAT, name="m", **config):
    block = BLOCKS.get(provider, f"{provider}_config")
    return {"external_model": {"name": name, "provider": provider, "task": task, block: config}}


def body(*entities, **split):
    config = {"served_entities": list(entities)}
    return {"name": unique("entity"), "config": {**config, "traffic_config": routes(**split)} if split else config}


def openai(name="a", task=CHAT, **more):
    return {**documents.openai(name, "http://127.0.0.1:9/v1", task=task), **more}


def refuse(api, document, *named):
    message = api.refused("POST", ENDPOINTS, document)
    for part in named:
        assert part in message, (part, message)
    return message


PT = models.provisioned(models.MISTRAL, "2", name="pt")
MIXED = {
    "external and PT": [openai(), PT], "custom and PT": [models.custom("c"), PT], "custom and external": [models.custom("c"), openai()],
    "two tasks": [openai("a"), openai("b", EMBEDDINGS)], "PT of two tasks": [PT, models.provisioned(models.EMBEDDER, "1", (0, 500), "e")],
    "same names": [openai("a"), openai("a")],
    "same names by default": [{k: v for k, v in openai().items() if k != "name"}] * 2,
    "given and default": [openai("gpt-4o-mini"), {k: v for k, v in openai().items() if k != "name"}],
    "sixteen": [openai(f"e{i}") for i in range(16)],
}


@pytest.mark.parametrize("mix", MIXED)
def test_what_an_endpoint_may_not_hold(api, mix):
    entities = MIXED[mix]
    share = {e.get("name", f"x{i}"): 100 if i == 0 else 0 for i, e in enumerate(entities)}
    with api.unchanged():
        refuse(api, body(*entities, **share), "served_entities")


def test_fifteen_external_models(api):
    with api.created(body(*[openai(f"e{i}") for i in range(15)], e3=100)) as made:
        assert len(made["config"]["served_entities"]) == 15


ALONE = {"entity_name": "a.b.c", "entity_version": "1", "workload_size": "Small", "workload_type": "CPU", "scale_to_zero_enabled": True}


@pytest.mark.parametrize("field", ALONE)
def test_external_model_excludes(api, field):
    refuse(api, body(openai(**{field: ALONE[field]})), field)


def test_name_and_version_belong_together(api):
    for entity in ({"entity_name": models.MISTRAL}, {"entity_version": "2"}, {"name": "a"}, {}):
        refuse(api, body(entity), "served_entities[0]")


def test_kind_never_changes(api):
    with api.created(body(openai())) as made, api.created(body(PT)) as other:
        api.settled(other["name"])
        for name, entity in ((made["name"], PT), (other["name"], openai())):
            with api.unchanged():
                api.refused("PUT", f"{ENDPOINTS}/{name}/config", {"served_entities": [entity]})
        assert api.put_config(made["name"], {"served_entities": [openai("e", EMBEDDINGS)]})["task"] == EMBEDDINGS, "the task may"


KEY = "sk-a-literal-that-must-not-come-back"
AZURE = {"openai_api_type": "azure", "openai_api_base": "https://r.openai.azure.com", "openai_api_version": "2023-05-15",
         "openai_deployment_name": "d"}
AWS = {"aws_region": "us-east-1", "bedrock_provider": "anthropic"}
ENTRA = {"openai_api_type": "azuread", "microsoft_entra_tenant_id": "t", "microsoft_entra_client_id": "c"}
URL = "https://api.example.com/v1"
# provider, block ("REF" is a good reference), what the message names
WRONG_BLOCKS = [
    ("openai", {"openai_api_key": KEY}, "openai_api_key_plaintext"),
    ("openai", {"openai_api_key": "REF", "openai_api_key_plaintext": KEY}, "openai_api_key"),
    ("openai", {"openai_api_key": "REF", "openai_api_type": "other"}, "openai_api_type"),
    ("openai", {"openai_api_key": "REF", "openai_deployment_name": "d"}, "openai_deployment_name"),
    ("openai", {"openai_api_key": "REF", "openai_api_base": "not a url"}, "openai_api_base"),
    ("openai", {"openai_api_key": "REF", "openai_api_base": "ftp://x"}, "openai_api_base"),
    *[("openai", {"openai_api_key": "REF", **AZURE, missing: None}, missing) for missing in
      ("openai_api_base", "openai_api_version", "openai_deployment_name")],
    ("openai", AZURE, "openai_api_key"),
    ("openai", {"openai_api_key": "REF", **AZURE, "openai_api_version": "soon"}, "openai_api_version"),
    ("openai", {**AZURE, **ENTRA}, "microsoft_entra_client_secret"),
    ("openai", {**AZURE, **ENTRA, "microsoft_entra_client_secret": KEY}, "microsoft_entra_client_secret_plaintext"),
    ("openai", {**AZURE, **ENTRA, "microsoft_entra_client_secret": "REF", "microsoft_entra_tenant_id": None}, "microsoft_entra_tenant_id"),
    ("anthropic", {}, "anthropic_api_key"), ("anthropic", {"anthropic_api_key": KEY}, "anthropic_api_key_plaintext"),
    ("cohere", {}, "cohere_api_key"), ("cohere", {"cohere_api_key": KEY}, "cohere_api_key_plaintext"),
    ("ai21labs", {}, "ai21labs_api_key"), ("ai21labs", {"ai21labs_api_key": KEY}, "ai21labs_api_key_plaintext"),
    ("palm", {}, "palm_api_key"), ("palm", {"palm_api_key": KEY}, "palm_api_key_plaintext"),
    ("amazon-bedrock", {**AWS, "aws_access_key_id": "REF"}, "aws_secret_access_key"),
    ("amazon-bedrock", {**AWS, "aws_secret_access_key": "REF"}, "aws_access_key_id"),
    ("amazon-bedrock", {**AWS, "aws_access_key_id": KEY, "aws_secret_access_key": "REF"}, "aws_access_key_id_plaintext"),
    ("amazon-bedrock", {**AWS, "aws_access_key_id": "REF", "aws_secret_access_key": "REF", "instance_profile_arn": "arn:x"},
     "instance_profile_arn"),
    ("amazon-bedrock", {"aws_access_key_id": "REF", "aws_secret_access_key": "REF", "bedrock_provider": "cohere"}, "aws_region"),
    ("amazon-bedrock", {"aws_access_key_id": "REF", "aws_secret_access_key": "REF", "aws_region": "x"}, "bedrock_provider"),
    ("amazon-bedrock", {**AWS, "aws_access_key_id": "REF", "aws_secret_access_key": "REF", "bedrock_provider": "meta"}, "bedrock_provider"),
    ("amazon-bedrock", AWS, "aws_access_key_id"),
    ("google-cloud-vertex-ai", {"private_key": "REF", "region": "r"}, "project_id"),
    ("google-cloud-vertex-ai", {"private_key": "REF", "project_id": "p"}, "region"),
    ("google-cloud-vertex-ai", {"region": "r", "project_id": "p"}, "private_key"),
    ("google-cloud-vertex-ai", {"region": "r", "project_id": "p", "private_key": KEY}, "private_key_plaintext"),
    ("databricks-model-serving", {"databricks_api_token": "REF"}, "databricks_workspace_url"),
    ("databricks-model-serving", {"databricks_workspace_url": URL}, "databricks_api_token"),
    ("databricks-model-serving", {"databricks_workspace_url": URL, "databricks_api_token": KEY}, "databricks_api_token_plaintext"),
    ("custom", {"bearer_token_auth": {"token": "REF"}}, "custom_provider_url"), ("custom", {"custom_provider_url": URL}, "auth"),
    ("custom", {"custom_provider_url": URL, "bearer_token_auth": {"token": "REF"}, "api_key_auth": {"key": "k", "value": "REF"}}, "auth"),
    ("custom", {"custom_provider_url": URL, "bearer_token_auth": {"token": KEY}}, "token_plaintext"),
    ("custom", {"custom_provider_url": URL, "api_key_auth": {"value": "REF"}}, "key"),
    ("custom", {"custom_provider_url": URL, "api_key_auth": {"key": "k", "value": KEY}}, "value_plaintext"),
    ("custom", {"custom_provider_url": URL, "api_key_auth": {"key": "bad header:", "value": "REF"}}, "key"),
]


def filled(block, ref):
    return {k: filled(v, ref) if isinstance(v, dict) else ref if v == "REF" else v for k, v in block.items()}


@pytest.mark.parametrize("provider, block, named", WRONG_BLOCKS, ids=lambda value: str(value)[:40])
def test_wrong_block(api, ref, provider, block, named):
    message = refuse(api, body(external(provider, **filled(block, ref))), named)
    assert KEY not in message


GOOD_BLOCKS = [
    ("openai", CHAT, {"openai_api_key": "REF", **AZURE, "openai_api_type": "Azure"}),
    ("openai", CHAT, {"openai_api_key": "REF", **AZURE, "openai_api_type": "azuread"}),
    ("openai", CHAT, {**AZURE, **ENTRA, "microsoft_entra_client_secret": "REF"}),
    ("openai", EMBEDDINGS, {"openai_api_key": "REF", "openai_organization": "o"}),
    ("anthropic", CHAT, {"anthropic_api_key": "REF"}), ("anthropic", COMPLETIONS, {"anthropic_api_key": "REF"}),
    ("cohere", COMPLETIONS, {"cohere_api_key": "REF"}), ("cohere", EMBEDDINGS, {"cohere_api_key": "REF", "cohere_api_base": URL}),
    ("cohere", CHAT, {"cohere_api_key": "REF"}),
    ("ai21labs", COMPLETIONS, {"ai21labs_api_key": "REF"}), ("ai21labs", CHAT, {"ai21labs_api_key": "REF"}),
    ("amazon-bedrock", CHAT, {**AWS, "aws_access_key_id": "REF", "aws_secret_access_key": "REF", "bedrock_provider": "Anthropic"}),
    ("amazon-bedrock", CHAT, {**AWS, "instance_profile_arn": "arn:aws:iam::1:instance-profile/x"}),
    ("google-cloud-vertex-ai", EMBEDDINGS, {"private_key": "REF", "region": "r", "project_id": "p"}),
    *[("databricks-model-serving", task, {"databricks_api_token": "REF", "databricks_workspace_url": URL}) for task in TASKS],
    *[("custom", task, {"custom_provider_url": URL, "api_key_auth": {"key": "x-key", "value": "REF"}}) for task in TASKS],
]


@pytest.mark.parametrize("provider, task, block", GOOD_BLOCKS, ids=lambda value: str(value)[:40])
def test_good_block_is_echoed(api, ref, provider, task, block):
    document = body(external(provider, task, **filled(block, ref)))
    with api.created(document) as made:
        model = made["config"]["served_entities"][0]["external_model"]
        config = next(v for k, v in model.items() if k.endswith("_config"))
        lowered = {k: v.lower() if k in ("bedrock_provider", "openai_api_type") else v for k, v in filled(block, ref).items()}
        assert lowered.items() <= {**config, "openai_api_type": config.get("openai_api_type", "").lower()}.items()


@pytest.mark.parametrize("provider", ["anthropic", "ai21labs"])
def test_pairs_without_an_api(api, ref, provider):
    refuse(api, body(external(provider, EMBEDDINGS, **{f"{provider}_api_key": ref})), "external_model.task", "embeddings")


WRONG_REFERENCES = ["{{secrets/entities}}", "{{secrets/entities/}}", "{{secrets//key}}", "{{secrets/entities/key/x}}", "{{env/HOME}}",
                    "{{file/weirgate.yaml}}",
                    "{{secrets/no-such/key}}", "{{secrets/entities/no-such}}", "x{{secrets/entities/key}}", "{{secrets/weirgate.x/key}}", ""]


@pytest.mark.parametrize("reference", WRONG_REFERENCES)
def test_wrong_reference(api, ref, reference):
    with api.unchanged():
        refuse(api, body(external("openai", openai_api_key=reference)), "openai_api_key")


def test_reference_that_the_caller_may_not_read(managed, api, ref):
    alice = Api(managed, documents.ALICE)
    refuse(alice, body(external("openai", openai_api_key=ref)), "openai_api_key")
    api.ok("POST", "/secrets/acls/put", {"scope": "entities", "principal": "alice", "permission": "READ"})
    with alice.created(body(external("openai", openai_api_key=ref))) as made:
        api.ok("POST", "/secrets/acls/delete", {"scope": "entities", "principal": "alice"})
        alice.refused("PUT", f"{ENDPOINTS}/{made['name']}/config", {"served_entities": [external("openai", openai_api_key=ref)]})


def test_private_addresses_need_permission(gateways):
    """Over REST as in files: loopback and plain http only under `upstreams.allow_private`."""
    api = Api(gateways(settings={"upstreams": {"allow_private": False}}))
    for base in ("http://api.example.com/v1", "https://127.0.0.1/v1", "https://10.0.0.1/v1", "https://169.254.169.254/latest"):
        refuse(api, body(documents.openai("a", base)), "openai_api_base")
    assert api.create(body(documents.openai("a", URL)))["state"]["ready"] == "READY"
