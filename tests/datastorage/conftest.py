"""Two databases: every test of the store runs on both."""

import pytest

from tests.datastorage.place import Clock, datastorage
from tests.datastorage.postgres import postgres


@pytest.fixture(scope="session")
def server():
    """Give a PostgreSQL server, one for all tests that leave it running."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/audit.db"
    return request.getfixturevalue("server").database()


@pytest.fixture
def key(tmp_path):
    """Give the path of a signing key that is not there yet."""
    return str(tmp_path / "signing.pem")


@pytest.fixture
def clock():
    """Give a clock that stands."""
    return Clock()


@pytest.fixture
async def http(database, key, clock):
    """Give a session to data storage over each database."""
    async with datastorage(database, clock, signing_key=key) as session:
        yield session
