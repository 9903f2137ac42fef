"""A container OOM-killed at its limit: recognised, bounded, and told apart from what only looks like it."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.analysis.investigators.base import Verdict
from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.analysis.investigators.rules.memory import memory_text
from kubernaut.api.quantity import parse_quantity
from tests.analysis.world import OOM, T0, World, ago, container, crash_loop, ended, limit_range, node, quota, running, waiting

KILLED = World(containers=[container(memory="128Mi")], statuses=[[crash_loop(OOM)]] * 3)


def test_a_container_killed_at_its_limit_gets_that_limit_doubled():
    found = KILLED.judged()
    assert (found.verdict, found.cause.name, found.action) == (Verdict.CAUSE_FOUND, "OOMKilled", "IncreaseMemoryLimits")
    assert found.target.path() == "shop/deployment/checkout"
    assert found.facts == {
        "target.namespace": "shop",
        "target.name": "checkout",
        "target.kind": "Deployment",
        "container": "app",
        "memory.limit.current": "128Mi",
        "memory.limit.proposed": "256Mi",
    }
    assert found.cause.confidence >= 0.9


def test_its_evidence_names_object_field_and_value():
    rows = KILLED.judged().cause.evidence
    assert (rows[0].source, rows[0].field) == ("pod/shop/checkout-hash1-0", "status.containerStatuses[app].lastState.terminated.reason")
    assert rows[0].value == "OOMKilled (exit code 137)"
    assert any(row.field == "spec.template.spec.containers[app].resources.limits.memory" and row.value == "128Mi" for row in rows)


@pytest.mark.parametrize(
    ("limit", "proposed"),
    [
        ("128Mi", "256Mi"),
        ("512Mi", "1Gi"),
        ("1Gi", "2Gi"),
        ("1.5Gi", "3Gi"),
        ("100M", "200M"),
        ("1G", "2G"),
        ("134217728", "256Mi"),
        ("100Mi", "200Mi"),
    ],
)
def test_the_new_limit_is_written_in_the_unit_of_the_old_one(limit, proposed):
    assert KILLED.but(containers=[container(memory=limit)]).judged().facts["memory.limit.proposed"] == proposed


@pytest.mark.parametrize(
    ("around", "proposed", "source"),
    [
        pytest.param(
            {"related": {"LimitRange": (limit_range(max={"memory": "200Mi"}),)}}, "200Mi", "limitrange", id="LimitRange of containers"
        ),
        pytest.param(
            {"related": {"LimitRange": (limit_range("Pod", max={"memory": "192Mi"}),)}}, "192Mi", "limitrange", id="LimitRange of pods"
        ),
        pytest.param({"related": {"LimitRange": (limit_range(max={"cpu": "1"}),)}}, "256Mi", "", id="a LimitRange of CPU is no bound"),
        pytest.param(
            {"related": {"ResourceQuota": (quota({"limits.memory": "800Mi"}, {"limits.memory": "384Mi"}),)}},
            "200Mi",
            "resourcequota",
            id="quota, a fourth pod while replacing",
        ),
        pytest.param(
            {"related": {"ResourceQuota": (quota({"limits.memory": "800Mi"}, {"limits.memory": "384Mi"}, scopes=["BestEffort"]),)}},
            "256Mi",
            "",
            id="a quota of other pods is no bound",
        ),
        pytest.param({"nodes": [node(memory="160Mi"), node("n2", memory="220Mi")]}, "220Mi", "node", id="the largest node"),
        pytest.param(
            {"nodes": [node(memory="220Mi"), node("n2", memory="64Gi", unschedulable=True)]},
            "220Mi",
            "node",
            id="a cordoned node gives nothing",
        ),
    ],
)
def test_the_new_limit_stays_within(around, proposed, source):
    found = KILLED.but(**around).judged()
    assert found.facts["memory.limit.proposed"] == proposed
    assert [row.source.split("/")[0] for row in found.cause.evidence if row.source.split("/")[0] not in {"pod", "deployment"}] == (
        [source] if source else []
    )


def test_where_there_is_no_room_a_person_is_told_and_nothing_is_proposed():
    found = KILLED.but(related={"LimitRange": (limit_range(max={"memory": "128Mi"}),)}).judged()
    assert (found.cause.name, found.action) == ("OOMKilled", "")
    assert "memory.limit.proposed" not in found.facts
    assert "128Mi" in found.advice


OLD_OOM = ended("OOMKilled", 137, started=ago(hours=9), finished=ago(hours=8))


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param([[running()]] * 3, id="healthy twin"),
        pytest.param([[running(restarts=1, since=ago(hours=8), last=OLD_OOM)]] * 3, id="an old kill, long recovered"),
        pytest.param(
            [[running(restarts=2, last=ended("OOMKilled", 137, started=ago(days=3), finished=ago(days=2)))]] * 3,
            id="a kill before the time window",
        ),
    ],
)
def test_what_is_over_needs_no_action(statuses):
    found = KILLED.but(statuses=statuses).judged()
    assert (found.verdict, found.action) == (Verdict.NO_ACTION, "")
    assert "healthy" in found.cause.summary


def test_a_recovered_kill_is_named_as_the_reason_why_nothing_is_done():
    found = KILLED.but(statuses=[[running(restarts=1, since=ago(hours=8), last=OLD_OOM)]] * 3).judged()
    assert any(row.value == "OOMKilled" and "over" in row.says for row in found.cause.evidence)


def test_a_limit_that_was_raised_meanwhile_is_not_raised_again():
    killed = KILLED.snapshot()
    raised = KILLED.but(containers=[container(memory="256Mi")]).deployment()
    found = judge(replace(killed, chain=(raised,)))
    assert found.cause.name != "OOMKilled"


def test_a_kill_without_a_limit_is_the_nodes_and_no_limit_is_raised():
    found = KILLED.but(containers=[container()]).judged()
    assert (found.cause.name, found.action) == ("NodeOutOfMemory", "")


def test_exit_code_137_alone_is_no_memory_kill():
    assert KILLED.but(statuses=[[crash_loop(ended("Error", 137))]] * 3).judged().cause.name != "OOMKilled"


def test_a_sidecar_that_was_killed_and_runs_again_loses_to_what_keeps_the_pod_down():
    message = 'configmap "settings" not found'
    both = [container(memory="1Gi"), container("agent", memory="64Mi")]
    sidecar = running("agent", restarts=1, since=ago(minutes=1), last=OOM)
    found = KILLED.but(containers=both, statuses=[[waiting("CreateContainerConfigError", message), sidecar]] * 3).judged()
    assert found.cause.name == "ConfigMapMissing"
    assert "OOMKilled" in [row.cause for row in found.alternatives]


def test_a_sidecar_killed_again_and_again_is_the_container_to_fix():
    both = [container(memory="1Gi"), container("agent", memory="64Mi")]
    found = KILLED.but(containers=both, statuses=[[running(), crash_loop(OOM, name="agent")]] * 3).judged()
    assert (found.cause.name, found.facts["container"], found.facts["memory.limit.proposed"]) == ("OOMKilled", "agent", "128Mi")


def test_a_single_kill_is_less_certain_than_many():
    one = KILLED.but(statuses=[[crash_loop(OOM, restarts=1)], [running()], [running()]]).judged()
    assert one.cause.confidence < KILLED.judged().cause.confidence


def test_the_time_window_of_the_scope_is_honoured():
    killed = KILLED.but(statuses=[[crash_loop(ended("OOMKilled", 137, started=ago(hours=3), finished=ago(hours=2)))]] * 3)
    assert killed.judged().cause.name == "OOMKilled"
    assert killed.but(since=T0 - timedelta(hours=1)).judged().verdict is Verdict.INCONCLUSIVE


@given(st.integers(4, 4096), st.integers(1, 8192))
def test_a_proposal_never_leaves_its_bounds(limit, most):
    found = KILLED.but(
        containers=[container(memory=f"{limit}Mi")], related={"LimitRange": (limit_range(max={"memory": f"{most}Mi"}),)}
    ).judged()
    proposed = found.facts.get("memory.limit.proposed")
    assert (proposed is None) == (found.action == "")
    if proposed is not None:
        assert parse_quantity(f"{limit}Mi") < parse_quantity(proposed) <= min(parse_quantity(f"{most}Mi"), 2 * parse_quantity(f"{limit}Mi"))


@given(st.integers(2**20, 2**45), st.booleans())
def test_memory_is_written_the_way_the_action_takes_it_and_never_more_than_asked(amount, decimal):
    text = memory_text(Decimal(amount), decimal=decimal)
    assert re.fullmatch(r"[0-9]+(Mi|Gi|M|G)", text)
    assert parse_quantity(text) <= amount
