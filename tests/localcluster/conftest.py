"""A cluster served over HTTP, and a client that is its administrator.

A test that takes `http` or `widgets` runs over any Kubernetes API. One that takes `cluster` too has the embedded one in its hands: its store,
its clock, its logs; it runs over that one alone.
"""

from contextlib import AsyncExitStack

import pytest

from kubernaut.localcluster import ClusterSettings, LocalCluster
from tests.localcluster.http import CRDS, WIDGETS, answered, client, visiting, widget_definition
from tests.localcluster.libraries import reachable


@pytest.fixture
async def cluster(embedded):
    async with LocalCluster(ClusterSettings()) as made:
        yield made


@pytest.fixture
def site(anywhere, request):
    """Say where the test's cluster is: give the path of a kubeconfig, or an embedded cluster."""
    return anywhere if anywhere and "embedded" not in request.fixturenames else request.getfixturevalue("cluster")


@pytest.fixture
async def http(site):
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(visiting(site) if isinstance(site, str) else client(site))


@pytest.fixture
async def widgets(http):
    """The client again, once widgets are served."""
    assert (await http.post(CRDS, widget_definition())).status == 201
    await answered(http, WIDGETS)
    return http


@pytest.fixture(scope="module")
def kubeconfig(anywhere, tmp_path_factory, request):
    """Give the path of a kubeconfig; the module says which namespaces it needs and which definitions it leaves."""
    names = request.module.NAMESPACES, request.module.DEFINITIONS
    with reachable(anywhere, tmp_path_factory.mktemp("clients"), *names) as path:
        yield path
