"""Sources that other packages bring."""

from importlib.metadata import EntryPoint

import pytest

from kubernaut.api.base import Unusable
from kubernaut.gateway.sources.alertmanager import Alertmanager
from kubernaut.gateway.sources.registry import GROUP, with_installed

BUILT_IN = (Alertmanager(),)


class Nagios:
    name = "nagios"
    path = "/api/v1/signals/nagios"
    schema = {"type": "object"}

    def read(self, body):
        return []


class Elsewhere(Nagios):
    path = "/nagios"


class Twin(Nagios):
    name = "prometheus"


class Incomplete:
    name = "incomplete"


def point(name):
    """Return an entry point that names something of this module."""
    return EntryPoint(name.lower(), f"{__name__}:{name}", GROUP)


def needy(needed):
    """Want an argument that nobody gives."""


def test_an_installed_source_stands_beside_the_built_in_ones():
    names = [
        source.name
        for source in with_installed(
            BUILT_IN, [EntryPoint("alertmanager", "kubernaut.gateway.sources.kubernetes_event:KubernetesEvents", GROUP)]
        )
    ]
    assert names == ["prometheus", "kubernetes-event"]
    assert with_installed(BUILT_IN) == BUILT_IN


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        pytest.param("Incomplete", "lacks path, schema, read", id="one that is no source"),
        pytest.param("Twin", "two sources of signals have the name 'prometheus'", id="one with a name that is taken"),
        pytest.param("Elsewhere", "must have a path below /api/v1/signals/", id="one with a path elsewhere"),
        pytest.param("needy", "cannot be loaded", id="one that wants arguments"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(loaded, says):
    with pytest.raises(Unusable, match=says):
        with_installed(BUILT_IN, [point(loaded)])


def test_a_package_that_is_broken_is_named():
    with pytest.raises(Unusable, match=r"'nagios' .*no_such_package.* cannot be loaded"):
        with_installed(BUILT_IN, [EntryPoint("nagios", "no_such_package:Nagios", GROUP)])
