"""The unmodified clients, cut off from whatever configuration this machine has."""
import contextlib
import os
import warnings
from datetime import timedelta

from . import documents

SHORT = timedelta(seconds=40)


@contextlib.contextmanager
def environment(gateway, token, home, db_sdk=True):
    """What a person exports before using the clients; everything else of Databricks and MLflow is taken away."""
    before = dict(os.environ)
    for name in [n for n in before if n.startswith(("DATABRICKS_", "MLFLOW_", "OPENAI_")) or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ |= {"DATABRICKS_HOST": gateway.url, "DATABRICKS_TOKEN": token, "HOME": str(home), "NO_PROXY": "*",
                   "DATABRICKS_CONFIG_FILE": str(home / "no-such-file"), "MLFLOW_DISABLE_TELEMETRY": "true",
                   "MLFLOW_ENABLE_DB_SDK": str(db_sdk).lower(), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def workspace(gateway, token=documents.ADMIN, **more):
    """A WorkspaceClient that takes its host and token from its arguments."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config
    config = Config(host=gateway.url, token=token, auth_type="pat", retry_timeout_seconds=5, http_timeout_seconds=15, **more)
    return WorkspaceClient(config=config)


def mlflow_client():
    """The MLflow deployments client; call it inside `environment`."""
    from mlflow.deployments import get_deploy_client
    return get_deploy_client("databricks")


@contextlib.contextmanager
def quiet():
    """MLflow tells of its deprecated call styles, which is what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def openai_client(gateway, token=documents.ADMIN, **more):
    from openai import OpenAI
    return OpenAI(base_url=f"{gateway.url}/serving-endpoints", api_key=token, max_retries=0, **more)
