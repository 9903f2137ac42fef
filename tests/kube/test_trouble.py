"""A cluster that is away is told of once, not by every informer at every try."""

import pytest
from structlog.testing import capture_logs

from kubernaut.api.core import NODE, POD
from kubernaut.kube.errors import ApiError
from kubernaut.kube.trouble import Trouble

pytestmark = pytest.mark.unit
AWAY = ApiError(0, "Unreachable", "127.0.0.1:6443: Connection refused")
DENIED = ApiError(403, "Forbidden", "pods is forbidden")


def told(lines):
    return [(line["log_level"], line["event"], line["kind"]) for line in lines if line["log_level"] != "debug"]


def test_what_all_informers_meet_is_told_once_until_it_is_over():
    trouble = Trouble()
    with capture_logs() as lines:
        for kind in (POD, NODE, POD, NODE):
            trouble.met(kind, AWAY, listing=True)
        trouble.over(POD)
        trouble.over(NODE)
        trouble.met(NODE, AWAY, listing=False)
    assert told(lines) == [
        ("warning", "the cluster cannot be read, it is tried until it can", "Pod"),
        ("info", "the cluster is read again", "Pod"),
        ("info", "watch interrupted", "Node"),
    ]
    assert len(lines) == 6


def test_what_one_kind_meets_is_told_of_each_kind_and_again_when_it_changes():
    trouble = Trouble()
    with capture_logs() as lines:
        for kind in (POD, NODE, POD):
            trouble.met(kind, DENIED, listing=True)
        trouble.met(POD, ApiError(500, "InternalError", "etcd"), listing=True)
        trouble.over(POD)
        trouble.met(POD, DENIED, listing=True)
    assert [kind for _, _, kind in told(lines)] == ["Pod", "Node", "Pod", "Pod"]


def test_a_kind_that_is_not_served_is_told_of_once():
    trouble = Trouble()
    with capture_logs() as lines:
        for listing in (True, True, False):
            trouble.met(POD, ApiError(404, "", "404 page not found"), listing=listing)
    assert told(lines) == [("warning", "kind is not served: taken for none until it is", "Pod")]
