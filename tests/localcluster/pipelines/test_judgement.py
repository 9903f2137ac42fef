"""The pure parts: names, times, variables, parameters, the order of tasks, and what keeps a plan honest."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.localcluster.pipelines import params, plan
from kubernaut.localcluster.pipelines.documents import MAX_NODES, Undecodable, decode, pipeline_faults, unsupported
from kubernaut.localcluster.pipelines.graph import cycle, links, ordered
from kubernaut.localcluster.pipelines.names import child_name, pod_name, request_name, task_run_name
from kubernaut.localcluster.pipelines.times import duration, written
from kubernaut.localcluster.pipelines.variables import Variables, expand, references
from kubernaut.localcluster.pipelines.workdir import WorkDir, termination_message, too_large

pytestmark = pytest.mark.unit

N = "n" * 63


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param(task_run_name("run", "greet"), "run-greet", id="short"),
        pytest.param(task_run_name(N, "greet"), "n" * 25 + "faae1dabe1c66732dffc3c857df5767e-greet", id="recorded for 63 characters"),
        pytest.param(task_run_name(N, "tidy"), "n" * 26 + "faae1dabe1c66732dffc3c857df5767e-tidy", id="recorded, shorter suffix"),
        pytest.param(pod_name("run-flaky", 0), "run-flaky-pod", id="pod"),
        pytest.param(pod_name("run-flaky", 1), "run-flaky-pod-retry1", id="pod of a retry"),
    ],
)
def test_names_are_those_tekton_derives(name, wanted):
    assert name == wanted


@given(st.from_regex(r"[a-z0-9]{1,70}", fullmatch=True), st.from_regex(r"-[a-z0-9]{1,70}", fullmatch=True))
def test_derived_names_always_fit_a_label(parent, suffix):
    assert len(child_name(parent, suffix)) <= 63


def test_the_name_of_a_resolution_request_is_the_recorded_hash_in_any_order_of_parameters():
    rows = [
        {"name": "bundle", "value": "127.0.0.1:22500/tekton/pipelines:1"},
        {"name": "name", "value": "hello"},
        {"name": "kind", "value": "pipeline"},
    ]
    for order in (rows, rows[::-1]):
        assert request_name("bundles", "case-success/run", order) == "bundles-2b8cf27aa2c9e0a9f71a6cdcfb1bb50d"


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("1h0m0s", 3600, "1h0m0s"),
        ("90s", 90, "1m30s"),
        ("8s", 8, "8s"),
        ("300ms", 0.3, "300ms"),
        ("1.5s", 1.5, "1.5s"),
        ("0", 0, "0s"),
        ("1h30m", 5400, "1h30m0s"),
    ],
)
def test_durations_are_read_and_written_as_in_go(text, seconds, shown):
    assert duration(text) == timedelta(seconds=seconds)
    assert written(duration(text)) == shown


@pytest.mark.parametrize("text", ["soon", "5", "", "s", "1h soon"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="invalid duration"):
        duration(text)


VARIABLES: Variables = {
    "params.who": "world",
    "params.list": ["a", "b"],
    "params.obj": {"key": "value"},
    "params.dotted.name": "yes",
    "params.empty": "",
}


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        pytest.param("hello $(params.who)!", "hello world!", id="text"),
        pytest.param("$(params['who']) $(params[\"dotted.name\"])", "world yes", id="quoted names"),
        pytest.param("$(params.obj.key)$(params.list[1])$(params.empty)", "valueb", id="member, item, empty"),
        pytest.param(["x", "$(params.list[*])", "y"], ["x", "a", "b", "y"], id="a list spliced into a list"),
        pytest.param({"value": "$(params.obj[*])"}, {"value": {"key": "value"}}, id="a whole object"),
        pytest.param("$(params.nosuch) $(params.list[9]) $(date)", "$(params.nosuch) $(params.list[9]) $(date)", id="unknown stays"),
        pytest.param({"n": 1, "t": True}, {"n": 1, "t": True}, id="no text"),
    ],
)
def test_variables_are_put_in(given_, wanted):
    assert expand(given_, VARIABLES) == wanted


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.text() | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_structure_without_known_variables_stays_as_it_is(value):
    assert expand(value, {}) == value


def test_references_are_found_anywhere():
    assert references({"a": ["$(tasks.x.results['r.s'])"], "b": "$(params.y)"}) == ["tasks.x.results.r.s", "params.y"]


def test_defaults_fill_in_what_is_not_given_key_by_key():
    declared: list[dict[str, Any]] = [{"name": "a", "default": "1"}, {"name": "o", "default": {"x": "1", "y": "2"}}]
    assert params.resolved(declared, {"o": {"y": "3"}}) == {"params.a": "1", "params.o": {"x": "1", "y": "3"}}
    assert params.missing([{"name": "a"}, {"name": "b", "default": ""}], {}) == ["a"]
    assert params.mismatched([{"name": "l", "type": "array"}], {"l": "text"}) == ["l"]
    assert params.missing_keys([{"name": "o", "properties": {"x": {}, "y": {}}}], {"o": {"x": "1"}}) == {"o": ["y"]}


def task(name, *after, when=True):
    return {
        "name": name,
        "runAfter": list(after),
        "when": [] if when else [{"input": "a", "operator": "in", "values": ["b"]}],
        "taskSpec": {},
    }


def taskrun(status, reason="", message=""):
    return {"spec": {"statusMessage": message}, "status": {"conditions": [{"type": "Succeeded", "status": status, "reason": reason}]}}


def test_tasks_are_ordered_and_circles_found():
    tasks = [task("c", "b"), task("b", "a"), task("a")]
    assert [row["name"] for row in ordered(tasks)] == ["a", "b", "c"]
    assert cycle(tasks) is None
    assert cycle([task("a", "b"), task("b", "a"), task("z", "a")]) == ("a", "b")
    assert links({"params": [{"name": "p", "value": "$(tasks.x.results.r)"}], "runAfter": ["x", "y"]}) == ["x", "y"]


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [
        pytest.param([], "missing field(s): spec.tasks", id="none"),
        pytest.param([task("a"), task("a")], "expected exactly one, got both: spec.tasks[1].name", id="same name"),
        pytest.param([{"name": "a"}], "expected exactly one, got neither: spec.tasks[0].taskRef, spec.tasks[0].taskSpec", id="no body"),
        pytest.param([task("a")], "missing field(s): spec.tasks[0].taskSpec.steps", id="no steps"),
        pytest.param(
            [{"name": "a", "taskSpec": {"steps": [{"name": "s"}]}}],
            "missing field(s): spec.tasks[0].taskSpec.steps[0].Image",
            id="no image",
        ),
        pytest.param([task("a", "b"), task("b", "a")], 'invalid value: cycle detected; task "a" depends on "b": spec.tasks', id="circle"),
    ],
)
def test_a_bad_pipeline_is_refused_in_the_words_of_the_webhook(tasks, wanted):
    assert pipeline_faults({"tasks": tasks}) == wanted


def test_what_needs_a_real_cluster_is_refused_by_name():
    assert "matrix" in unsupported({"tasks": [{"name": "a", "matrix": {}}]})
    assert "custom tasks" in unsupported({"tasks": [{"name": "a", "taskRef": {"apiVersion": "example.com/v1"}}]})


@pytest.mark.parametrize("text", [b"[1]", b"{}", b"a: b: c", b"\xff\xfe\x00", b"a: &x [1]\nkind: [*x, *x"])
def test_what_is_no_object_cannot_be_decoded(text):
    with pytest.raises(Undecodable):
        decode(text)


def test_a_document_of_aliases_upon_aliases_is_refused():
    rows = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))]
    assert MAX_NODES < 2**30
    with pytest.raises(Undecodable, match="excessive aliasing"):
        decode("\n".join([*rows, "kind: Task"]).encode())


def test_yaml_times_stay_text():
    assert decode(b"kind: Task\nat: 2026-01-01T00:00:00Z")["at"] == "2026-01-01T00:00:00Z"


OUTCOMES = [
    taskrun("True", "Succeeded"),
    taskrun("False", "StepFailed"),
    taskrun("False", "FailureIgnored"),
    taskrun("False", "TaskRunCancelled"),
    taskrun("False", "TaskRunCancelled", plan.BY_TIMEOUT),
]


@st.composite
def pipelines(draw):
    names = [f"t{number}" for number in range(draw(st.integers(1, 6)))]
    tasks = [
        task(name, *draw(st.sets(st.sampled_from(names[:place]), max_size=3) if place else st.just(set())), when=draw(st.booleans()))
        for place, name in enumerate(names)
    ]
    return {"tasks": draw(st.permutations(tasks)), "finally": [task("f1"), task("f2", when=draw(st.booleans()))]}


@settings(max_examples=100, deadline=None)
@given(spec=pipelines(), stop=st.sampled_from(["", plan.CANCELLED_RUN_FINALLY, plan.STOPPED_RUN_FINALLY]), data=st.data())
def test_every_pipeline_comes_to_an_end_and_starts_each_task_at_most_once_after_all_it_waits_for(spec, stop, data):
    runs: dict[str, dict[str, Any]] = {}
    started: list[str] = []
    while True:
        facts = plan.Facts(spec, dict(runs), stop)
        ready = facts.ready()
        for row in ready:
            assert all(facts.outcome(name) != "running" for name in row["runAfter"])
            assert not {other["name"] for other in ready} & set(row["runAfter"])
            assert not (facts.stopping() and row in spec["tasks"])
            started.append(row["name"])
            runs[row["name"]] = taskrun("Unknown", "Running")
        running = [name for name, run in runs.items() if run["status"]["conditions"][0]["status"] == "Unknown"]
        if not running:
            break
        runs[data.draw(st.sampled_from(sorted(running)))] = data.draw(st.sampled_from(OUTCOMES))
    final = plan.verdict(plan.Facts(spec, runs, stop), "run", "")
    assert final.status in ("True", "False")
    assert max(Counter(started).values(), default=1) == 1
    count = plan.tally(plan.Facts(spec, runs, stop))
    assert count["incomplete"] == 0
    assert len(runs) + count["skipped"] + count["invalid"] == len(spec["tasks"]) + len(spec["finally"])


def test_a_long_chain_of_tasks_does_not_exhaust_the_stack():
    tasks = [task(f"t{number}", *([f"t{number - 1}"] if number else [])) for number in range(400)]
    facts = plan.Facts({"tasks": tasks[::-1]}, {})
    assert [row["name"] for row in facts.ready()] == ["t0"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cat /tekton/results/x", "cat {root}/tekton/results/x"),
        ('cd "/workspace" && ls', 'cd "{root}/workspace" && ls'),
        ("out=/workspace/data/f", "out={data}/f"),
        (
            "curl https://host/tekton/x $HOME/workspace a/tekton $(pwd)/workspace",
            "curl https://host/tekton/x $HOME/workspace a/tekton $(pwd)/workspace",
        ),
        ("/workspaces /tektonic", "/workspaces /tektonic"),
    ],
)
def test_paths_of_a_container_become_private_ones(text, wanted, tmp_path):
    work = WorkDir(tmp_path, {"/workspace/data": tmp_path / "data"})
    assert work.mapped(text) == wanted.replace("{root}", str(tmp_path / "root")).replace("{data}", str(tmp_path / "data"))


def test_a_step_sees_nothing_of_this_process_and_its_paths_first(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    env = WorkDir(tmp_path, {}).environment({"env": [{"name": "A", "value": "/tekton/home"}]}, [tmp_path / "bin"], {"B": "b"})
    assert set(env) == {"PATH", "HOME", "TMPDIR", "LANG", "KUBECONFIG", "A", "B"}
    assert env["PATH"].startswith(f"{tmp_path}/bin:")
    assert env["A"] == env["HOME"] == f"{tmp_path}/root/tekton/home"


def test_the_termination_message_is_the_json_of_gos_encoder():
    assert termination_message({"a": "<1>"}) == '[{"key":"a","value":"\\u003c1\\u003e","type":1}]'
    assert json.loads(termination_message({"a": "<1>"}))[0]["value"] == "<1>"
    assert not termination_message({})
    assert too_large({"a": "x" * 4096}, "2026-01-01T00:00:00.000Z")
    assert not too_large({"a": "x" * 3900}, "2026-01-01T00:00:00.000Z")
