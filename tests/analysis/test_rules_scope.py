"""The scope of an analysis, as the rule investigator keeps to it: how far back, how wide, from where, with what past, and what is asked."""

import asyncio
from typing import Any

import pytest

from kubernaut.analysis.investigators.base import Finding, Question, Verdict
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.api.analysis import AnalysisRequest, PreviousExecution
from tests.analysis.cases import Case, cases

BY_NAME = {case.name: case for case in cases()}
KILLED = BY_NAME["memory-limit-too-small"]
TRIED = PreviousExecution(workflow_id="increase-memory-conservative", parameters={"LIMIT": "512Mi"})


def asked(
    case: Case, *, types: tuple[str, ...] = ("investigation", "root-cause", "recovery-analysis"), tried: Any = (), **scope: Any
) -> Finding:
    subject = case.header["subject"]
    alert = {"fingerprint": "f", "severity": "critical", "environment": "x", "businessPriority": "P1"}
    alert |= {"namespace": subject.get("namespace", ""), "resourceKind": subject["kind"], "resourceName": subject["name"]}
    body = {"alertContext": alert, "analysisTypes": list(types), "investigationScope": scope}
    question = Question(request=AnalysisRequest.model_validate(body), tried=tuple(tried))
    return asyncio.run(RuleInvestigator().investigate(question, case.snapshot(**scope)))


@pytest.mark.parametrize(
    ("name", "before"),
    [
        pytest.param("node-flaps", "30s", id="events"),
        pytest.param("scaled-to-zero", "1h", id="a scaling"),
        pytest.param("image-tag-unknown", "5m", id="a roll-out"),
    ],
)
def test_what_was_before_the_time_window_is_no_evidence(name, before):
    assert asked(BY_NAME[name]).action
    assert not asked(BY_NAME[name], timeWindow=before).action


@pytest.mark.parametrize("name", ["policy-lets-nobody-in", "dependency-scaled-to-zero", "quota-used-up"])
def test_a_basic_scope_looks_at_the_subject_alone(name):
    full, basic = asked(BY_NAME[name]), asked(BY_NAME[name], correlationDepth="basic")
    assert full.action or full.target.name != BY_NAME[name].header["subject"]["name"]
    assert (basic.action, basic.target.name) == ("", BY_NAME[name].header["subject"]["name"])


def test_the_resources_of_the_scope_are_where_it_begins():
    case = BY_NAME["two-steps-away"]
    there = case.snapshot(resourceScope=[{"kind": "Deployment", "namespace": "production", "name": "locator"}])
    assert there.target.name == "locator"


def test_a_fix_that_was_tried_and_did_not_help_is_doubted():
    fresh = asked(KILLED)
    again = asked(KILLED, tried=[TRIED])
    assert again.cause.confidence < fresh.cause.confidence
    assert any("did not help" in factor for factor in again.cause.factors)


def test_without_historical_patterns_what_was_tried_is_not_looked_at():
    assert asked(KILLED, tried=[TRIED], includeHistoricalPatterns=False) == asked(KILLED, includeHistoricalPatterns=False)


def test_where_no_fix_is_asked_for_none_is_named():
    found = asked(KILLED, types=("investigation", "root-cause"))
    assert (found.verdict, found.cause.name, found.action) == (Verdict.CAUSE_FOUND, "OOMKilled", "")
