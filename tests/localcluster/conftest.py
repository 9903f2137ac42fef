"""A cluster served over HTTP, and a client that is its administrator."""

import pytest

from kubernaut.localcluster import ClusterSettings, LocalCluster
from tests.localcluster.http import CRDS, client, widget_definition


@pytest.fixture
async def cluster():
    async with LocalCluster(ClusterSettings()) as made:
        yield made


@pytest.fixture
async def http(cluster):
    async with client(cluster) as made:
        yield made


@pytest.fixture
async def widgets(http):
    """The client again, once widgets are served."""
    assert (await http.post(CRDS, widget_definition())).status == 201
    return http
