"""How conditions that users write are read and judged, without a cluster."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kubernaut
from kubernaut.api.execution import ConditionResult
from kubernaut.conditions.judging import LANGUAGE, Condition, asked, judge, settle
from kubernaut.conditions.text import DEFAULTS, LONGEST, MAX_DESCRIPTION, MAX_LIST, MAX_SAMPLES, SHIPPED, reading
from kubernaut.execution.actions.registry import Registry, built
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.policy.document import BrokenPolicy

pytestmark = pytest.mark.unit
T0 = datetime(2026, 1, 1, tzinfo=UTC)
READ = reading(Registry(built()).names())


def text(when, **more):
    lines = "".join(f"\n      {key}: {value}" for key, value in {"type": "some", "description": "It is so.", **more}.items())
    return f"actions:\n  scale-deployment:\n    pre:\n    -{lines[6:]}\n      when: {when}\n"


def condition(when="true", **more) -> Condition:
    [found] = READ(text(when, **more), "conditions.yaml").actions["scale_deployment"].pre
    return found


def judged(when, unread="", **values) -> ConditionResult:
    [found] = judge([condition(when)], values, (), T0, unread)
    return found


def broken(written) -> str:
    with pytest.raises(BrokenPolicy) as fault:
        READ(written, "conditions.yaml")
    return str(fault.value)


API = {"metadata": {"name": "api"}, "spec": {"replicas": 3, "paused": True}, "status": {"readyReplicas": 2}}


@pytest.mark.parametrize(
    ("when", "passed"),
    [
        pytest.param("target.spec.replicas == 3", True, id="a field of the target"),
        pytest.param("target.status.readyReplicas >= target.spec.replicas", False, id="two of them"),
        pytest.param("target.spec.paused", True, id="a field that is true or false"),
        pytest.param("parameters.replicas > target.spec.replicas", True, id="a parameter"),
        pytest.param("namespaceObject.metadata.labels[?'tier'].orValue('') == 'gold'", True, id="a label of the namespace"),
        pytest.param("pods.all(pod, pod.status.phase == 'Running')", False, id="every pod"),
        pytest.param("pods.exists(pod, pod.status.phase == 'Running')", True, id="some pod"),
        pytest.param("target.?status.?missing.orValue(0) == 0", True, id="what may be missing"),
        pytest.param("action == 'scale_deployment' && workflow == ''", True, id="what is done"),
    ],
)
def test_a_condition_is_met_or_not(when, passed):
    pods = [{"status": {"phase": "Running"}}, {"status": {"phase": "Pending"}}]
    namespace = {"metadata": {"labels": {"tier": "gold"}}}
    found = judged(when, target=API, parameters={"replicas": 5}, namespaceObject=namespace, pods=pods, action="scale_deployment")
    assert found == ConditionResult(
        condition_type="some", evaluated=True, passed=passed, error_message="" if passed else "It is so.", evaluation_time=T0
    )


@pytest.mark.parametrize(
    ("when", "unread", "why"),
    [
        pytest.param("target.spec.nodeName == 'a'", "", "there is no key 'nodeName'", id="a missing field"),
        pytest.param("target.status.conditions[0].type == 'a'", "", "there is no key 'conditions'", id="a missing list"),
        pytest.param("target.spec.replicas", "", "it is neither true nor false", id="a number"),
        pytest.param("target.spec.replicas < 'a'", "", "No matching overloads", id="another type"),
        pytest.param("true", "pods is forbidden", "pods is forbidden", id="what could not be read"),
    ],
)
def test_a_condition_that_cannot_be_told_is_not_met_and_says_why(when, unread, why):
    found = judged(when, unread, target=API)
    assert (found.evaluated, found.passed) == (False, False)
    assert found.error_message.startswith("It is so. (not known: ")
    assert why in found.error_message


def test_what_is_judged_as_before_keeps_its_time():
    wanted = [condition("target.spec.replicas == 3")]
    first = judge(wanted, {"target": API}, (), T0)
    later = T0 + timedelta(seconds=9)
    assert judge(wanted, {"target": API}, first, later) == first
    assert judge(wanted, {"target": {"spec": {"replicas": 2}}}, first, later)[0].evaluation_time == later


SOON = T0 + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("required", "since", "patient", "end"),
    [
        pytest.param("true", T0, True, "waits", id="a required one is waited for"),
        pytest.param("true", T0, False, "waits", id="in any case"),
        pytest.param("true", T0 - timedelta(seconds=10), True, "failed", id="until it is out of time"),
        pytest.param("true", None, True, "failed", id="or when no time is given"),
        pytest.param("false", T0, True, "waits", id="an optional one is waited for when told so"),
        pytest.param("false", T0, False, "warnings", id="else people are warned"),
        pytest.param("false", T0 - timedelta(seconds=10), True, "warnings", id="as they are when it is out of time"),
    ],
)
def test_what_follows_from_one_that_is_not_met(required, since, patient, end):
    wanted = [condition("false", required=required, timeout="10s")]
    found = settle(wanted, judge(wanted, {}, (), T0), since, T0, wait_for_optional=patient)
    assert {name for name in ("failed", "waits", "warnings") if getattr(found, name)} == {end}
    assert "some: It is so." in str(getattr(found, end))
    assert found.until == (SOON if end == "waits" else None)


Cases = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 20)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(Cases, st.integers(0, 25), st.booleans())
def test_nothing_goes_on_while_a_required_one_is_not_met_and_all_comes_to_an_end(cases, passed, patient):
    rows = [
        (Condition(f"c{index}", "why", CONDITION.when, required, timedelta(seconds=time)), ConditionResult(condition_type="c", passed=met))
        for index, (required, met, time) in enumerate(cases)
    ]
    now = T0 + timedelta(seconds=passed)
    found = settle([row[0] for row in rows], [row[1] for row in rows], T0, now, wait_for_optional=patient)
    unmet = [wanted for wanted, result in rows if not result.passed]
    goes_on = not found.failed and not found.waits
    assert bool(found.failed) <= any(each.required and T0 + each.timeout <= now for each in unmet)
    assert not (goes_on and any(each.required for each in unmet))
    assert not (found.failed and found.waits)
    assert (found.until is not None) == bool(found.waits)
    assert found.until is None or found.until > now
    assert not goes_on or len(found.warnings) == len(unmet)
    if passed > max((time for *_, time in cases), default=0):
        assert not found.waits


CONDITION = condition()


def test_only_what_is_asked_for_is_read():
    wanted = [condition("size(pods) > 0"), condition("target.spec.podsLimit == 1")]
    assert asked(wanted, "pods")
    assert not asked(wanted[1:], "pods")
    assert not asked(wanted, "namespaceObject")


def test_without_a_text_there_are_none():
    shipped = READ(SHIPPED, "shipped")
    assert (shipped.rules, shipped.of(["scale_deployment"], "some").pre) == ([], ())


def test_conditions_of_an_action_and_of_a_workflow_hold_together_and_the_workflows_wins_by_type():
    found = READ(
        "actions:\n  scale_deployment: {post: [{type: a, description: x, when: 'true'}, {type: b, description: y, when: 'true'}]}\n"
        "workflows:\n  grow: {post: [{type: b, description: z, when: 'true', timeout: 5s, required: false}]}\n",
        "conditions.yaml",
    )
    of_both = found.of(["scale_deployment"], "grow").post
    assert [(each.type, each.description, each.required) for each in of_both] == [("a", "x", True), ("b", "z", False)]
    assert [each.timeout for each in of_both] == [timedelta(minutes=2), timedelta(seconds=5)]
    assert [each.description for each in found.of(["scale_deployment"]).post] == ["x", "y"]
    assert found.of(["rollout_restart"], "other").post == ()
    assert condition().timeout == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        pytest.param("", "the text is empty", id="nothing"),
        pytest.param("rules: []", "1:1: the text has no key 'rules'. Its keys are actions, workflows", id="another document"),
        pytest.param("actions:\n  format_disk: {}", "2:3: there is no action 'format_disk'", id="an unknown action"),
        pytest.param("actions: {drain-node: {}, drain_node: {}}", "drain_node is there twice", id="one action in two spellings"),
        pytest.param("workflows: {'a b': {}}", "'a b' is no workflow's id", id="no id"),
        pytest.param("actions: {drain_node: {during: []}}", "drain_node has no key 'during'. Its keys are pre, post", id="another time"),
        pytest.param("actions: {drain_node: {pre: {}}}", "`pre` must be a list", id="no list"),
        pytest.param(text("tarjet.spec == 1"), "6:19: `when`: undeclared reference to 'tarjet.spec'", id="a misspelt variable"),
        pytest.param(text("namespace == 'a'"), "The variables are target", id="a reserved word"),
        pytest.param(text("size(pods)"), "`when` must give bool, and this gives int", id="no truth value"),
        pytest.param(text("target.spec == "), "7:", id="half an expression"),
        pytest.param(text("true", type="a b"), "'a b' is no type", id="a bad type"),
        pytest.param(text("true", required="maybe"), "`required` is true or false", id="no flag"),
        pytest.param(text("true", timeout="soon"), "'soon' is no duration", id="no duration"),
        pytest.param(text("true", timeout="2h"), "`timeout` is longer than 0:10:00", id="too patient"),
        pytest.param(text("true", description="x" * 201), "the description is longer than 200", id="a long description"),
        pytest.param(text("true", color="red"), "a condition has no key 'color'", id="an unknown key"),
        pytest.param("actions: {drain_node: {pre: [{when: 'true'}]}}", "has no `type`", id="no type"),
        pytest.param("actions: {drain_node: {pre: [{type: a, when: 'true'}]}}", "has no `description`", id="no description"),
        pytest.param("actions: {drain_node: {pre: [{type: a, description: x}]}}", "has no `when`", id="no expression"),
        pytest.param(
            "actions: {drain_node: {pre: [" + "{type: a, description: x, when: 'true'}," * 2 + "]}}", "is of type 'a'", id="one type twice"
        ),
        pytest.param("actions: {drain_node: {pre: [" + "{}," * (MAX_LIST + 1) + "]}}", f"at most {MAX_LIST}", id="too many"),
        pytest.param(text("true", samples="[" + "{expect: {met: true}}," * (MAX_SAMPLES + 1) + "]"), "at most 20", id="too many samples"),
        pytest.param("a: " * 40000, "larger than 65536 bytes", id="too large"),
    ],
)
def test_a_text_that_cannot_be_used_says_where_and_why(written, why):
    told = broken(written)
    assert why in told
    assert re.match(r"conditions.yaml:\d+:\d+: ", told)


SAMPLE = "[{name: three, given: {target: {spec: {replicas: %s}}}, expect: {met: %s}}]"


def test_samples_are_judged_before_the_text_holds():
    assert condition("target.spec.replicas > 2", samples=SAMPLE % (3, "true"))
    assert condition("target.spec.replicas > 2", samples=SAMPLE % (2, "false"))
    told = broken(text("target.spec.replicas > 2", samples=SAMPLE % (2, "true")))
    assert "sample 'three' expects some to be met, but it is not met: It is so." in told
    told = broken(text("target.spec.replicas > 2", samples=SAMPLE % (3, "false")))
    assert "expects some to be unmet, but it is met" in told


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        pytest.param("[{given: {target: {spec: {}}}}]", "expects nothing", id="no expectation"),
        pytest.param("[{given: {target: 3}, expect: {met: true}}]", "target must be of type object", id="a wrong type"),
        pytest.param("[{given: {pods: [3]}, expect: {met: true}}]", "pods must be of type list(object)", id="a wrong list"),
        pytest.param("[{given: {nodes: []}, expect: {met: true}}]", "there is no variable nodes", id="an unknown variable"),
        pytest.param("[{expect: {passed: true}}]", "nothing named 'passed' to expect", id="an unknown word"),
        pytest.param('[{given: {target: {a: "\\uD800"}}, expect: {met: true}}]', "not known", id="half a character"),
    ],
)
def test_a_sample_that_cannot_be_judged_is_told(samples, why):
    assert why in broken(text("target.spec.replicas > 2", samples=samples))


PAGE = (Path(kubernaut.__file__).parent.parent.parent / "docs/policies.md").read_text(encoding="utf-8")


def test_the_pages_example_is_sound_and_its_samples_hold():
    [example] = re.findall(r"```yaml\n(actions:.*?)```", PAGE, re.DOTALL)
    found = READ(example, "conditions.yaml")
    assert [each.type for each in found.of(["scale_deployment"], "checkout-recovery").post] == [
        "desired_replicas_running",
        "no_crashloop_pods",
        "checkout_has_two",
    ]


def test_every_variable_and_bound_is_on_the_page_and_the_text_is_where_the_settings_look():
    for name, variable in LANGUAGE.variables.items():
        assert f"| `{name}` | {variable.type.label} | {variable.about} |" in PAGE
    assert f"a list {MAX_LIST} conditions, a condition {MAX_SAMPLES} samples" in PAGE
    assert f"at most {MAX_DESCRIPTION} characters" in PAGE
    bounds = (DEFAULTS["pre"], LONGEST["pre"], DEFAULTS["post"], LONGEST["post"])
    assert bounds == (timedelta(seconds=30), timedelta(minutes=10), timedelta(minutes=2), timedelta(hours=1))
    assert "30 s in `pre`, at most 10 minutes; 2 minutes in `post`, at most 1 hour" in PAGE
    source = ExecutionSettings().conditions
    assert f"`{source.config_map}`, under the key `{source.key}`" in PAGE
