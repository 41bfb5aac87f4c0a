"""Fixtures that several suites share."""
import itertools

import pytest

from support import documents, models, places, upstream
from support.control import Api
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


@pytest.fixture(scope="module")
def speaker():
    """An upstream that answers any task with the model's name in its text."""
    up = upstream.speaker()
    yield up
    up.close()


@pytest.fixture(scope="module")
def managed(folders, speaker):
    """A gateway without endpoints, for the control API; its catalog is `models.catalog`."""
    with Gateway(folders(), catalog=models.catalog(speaker.url)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def api(managed):
    """The administrator's view of the control API of `managed`."""
    return Api(managed)


@pytest.fixture(scope="module")
def alice(managed):
    """A user in the group `research`."""
    return Api(managed, documents.ALICE)


@pytest.fixture(scope="module")
def bob(managed):
    return Api(managed, documents.BOB)


@pytest.fixture
def doors(gateways):
    """A gateway of the test's own, without endpoints: the administrator's view of it."""
    return Api(gateways())


@pytest.fixture
def home(tmp_path):
    """A home without a `.databrickscfg`."""
    return tmp_path
