"""The OpenAPI document of the control API, and the gateway held to it by schemathesis."""
import re
import subprocess
import sys

import pytest

from support import documents, models
from support.control import Api
from support.gateway import Gateway

SECONDS = 150
# What clients call, contract §§2.1-2.5.
ROUTES = """
GET POST /api/2.0/serving-endpoints
GET DELETE /api/2.0/serving-endpoints/{}
PUT /api/2.0/serving-endpoints/{}/config
POST /api/2.0/serving-endpoints/{}/config/cancel
PATCH /api/2.0/serving-endpoints/{}/tags
PUT /api/2.0/serving-endpoints/{}/rate-limits
PUT /api/2.0/serving-endpoints/{}/ai-gateway
PATCH /api/2.0/serving-endpoints/{}/notifications
GET /api/2.0/serving-endpoints/{}/metrics
GET /api/2.0/serving-endpoints/{}/openapi
GET /api/2.0/serving-endpoints/{}/served-models/{}/logs
GET /api/2.0/serving-endpoints/{}/served-models/{}/build-logs
GET /api/2.0/serving-endpoints/get-model-optimization-info/{}/{}
POST /api/2.0/serving-endpoints/pt
PUT /api/2.0/serving-endpoints/pt/{}/config
GET PUT PATCH /api/2.0/permissions/serving-endpoints/{}
GET /api/2.0/permissions/serving-endpoints/{}/permissionLevels
GET /api/2.0/preview/scim/v2/Me
POST /api/2.0/token/create
GET /api/2.0/token/list
POST /api/2.0/token/delete
POST /api/2.0/token-management/on-behalf-of/tokens
POST /api/2.0/secrets/scopes/create
GET /api/2.0/secrets/scopes/list
POST /api/2.0/secrets/scopes/delete
POST /api/2.0/secrets/put
POST /api/2.0/secrets/delete
GET /api/2.0/secrets/list
GET /api/2.0/secrets/get
POST /api/2.0/secrets/acls/put
GET /api/2.0/secrets/acls/get
GET /api/2.0/secrets/acls/list
POST /api/2.0/secrets/acls/delete
"""


@pytest.fixture(scope="module")
def gate(folders, speaker):
    endpoint = documents.endpoint("chat", documents.openai("a", f"{speaker.url}/v1"))
    with Gateway(folders(), [endpoint], catalog=[m for m in models.catalog(speaker.url) if "engine" in m]) as gateway:
        yield gateway


def test_document(gate):
    document = Api(gate).ok("GET", "/openapi.json")
    assert document["openapi"].startswith("3.1") and document["info"]["title"] and document["info"]["version"]
    have = {re.sub(r"\{[^}]*\}", "{}", path): {method.upper() for method in operations} for path, operations in document["paths"].items()}
    for line in ROUTES.split("\n"):
        if line:
            *methods, path = line.split(" ")
            assert set(methods) <= have.get(path, set()), f"{line} is not in the document"
    ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values() if "operationId" in operation]
    assert len(ids) == len(set(ids)), "operation ids are unique"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and "200" in operation["responses"] or "501" in operation["responses"], (method, path)


@pytest.mark.timeout(SECONDS + 30)
def test_schemathesis(gate, tmp_path):
    command = [f"{sys.prefix}/bin/schemathesis", "run", f"{gate.url}/api/2.0/openapi.json", "-H", f"Authorization: Bearer {documents.ADMIN}",
               "--phases", "examples,coverage,fuzzing",
               "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
               "--max-examples", "10", "--seed", "1", "--no-shrink", "--continue-on-failure", "--request-timeout", "10",
               "--suppress-health-check", "all", "--warnings", "off"]
    # 501 is what routes of priority C answer; any other 5xx is a failure.
    (tmp_path / "schemathesis.toml").write_text('[checks]\nnot_a_server_error.expected-statuses = ["2xx", "4xx", 501]\n')
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]
    assert gate.process.poll() is None, gate.log()[-2000:]
