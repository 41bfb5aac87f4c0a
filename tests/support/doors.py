"""One endpoint seen through both doors: its document, its file, its life over a restart."""
from . import documents
from .control import Api

SOON = 1.5  # seconds; 1 is promised, the rest is for a busy test machine


def chat(name, speaker, model="gpt-4o", **more):
    return documents.endpoint(name, documents.openai("a", f"{speaker.url}/v1", model), **more)


def model_of(endpoint):
    return endpoint["config"]["served_entities"][0]["external_model"]["name"]


def file_of(api, name):
    return api.gateway.config / f"endpoints/{name}.yaml"


def restarted(api, env=None):
    """The same gateway after a clean end, with other variables if they are given."""
    api.gateway.stop()
    if env is not None:
        api.gateway.env = {"WEIRGATE_ADMIN_TOKEN": documents.ADMIN, **env}
    api.gateway.start().wait_ready()
    return Api(api.gateway)
