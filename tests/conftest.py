"""Fixtures that several suites share."""
import itertools

import pytest

from support import documents, places, upstream
from support.gateway import Gateway
from support.upstream import Upstream


def pytest_sessionstart(session):
    for place in (places.gateway_binary, places.engine_binary, places.shared, places.chat_model, places.embedding_model):
        place()


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Makes a fresh folder at each call."""
    numbers = itertools.count()
    return lambda: tmp_path_factory.mktemp(f"gateway{next(numbers)}")


@pytest.fixture
def gateways(folders):
    """Makes gateways that are stopped, and examined, at the end of the test."""
    made = []

    def make(endpoints=(), catalog=(), settings=None, env=None, start=True):
        gateway = Gateway(folders(), endpoints, catalog, settings, env)
        made.append(gateway)
        return gateway.start().wait_ready() if start else gateway

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="module")
def replay():
    """The server of recorded provider traffic, which notes what each module's tests sent."""
    server = upstream.replay_server()
    yield server
    server.shutdown()


@pytest.fixture(scope="session")
def hello():
    """An upstream that answers every chat request with the same completion."""
    return Upstream(upstream.hello)


@pytest.fixture(scope="session")
def plain(folders, hello):
    """A gateway with one endpoint, `chat`, in front of `hello`; small limits, so that tests reach them quickly."""
    endpoints = [documents.endpoint("chat", documents.openai("a", f"{hello.url}/v1"))]
    with Gateway(folders(), endpoints, settings={"limits": documents.SMALL_LIMITS}) as gateway:
        yield gateway
