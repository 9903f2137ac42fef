"""What may be chosen, what an answer comes to, when two questions are one, and what two answers come to together."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.analysis.investigators.base import Finding, Question, Verdict
from kubernaut.analysis.investigators.chain import together
from kubernaut.analysis.investigators.holmesgpt import blind
from kubernaut.analysis.investigators.holmesgpt.answer import ANSWER_LIMIT, hold, read
from kubernaut.analysis.investigators.holmesgpt.evidence import case_of, evidence_of
from kubernaut.analysis.investigators.holmesgpt.offer import offers, words
from kubernaut.analysis.investigators.holmesgpt.plants import Sieve
from kubernaut.analysis.investigators.holmesgpt.screening import hide, screen
from kubernaut.analysis.select import Case, select
from kubernaut.api.analysis import AnalysisRequest, PreviousExecution
from kubernaut.api.catalog import CatalogStatus, RemediationWorkflow
from tests.analysis.test_holmesgpt_injection import ALERT, HONEST
from tests.analysis.trouble import workflow
from tests.analysis.world import NS, OOM, World, ago, container, crash_loop, event, running

pytestmark = pytest.mark.unit
ALL = (
    "cordon-drain-node",
    "fix-service-selector",
    "increase-memory-conservative",
    "restart-deployment",
    "restart-pod",
    "rollback-deployment",
)
CATALOGUE = [RemediationWorkflow.model_validate(workflow(folder)) for folder in (*ALL, "scale-deployment", "rollback-statefulset")]
UNREADY = World(statuses=[[running(ready=False)]] * 2)


def asked(catalogue=CATALOGUE, tried=(), **alert) -> Question:
    return Question(request=AnalysisRequest.model_validate({"alertContext": ALERT | alert}), catalogue=lambda: catalogue, tried=tried)


def offered(world=UNREADY, catalogue=CATALOGUE):
    return {each.id: each.target.path() for each in offers(asked(catalogue), world.snapshot())}


def held(world=UNREADY, question=None, **changes):
    said = read(json.dumps(HONEST | changes))
    assert not isinstance(said, list), said
    question, snapshot = question or asked(), world.snapshot()
    return hold(said, question, snapshot, offers(question, snapshot))


def test_offered_is_what_could_act_on_the_target_with_facts_that_the_cluster_shows():
    deployment = f"{NS}/deployment/checkout"
    assert offered() == {
        "increase-memory-conservative": deployment,
        "restart-deployment": deployment,
        "restart-pod": f"{NS}/pod/checkout-hash1-0",
        "scale-deployment": deployment,
    }


def test_a_rollback_is_offered_where_there_is_a_revision_before():
    world = UNREADY.but(revision=2, previous=[container(image="app:0")])
    assert "rollback-deployment" in offered(world)
    found = held(world, workflow="rollback-deployment", evidence=[{"object": f"deployment/{NS}/checkout"}], parameters={"REVISION": "7"})
    assert isinstance(found, Finding)
    assert found.facts["rollout.revision.previous"] == "1"


def test_no_ready_pod_is_offered_for_a_restart():
    assert "restart-pod" not in offered(UNREADY.but(statuses=[[running()]] * 2))


def test_a_workflow_that_is_shelved_is_not_offered_and_of_versions_only_the_newest():
    old, new, shelved = (CATALOGUE[3].model_copy(deep=True) for _ in range(3))
    new.spec = new.spec.model_copy(update={"version": "1.10.0"})
    shelved.spec = shelved.spec.model_copy(update={"version": "9.0.0"})
    shelved.status.catalog_status = CatalogStatus.DISABLED
    [found] = offers(asked([new, old, shelved]), UNREADY.snapshot())
    assert found.workflow.spec.version == "1.10.0"


FAULTS = {
    "an unknown workflow": ({"workflow": "delete-everything"}, "none of those offered"),
    "a workflow that is not for this target": ({"workflow": "cordon-drain-node"}, "none of those offered"),
    "an unknown parameter": ({"parameters": {"COMMAND": "sh"}}, "COMMAND is none of the workflow's"),
    "a value of the wrong type": ({"workflow": "scale-deployment", "parameters": {"REPLICAS": "many"}}, "is no integer"),
    "a value beyond its bounds": ({"workflow": "scale-deployment", "parameters": {"REPLICAS": 10_000}}, "is more than 100"),
    "a required parameter that is missing": ({"workflow": "scale-deployment"}, "REPLICAS is required and not given"),
    "no evidence": ({"evidence": []}, "none of its evidence"),
    "evidence of an object elsewhere": ({"evidence": [{"object": "pod/kube-system/coredns"}]}, "none of its evidence"),
    "an amount that is no amount": (
        {"workflow": "increase-memory-conservative", "parameters": {"MEMORY_LIMIT": "1Gi; rm -rf /"}},
        "MEMORY_LIMIT",
    ),
}


@pytest.mark.parametrize(("changes", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_what_does_not_hold_is_told(changes, words):
    found = held(**changes)
    assert isinstance(found, list)
    assert words in "; ".join(found)


def test_a_container_that_is_none_is_a_fault():
    world = UNREADY.but(containers=[container("app"), container("sidecar")], statuses=[[running("app", ready=False), running("sidecar")]])
    answer = {"workflow": "increase-memory-conservative", "parameters": {"MEMORY_LIMIT": "512Mi", "CONTAINER_NAME": "elsewhere"}}
    found = held(world, **answer)
    assert isinstance(found, list)
    assert "there is no container 'elsewhere'; there are app, sidecar" in found


def test_what_was_tried_and_did_not_help_is_a_fault():
    values = {"NAMESPACE": NS, "DEPLOYMENT_NAME": "checkout"}
    first = held()
    assert isinstance(first, Finding)
    chosen = select(CATALOGUE, Case(first, asked().request.alert_context)).chosen
    assert chosen is not None
    tried = PreviousExecution(workflow_id="restart-deployment", parameters=dict(chosen.parameters))
    found = held(question=asked(tried=(tried,)))
    assert isinstance(found, list)
    assert values.items() <= chosen.parameters.items()


def test_an_answer_that_holds_names_the_one_workflow_that_selection_takes():
    found = held(workflow="scale-deployment", parameters={"REPLICAS": 5})
    assert isinstance(found, Finding)
    rival = CATALOGUE[-2].model_copy(deep=True)
    rival.spec = rival.spec.model_copy(update={"workflow_id": "a-rival", "version": "9.0.0"})
    chosen = select([rival, *CATALOGUE], Case(found, asked().request.alert_context)).chosen
    assert chosen is not None
    assert (chosen.workflow_id, chosen.parameters["REPLICAS"], chosen.parameters["DEPLOYMENT_NAME"]) == (
        "scale-deployment",
        "5",
        "checkout",
    )


def test_a_cause_without_a_fix_is_for_a_person():
    found = held(workflow="")
    assert isinstance(found, Finding)
    assert (found.verdict, found.action, found.cause.name) == (Verdict.CAUSE_FOUND, "", "Deadlock")


def test_not_known_is_an_answer_and_healthy_is_none():
    unknown, healthy = held(cause="Unknown", evidence=[]), held(cause="Healthy", workflow="")
    assert isinstance(unknown, Finding)
    assert isinstance(healthy, Finding)
    assert (unknown.verdict, healthy.verdict) == (Verdict.INCONCLUSIVE, Verdict.CAUSE_FOUND)


@pytest.mark.parametrize(
    "text",
    ["", "no", "{", "[1]", '{"cause": "x"}', "{}" * 10, "x" * (ANSWER_LIMIT + 1), json.dumps(HONEST | {"confidence": 2})],
    ids=["nothing", "words", "half", "a list", "a part", "several", "too long", "out of bounds"],
)
def test_what_is_no_answer_is_a_fault(text):
    assert isinstance(read(text), list)


@settings(max_examples=60)
@given(st.text(max_size=300))
def test_no_text_breaks_the_reading(text):
    for said in (text, "{" + text + "}", json.dumps(HONEST | {"summary": text or "x", "cause": "Deadlock", "advice": text})):
        answer = read(said)
        assert isinstance(answer, list) or hold(answer, asked(), UNREADY.snapshot(), offers(asked(), UNREADY.snapshot()))


def test_an_answer_around_which_there_are_words_is_read():
    assert not isinstance(read(f"Here it is:\n```json\n{json.dumps(HONEST)}\n```"), list)


def key(world, question=None):
    question, snapshot = question or asked(), world.snapshot()
    return evidence_of(question, snapshot, offers(question, snapshot))


SAME = {
    "restarts and ages": UNREADY.but(statuses=[[running(ready=False, restarts=9, since=ago(minutes=1))]] * 2),
    "one more pod in the same state": UNREADY.but(statuses=[[running(ready=False)]] * 3),
    "an event with another random name in it": UNREADY.but(events=[event("Unhealthy", "probe of pod-7f9c4 failed 12 times")]),
}
OTHER = {
    "another state": UNREADY.but(statuses=[[crash_loop(OOM)]] * 2),
    "another image": UNREADY.but(containers=[container(image="app:2")]),
    "another target": UNREADY.but(name="basket"),
    "another event": UNREADY.but(events=[event("FailedMount", "no such volume")]),
    "another ConfigMap key": UNREADY.but(config_maps={"settings": frozenset({"port"})}),
}


@pytest.mark.parametrize("world", SAME.values(), ids=SAME.keys())
def test_equal_trouble_has_one_key(world):
    plain = UNREADY.but(events=[event("Unhealthy", "probe of pod-8a1b2 failed 3 times")]) if world.events else UNREADY
    assert key(world) == key(plain)


@pytest.mark.parametrize("world", OTHER.values(), ids=OTHER.keys())
def test_other_trouble_has_another_key(world):
    assert key(world) != key(UNREADY)


def test_an_attempt_that_failed_makes_it_another_case():
    again = asked(tried=(PreviousExecution(workflow_id="restart-deployment"),))
    assert case_of(again, UNREADY.snapshot()) != case_of(asked(), UNREADY.snapshot())
    assert key(UNREADY, again) != key(UNREADY)


KILLED = World(containers=[container(memory="128Mi")], statuses=[[crash_loop(OOM)]] * 2).judged()
PUZZLED = replace(KILLED, verdict=Verdict.INCONCLUSIVE, action="", facts={}, cause=replace(KILLED.cause, name="Unknown", confidence=0.0))


def opinion(**changes) -> Finding:
    found = held(**changes)
    assert isinstance(found, Finding)
    return replace(found, warnings=("a warning",))


@pytest.mark.parametrize(
    ("known", "second"),
    [
        pytest.param(KILLED, opinion(), id="disagreement"),
        pytest.param(KILLED, replace(opinion(), action=KILLED.action, target=KILLED.target), id="agreement"),
        pytest.param(KILLED, opinion(cause="Unknown", evidence=[]), id="no second cause"),
        pytest.param(PUZZLED, opinion(cause="Unknown", evidence=[]), id="neither knows"),
    ],
)
def test_a_second_opinion_changes_neither_cause_nor_action_nor_target_nor_confidence(known, second):
    both = together(known, second)
    assert (both.action, both.target, both.facts, both.verdict) == (known.action, known.target, known.facts, known.verdict)
    assert (both.cause.name, both.cause.confidence, both.investigator) == (known.cause.name, known.cause.confidence, "rules")
    assert "a warning" in both.warnings


def test_where_the_first_knows_nothing_the_second_counts():
    assert together(PUZZLED, opinion()).cause.name == "Deadlock"
    assert "HolmesGPT advises: Look." in together(PUZZLED, opinion(cause="Unknown", evidence=[], advice="Look.")).advice


@pytest.mark.parametrize("text", ["", "yes", '{"fits": "all"}', '{"fits": [1]}', "{}"], ids=["nothing", "word", "text", "number", "empty"])
def test_a_second_look_that_says_nothing_supports_nothing(text):
    assert blind.fits(text) == frozenset()


def test_a_second_look_is_read():
    assert blind.fits('so: {"fits": ["restart-pod"]}') == {"restart-pod"}


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"env:\n- name: DB_PASSWORD\n  value: {SECRET}\n",
        f'"env": [{{"name": "API_TOKEN", "value": "{SECRET}"}}]',
        f'{{"value": "{SECRET}", "name": "MY_SECRET"}}',
        f"[map[name:DB_PASSWORD value:{SECRET}]]",
        json.dumps(json.dumps({"password": SECRET})),
        json.dumps(json.dumps({"env": [{"name": "DB_PASSWORD", "value": SECRET}]})),
        f"postgres://app:{SECRET}@db/shop",
        f"Authorization: Bearer {SECRET}",
    ],
    ids=["message", "yaml", "json", "the other way round", "go", "json in json", "env in json in json", "url", "header"],
)
def test_no_secret_passes(text):
    assert SECRET in text
    assert SECRET not in hide(text)
    assert SECRET not in screen(text, Sieve()).text


def test_what_is_no_secret_stays():
    text = "env:\n- name: LOG_LEVEL\n  value: debug\n"
    assert screen(text, Sieve()).text == text


def test_names_that_are_words_of_the_language_are_no_sign_of_an_order():
    plain = CATALOGUE[0].model_copy(deep=True)
    plain.spec = plain.spec.model_copy(update={"workflow_id": "restart", "action_type": "Restart"})
    assert words([plain, CATALOGUE[3]]) == {"restart-deployment", "RestartDeployment"}
