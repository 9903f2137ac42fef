"""A snapshot from the caches: how far it reaches, how much it holds, and what it never holds."""

from datetime import timedelta

import pytest

from kubernaut.analysis.collect import LIMITS
from kubernaut.api import core
from tests.analysis.shelf import WORLD, Shelf, names
from tests.analysis.world import NS, T0, ago, event, limit_range, running


def test_it_goes_up_to_the_owner_and_down_to_all_its_pods():
    found = Shelf().stocked().collect()
    assert names(found.chain) == ["checkout-hash1-0", "checkout-hash1", "checkout"]
    assert names(found.pods) == ["checkout-hash1-0", "checkout-hash1-1"]
    assert names(found.replica_sets) == ["checkout-hash1"]
    assert found.target.path() == f"{NS}/deployment/checkout"
    assert found.namespace is not None
    assert (found.unread, found.cut) == ((), ())


def test_a_scope_in_another_case_names_the_same_object():
    assert names(Shelf().stocked().collect("deployment", "checkout").chain) == ["checkout"]


def test_the_subject_of_the_scope_comes_before_the_signals_own():
    found = Shelf().stocked().collect(resourceScope=[{"kind": "Deployment", "namespace": NS, "name": "checkout"}])
    assert found.subject.kind == "Deployment"


def test_a_pod_that_is_gone_leads_to_the_owner_that_enrichment_saw():
    found = Shelf().stocked().collect(name="gone", context={"ownerChain": ["ReplicaSet/never-was", "Deployment/checkout"]})
    assert names(found.chain) == ["checkout"]


@pytest.mark.parametrize("context", [{}, {"ownerChain": "no list"}, {"ownerChain": [1, None, "x", "/", "Alien/y"]}])
def test_a_pod_that_is_gone_without_a_trace_gives_an_empty_chain(context):
    found = Shelf().stocked().collect(name="gone", context=context)
    assert (found.chain, found.pods) == ((), ())


def test_an_owner_of_the_same_name_but_another_uid_is_no_owner():
    world = WORLD
    other = {**world.deployment(), "metadata": {**world.deployment()["metadata"], "uid": "d-2"}}
    assert names(Shelf().stocked().put(core.DEPLOYMENT, other).collect().chain) == ["checkout-hash1-0", "checkout-hash1"]


def test_events_are_about_the_case_within_the_window_and_newest_first():
    shelf = Shelf().stocked()
    shelf.put(
        core.EVENT,
        event("Old", "a", at=ago(hours=30)),
        event("First", "b", at=ago(hours=3)),
        event("Last", "c", at=ago(hours=1)),
        event("Other", "d", pod="stranger"),
    )
    assert [row["reason"] for row in shelf.collect().events] == ["Last", "First"]
    assert [row["reason"] for row in shelf.collect(timeWindow="2h").events] == ["Last"]
    assert [row["reason"] for row in shelf.collect(timeWindow="48h").events] == ["Last", "First", "Old"]


@pytest.mark.parametrize(("text", "hours"), [("24h", 24), ("90m", 1.5), ("nonsense", 24), ("10000h", 168)])
def test_the_time_window_is_read_and_bounded(text, hours):
    assert Shelf().stocked().collect(timeWindow=text).since == T0 - timedelta(hours=hours)


def test_of_config_maps_only_keys_are_held():
    shelf = (
        Shelf()
        .stocked()
        .put(core.CONFIG_MAP, {"metadata": {"name": "c", "namespace": NS}, "data": {"mode": "s3cret"}, "binaryData": {"blob": "s3cret"}})
    )
    found = shelf.collect()
    assert found.config_maps == {"c": frozenset({"mode", "blob"})}
    assert "s3cret" not in repr(found)


def test_what_stands_around_is_left_out_where_the_scope_is_basic():
    shelf = Shelf().stocked().put(core.LIMIT_RANGE, limit_range(max={"memory": "1Gi"}))
    assert names(shelf.collect().of("LimitRange")) == ["lr"]
    basic = shelf.collect(correlationDepth="basic")
    assert (basic.of("LimitRange"), basic.config_maps) == ((), None)


def test_what_cannot_be_read_is_named():
    shelf = Shelf(without=(core.EVENT, core.RESOURCE_QUOTA), forbidden=(core.LIMIT_RANGE,))
    assert shelf.stocked().collect().unread == ("Event", "LimitRange", "ResourceQuota")


def test_of_many_pods_the_failing_ones_are_kept():
    rows = [[running()]] * LIMITS["Pod"] + [[running(ready=False)]] * 5
    found = Shelf().stocked(WORLD.but(statuses=rows)).collect()
    assert len(found.pods) == LIMITS["Pod"]
    assert found.cut == ("Pod",)
    assert sum(not row["status"]["containerStatuses"][0]["ready"] for row in found.pods) == 5
