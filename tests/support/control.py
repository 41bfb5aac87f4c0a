"""The control API over raw HTTP, as no client library softens it."""
import contextlib
import itertools
import json

import httpx

from . import documents, shapes
from .gateway import eventually

ENDPOINTS = "/serving-endpoints"
_numbers = itertools.count(1)


def unique(stem="e"):
    """A name that no other test of this run uses."""
    return f"{stem}-{next(_numbers)}"


class Api:
    """One principal's view of `/api/2.0`."""

    def __init__(self, gateway, token=documents.ADMIN):
        self.gateway, self.token = gateway, token
        self.client = gateway.client(token)

    def call(self, method, path, body=None, **options):
        """Any request; `body` is JSON, or bytes as they are."""
        if isinstance(body, bytes):
            options["content"] = body
        elif body is not None:
            options["json"] = body
        answer = self.client.request(method, f"/api/2.0{path}", **options)
        assert answer.headers.get("x-request-id"), "every answer carries its request id"
        assert answer.headers.get("x-databricks-request-id") == answer.headers["x-request-id"]
        return answer

    def ok(self, method, path, body=None, **options):
        """The object of a success: contract §1 wants a JSON object always."""
        answer = self.call(method, path, body, **options)
        assert answer.status_code == 200, (method, path, answer.status_code, answer.text[:2000])
        assert answer.headers["content-type"].split(";")[0] == "application/json"
        found = answer.json()
        assert isinstance(found, dict), f"not an object: {found!r}"
        return found

    def refused(self, method, path, body=None, status=400, code="INVALID_PARAMETER_VALUE", **options):
        """The message of a refusal with exactly this status and error code."""
        answer = self.call(method, path, body, **options)
        assert (answer.status_code, error_code(answer)) == (status, code), (method, path, answer.status_code, answer.text[:2000])
        return shapes.assert_error(answer, shapes.DATABRICKS, status)

    # -- endpoints
    def create(self, document):
        return self.ok("POST", ENDPOINTS, document)

    def get(self, name):
        return self.ok("GET", f"{ENDPOINTS}/{name}")

    def settled(self, name, seconds=30):
        """The endpoint once its update has ended, well or not."""
        def ended():
            found = self.get(name)
            return found if found["state"]["config_update"] != "IN_PROGRESS" else None
        return eventually(ended, seconds, 0.05)

    def put_config(self, name, config):
        return self.ok("PUT", f"{ENDPOINTS}/{name}/config", config)

    def delete(self, name):
        return self.ok("DELETE", f"{ENDPOINTS}/{name}")

    def names(self):
        return [endpoint["name"] for endpoint in self.ok("GET", ENDPOINTS)["endpoints"]]

    @contextlib.contextmanager
    def created(self, document):
        """The answer to a create; the endpoint goes at the end of the block."""
        try:
            yield self.create(document)
        finally:
            assert self.call("DELETE", f"{ENDPOINTS}/{document['name']}").status_code in (200, 404)

    # -- secrets
    def put_secret(self, scope, key, value):
        answer = self.call("POST", "/secrets/scopes/create", {"scope": scope})
        assert answer.status_code == 200 or error_code(answer) == "RESOURCE_ALREADY_EXISTS", answer.text
        assert self.ok("POST", "/secrets/put", {"scope": scope, "key": key, "string_value": value}) == {}
        return f"{{{{secrets/{scope}/{key}}}}}"

    # -- queries
    def ask(self, name, path=None, **more):
        path = path or f"/serving-endpoints/{name}/invocations"
        return self.client.post(path, json=documents.chat_body(**more))

    # -- everything that a refused request must not change
    def everything(self):
        names = self.names()
        scopes = [scope["name"] for scope in self.ok("GET", "/secrets/scopes/list")["scopes"]]
        files = {str(p.relative_to(self.gateway.config)): p.read_bytes() for p in self.gateway.config.rglob("*") if p.is_file()}
        return {
            "endpoints": {name: self.get(name) for name in names},
            "secrets": {scope: self.ok("GET", "/secrets/list", params={"scope": scope})["secrets"] for scope in scopes},
            "acls": {scope: self.ok("GET", "/secrets/acls/list", params={"scope": scope}) for scope in scopes},
            "tokens": self.ok("GET", "/token/list"),
            "files": files,
        }

    @contextlib.contextmanager
    def unchanged(self):
        """Nothing of the state may differ after the block, nor may a new generation have been published."""
        before, generation = self.everything(), self.gateway.generation()
        yield
        after = self.everything()
        for part, was in before.items():
            assert after[part] == was, f"{part} changed"
        assert self.gateway.generation() == generation, "a refused request published a new generation"


def error_code(answer):
    try:
        return answer.json().get("error_code")
    except (json.JSONDecodeError, AttributeError):
        return None


def routes(**split):
    return {"routes": [{"served_model_name": name, "traffic_percentage": share} for name, share in split.items()]}


def grant(level, **who):
    return {**who, "permission_level": level}


def discovery(gateway):
    """The discovery document, asked for without a token."""
    return httpx.get(f"{gateway.url}/.well-known/databricks-config", timeout=5, trust_env=False)
