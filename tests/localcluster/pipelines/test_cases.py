"""The recorded cases of a real Tekton, played by the stand-in: the tables are written by hand from the recordings."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.localcluster.pipelines.stage import NAMESPACE, REGISTRY, bundle_ref, condition, short, tekton

pytestmark = pytest.mark.cluster

DONE = ("0", "Completed", "Completed")
WHOLE = ["no condition", "Unknown/Pending", "Unknown/Running", "True/Succeeded"]
FAILED = [*WHOLE[:3], "False/StepFailed"]
ALL_DONE = "All Steps have completed executing"
WHO = [{"name": "who", "value": "world"}]


def counted(completed, failed, incomplete=0, skipped=0, cancelled=0):
    waiting = f"Incomplete: {incomplete}, " if incomplete else ""
    return f"Tasks Completed: {completed} (Failed: {failed}, Cancelled {cancelled}), {waiting}Skipped: {skipped}"


@dataclass(frozen=True)
class Task:
    way: list[str]
    message: str
    steps: dict[str, tuple[str, str, str]]
    results: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    pipeline: str
    way: list[str]
    messages: list[str]
    tasks: dict[str, Task]
    spec: dict[str, Any] = field(default_factory=dict)
    bundle: str = "pipelines:1"
    results: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    finally_started: bool = False


def good(*steps, **results):
    return Task(WHOLE, ALL_DONE, dict.fromkeys(steps, DONE), results)


def broke(step, code, *, way=FAILED, others=()):
    return Task(way, f'"step-{step}" exited with code {code}: Error', {**dict(others), step: (str(code), "Error", "Error")})


RESOLVING = ["no condition", "Unknown/ResolvingPipelineRef"]
TO_THE_END = [*RESOLVING, "Unknown/Running", "True/Succeeded"]
TO_FAILURE = [*RESOLVING, "Unknown/Running", "False/Failed"]
AWAITING = f"PipelineRun {NAMESPACE}/run awaiting remote resource"

HELLO = Case(
    "hello",
    [*RESOLVING, "Unknown/ResolvingTaskRef", "Unknown/Running", "True/Succeeded"],
    [AWAITING, counted(0, 0, 3), counted(1, 0, 2), counted(2, 0, 1), counted(3, 0)],
    {
        "run-greet": good("say", "count", greeting="hello world", length="5"),
        "run-shout": good("shout", loud="HELLO WORLD"),
        "run-tidy": good("tidy"),
    },
    spec={"params": WHO},
    results={"GREETING": "hello world", "LOUD": "HELLO WORLD", "LENGTH": "5"},
    finally_started=True,
)

CASES = {
    "success": HELLO,
    "bundle-raw-layer": Case(**{**vars(HELLO), "bundle": "raw:1"}),
    "param-extra": Case(**{**vars(HELLO), "spec": {"params": [*WHO, {"name": "nobody", "value": "asked"}]}}),
    "param-object-key": Case(**{**vars(HELLO), "spec": {"params": [*WHO, {"name": "opts", "value": {"size": "9"}}]}}),
    "step-exit-3": Case(
        "broken",
        TO_FAILURE,
        [AWAITING, counted(0, 0, 4), counted(1, 0, 3), counted(2, 1, 1, 1), counted(3, 1, 0, 1)],
        {
            "run-first": good("fine"),
            "run-second": Task(
                FAILED,
                '"step-break" exited with code 3: Error',
                {"before": DONE, "break": ("3", "Error", "Error"), "after": ("1", "Error", "Skipped")},
                {"partial": "partial"},
            ),
            "run-last": good("tidy"),
        },
        results={"PARTIAL": "partial"},
        skipped={"third": "PipelineRun was stopping"},
        finally_started=True,
    ),
    "command-missing": Case("command", TO_FAILURE, [AWAITING, counted(0, 0, 1), counted(1, 1)], {"run-bad": broke("bad", 1)}),
    "on-error-continue": Case(
        "carry-on",
        TO_THE_END,
        [AWAITING, counted(0, 0, 2), counted(1, 0, 1), "Tasks Completed: 2 (Failed: 1 (Ignored: 1), Cancelled 0), Skipped: 0"],
        {
            "run-soft": broke("break", 3, way=[*WHOLE[:3], "False/FailureIgnored"]),
            "run-stepsoft": Task(WHOLE, ALL_DONE, {"break": ("4", "Completed", "Continued"), "go": DONE}),
        },
    ),
    "parallel-one-fails": Case(
        "side-by-side",
        [*RESOLVING, "Unknown/Running", "Unknown/PipelineRunStopping", "False/Failed"],
        [AWAITING, counted(0, 0, 2), counted(1, 1, 1), counted(2, 1)],
        {"run-a": broke("quick", 7), "run-b": good("slow")},
    ),
    "retry": Case(
        "retry",
        TO_FAILURE,
        [AWAITING, counted(0, 0, 1), counted(1, 1)],
        {"run-flaky": broke("break", 5, way=[*WHOLE[:3], "Unknown/ToBeRetried", "Unknown/Pending", "Unknown/Running", "False/StepFailed"])},
    ),
    "workspace-emptydir": Case(
        "workspace",
        TO_THE_END,
        [AWAITING, counted(0, 0, 1), counted(1, 0)],
        {"run-ws": good("a")},
        spec={"workspaces": [{"name": "shared", "emptyDir": {}}]},
    ),
    "image-pull-failure": Case(
        "pull",
        TO_FAILURE,
        [AWAITING, counted(0, 0, 1), counted(1, 1)],
        {
            "run-pull": Task(
                ["no condition", "Unknown/Pending", "Unknown/PullImageFailed", "False/TaskRunImagePullFailed"],
                'the step "pull" in TaskRun "run-pull" failed to pull the image "". The pod errored with the message: "Back-off pulling image '
                '"127.0.0.1:22500/nosuch/image:1": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image '
                '"127.0.0.1:22500/nosuch/image:1": failed to resolve reference "127.0.0.1:22500/nosuch/image:1": '
                '127.0.0.1:22500/nosuch/image:1: not found."',
                {"pull": ("1", "TaskRunImagePullFailed", "TaskRunImagePullFailed")},
            )
        },
    ),
    "serviceaccount-missing": Case(
        "four",
        TO_FAILURE,
        [AWAITING, counted(0, 0, 4), counted(1, 1, 1, 2), counted(2, 2, 0, 2)],
        {
            name: Task(
                ["no condition", "False/PodCreationFailed"],
                f'failed to create task run pod "{name}": translating TaskSpec to Pod: serviceaccounts "nosuch" not found. Maybe invalid TaskSpec',
                {step: ("", "", "")},
            )
            for name, step in {"run-first": "fine", "run-last": "tidy"}.items()
        },
        spec={"taskRunTemplate": {"serviceAccountName": "nosuch"}},
        skipped={"second": "PipelineRun was stopping", "third": "PipelineRun was stopping"},
        finally_started=True,
    ),
    "result-missing": Case(
        "quiet",
        [*RESOLVING, "Unknown/Running", "False/CouldntGetPipelineResult"],
        [
            AWAITING,
            counted(0, 0, 2),
            "Failed to get PipelineResult from TaskRun Results for PipelineRun run: invalid pipelineresults [R], the referenced results don't exist",
        ],
        {"run-quiet": good("a")},
    ),
}


def steps_of(run):
    def state(step):
        ended = step.get("terminated", {})
        return str(ended.get("exitCode", "")), ended.get("reason", ""), step.get("terminationReason", "")

    return {step["name"]: state(step) for step in run["status"]["steps"]}


def results_of(run):
    return {result["name"]: result["value"] for result in run["status"].get("results", [])}


def check_task(run, way, wanted):
    assert way == wanted.way
    assert condition(run)[2] == wanted.message
    assert steps_of(run) == wanted.steps
    assert results_of(run) == wanted.results


def check_frame(status, case):
    assert [child["name"] for child in status["childReferences"]] == list(case.tasks)
    assert {task["name"]: task["reason"] for task in status.get("skippedTasks", [])} == case.skipped
    assert ("finallyStartTime" in status) == case.finally_started
    assert status["startTime"] <= status["completionTime"]
    assert status["provenance"]["refSource"]["entryPoint"] == case.pipeline


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
async def test_a_run_takes_the_recorded_way_to_its_end(case, settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref(case.pipeline, f"{REGISTRY}/tekton/{case.bundle}"), **case.spec})
        run = await stage.ended()
        assert stage.way("pipelineruns", "run") == case.way
        assert stage.messages() == case.messages
        assert results_of(run) == case.results
        check_frame(run["status"], case)
        for name, wanted in case.tasks.items():
            check_task(await stage.ended(name, "taskruns"), stage.way("taskruns", name), wanted)


RETRIEVING = f"Error retrieving pipeline for pipelinerun {NAMESPACE}/run: "
REQUESTING = f"{RETRIEVING}resolver failed to get Pipeline : error requesting remote resource: "
GETTING = REQUESTING + 'error getting "bundleresolver" "case/{request}": '
USER = f"[User error] PipelineRun {NAMESPACE}/run "
DENIED = 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: '

REFUSED = {
    "bundle-garbage": (
        bundle_ref("hello", f"{REGISTRY}/tekton/garbage:1"),
        {},
        "CouldntGetPipeline",
        GETTING
        + "resolved resource validation error: decoding error: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
    ),
    "bundle-host-unknown": (
        bundle_ref("hello", "registry.invalid/tekton/pipelines:1"),
        {},
        "CouldntGetPipeline",
        GETTING + 'cannot retrieve the oci image: Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid: no such host',
    ),
    "bundle-invalid-pipeline": (
        bundle_ref("invalid", f"{REGISTRY}/tekton/invalid:1"),
        {},
        "PipelineValidationFailed",
        (
            "[User error] Failed dryRunValidation for PipelineRun run: failed to read runtime object as Pipeline: validation failed for referenced "
            f"object invalid: {DENIED}invalid value: couldn't add link between a and nosuch: task a depends on nosuch but nosuch wasn't present in "
            "Pipeline: spec.tasks"
        ),
    ),
    "bundle-kind-default": (
        bundle_ref("hello", kind=""),
        {},
        "CouldntGetPipeline",
        GETTING + "could not find object in image with kind: task and name: hello",
    ),
    "bundle-name-missing": (
        bundle_ref("nosuch"),
        {},
        "CouldntGetPipeline",
        GETTING + "could not find object in image with kind: pipeline and name: nosuch",
    ),
    "bundle-no-annotations": (
        bundle_ref("hello", f"{REGISTRY}/tekton/noannotations:1"),
        {},
        "CouldntGetPipeline",
        GETTING
        + f"invalid tekton bundle {REGISTRY}/tekton/noannotations:1, error: the layer 0 does not contain a dev.tekton.image.apiVersion annotation",
    ),
    "bundle-no-name-param": (
        bundle_ref(""),
        {},
        "CouldntGetPipeline",
        REQUESTING + 'invalid resource request "case/{request}": parameter "name" required',
    ),
    "bundle-ref-invalid": (
        bundle_ref("hello", "Not Valid"),
        {},
        "CouldntGetPipeline",
        REQUESTING + 'invalid resource request "case/{request}": invalid bundle reference: could not parse reference: Not Valid',
    ),
    "bundle-repo-missing": (
        bundle_ref("hello", f"{REGISTRY}/tekton/nosuch:1"),
        {},
        "CouldntGetPipeline",
        GETTING
        + f"cannot retrieve the oci image: GET http://{REGISTRY}/v2/tekton/nosuch/manifests/1: MANIFEST_UNKNOWN: manifest unknown; map[Tag:1]",
    ),
    "bundle-tag-missing": (
        bundle_ref("hello", f"{REGISTRY}/tekton/pipelines:nosuch"),
        {},
        "CouldntGetPipeline",
        GETTING
        + f"cannot retrieve the oci image: GET http://{REGISTRY}/v2/tekton/pipelines/manifests/nosuch: MANIFEST_UNKNOWN: manifest unknown; map[Tag:nosuch]",
    ),
    "bundle-wrong-kind": (
        bundle_ref("hello", f"{REGISTRY}/tekton/wrongkind:1"),
        {},
        "CouldntGetPipeline",
        RETRIEVING + "failed to read runtime object as Pipeline: resource is not a pipeline",
    ),
    "bundle-kind-capital": (
        bundle_ref("hello", f"{REGISTRY}/tekton/capital:1"),
        {},
        "CouldntGetPipeline",
        GETTING
        + f"invalid tekton bundle {REGISTRY}/tekton/capital:1, error: the layer 0 the annotation dev.tekton.image.kind must be lowercased and "
        "singular, found Pipeline",
    ),
    "bundle-21-layers": (
        bundle_ref("hello-1", f"{REGISTRY}/tekton/many:1"),
        {},
        "CouldntGetPipeline",
        GETTING + f"invalid tekton bundle {REGISTRY}/tekton/many:1, error: contained more than the maximum 20 allow objects",
    ),
    "param-missing": (
        bundle_ref("hello"),
        {"params": []},
        "ParameterMissing",
        USER + f"is missing some parameters required by Pipeline {NAMESPACE}/hello: pipelineRun missing parameters: [who]",
    ),
    "workspace-missing": (
        bundle_ref("workspace"),
        {},
        "InvalidWorkspaceBindings",
        USER + f"doesn't bind Pipeline {NAMESPACE}/workspace's Workspaces correctly: pipeline requires workspace with name "
        '"shared" be provided by pipelinerun',
    ),
    "rejected-task-run-specs": (
        bundle_ref("hello"),
        {"params": WHO, "taskRunSpecs": [{"pipelineTaskName": "zzz"}]},
        "InvalidTaskRunSpecs",
        USER
        + "doesn't define taskRunSpecs correctly: pipelineRun's taskrunSpecs defined wrong taskName: \"zzz\", does not exist in Pipeline",
    ),
}


@pytest.mark.parametrize(("ref", "spec", "reason", "message"), [pytest.param(*row, id=name) for name, row in REFUSED.items()])
async def test_a_run_that_cannot_begin_fails_with_the_recorded_words(ref, spec, reason, message, settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": {**ref, "params": [row for row in ref["params"] if row["value"]]}, "params": WHO, **spec})
        run = await stage.ended()
        requests = await stage.api.list(stage.api.kind("resolution.tekton.dev", "resolutionrequests"), NAMESPACE)
        assert short(run) == f"False/{reason}"
        assert condition(run)[2] == message.replace("{request}", requests[0]["metadata"]["name"])
        assert stage.way("pipelineruns", "run") == [*RESOLVING, f"False/{reason}"]
        assert {"startTime", "completionTime"} <= run["status"].keys()
        assert "childReferences" not in run["status"]
        assert (await stage.events("run"))[:2] == [("Normal", "Started"), ("Normal", "ResolvingPipelineRef")]
        await stage.told("run", [("Warning", "Failed"), ("Warning", "InternalError")])


async def test_a_task_that_is_not_in_its_bundle_ends_the_run(settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref("taskgone")})
        run = await stage.ended()
        requests = await stage.api.list(stage.api.kind("resolution.tekton.dev", "resolutionrequests"), NAMESPACE)
        failed = next(request for request in requests if short(request) == "False/ResolutionFailed")
        assert condition(run) == (
            "False",
            "CouldntGetTask",
            (
                "Pipeline /taskgone can't be Run; it contains Tasks that don't exist: Couldn't retrieve Task \"resolver type bundles\\nname = nosuch\\n\": "
                f'error requesting remote resource: error getting "bundleresolver" "case/{failed["metadata"]["name"]}": could not find object in image '
                "with kind: task and name: nosuch"
            ),
        )
        assert stage.way("pipelineruns", "run") == [*RESOLVING, "Unknown/ResolvingTaskRef", "False/CouldntGetTask"]
        assert {"pipelineSpec", "provenance"} <= run["status"].keys()


async def test_a_bundle_may_be_named_by_the_digest_of_its_manifest(settings, layouts):
    _, digest = layouts
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref("hello", f"{REGISTRY}/tekton/pipelines@{digest}"), "params": WHO})
        run = await stage.ended()
        assert short(run) == "True/Succeeded"
        assert run["status"]["provenance"]["refSource"] == {
            "uri": f"{REGISTRY}/tekton/pipelines",
            "digest": {"sha256": digest.removeprefix("sha256:")},
            "entryPoint": "hello",
        }
