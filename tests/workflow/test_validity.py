"""What is refused before anything happens."""

import pytest

from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.workflow.validity import faults
from tests.workflow.executions import IMAGE, execution_of

SCHEMA = [
    {"name": "NAMESPACE"},
    {"name": "DEPLOYMENT_NAME", "pattern": "[a-z0-9][-a-z0-9]*"},
    {"name": "REPLICAS", "type": "integer", "required": False, "minimum": 1, "maximum": 50},
    {"name": "MEMORY_LIMIT", "type": "quantity", "required": False, "dependsOn": ["CONTAINER_NAME"]},
    {"name": "CONTAINER_NAME", "required": False},
    {"name": "MODE", "required": False, "enum": ["fast", "safe"]},
    {"name": "FORCE", "type": "boolean", "required": False},
]
BASE = {"NAMESPACE": "production", "DEPLOYMENT_NAME": "payment-service"}


def workflow(**spec):
    body = {
        "workflowId": "increase-memory-conservative",
        "version": "1.0.0",
        "description": "More memory.",
        "actionType": "IncreaseMemoryLimits",
        "execution": {"bundle": IMAGE},
        "parameters": SCHEMA,
    }
    return RemediationWorkflow.model_validate({"metadata": {"name": "w"}, "spec": body | spec})


def config(**fields):
    return {"executionConfig": fields}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({}, "", id="the document's own example"),
        pytest.param({"target": "node/worker-1"}, "", id="a cluster-scoped target"),
        pytest.param({"target": "production/widget/x"}, "", id="a kind we do not know ourselves"),
        pytest.param({"target": "production/deployment/a/b"}, "not namespace/kind/name", id="too many parts"),
        pytest.param({"target": "../etc/passwd"}, "not namespace/kind/name", id="a path"),
        pytest.param({"target": "production/node/worker-1"}, "must be kind/name: Node is in no namespace", id="a node in a namespace"),
        pytest.param({"target": "deployment/api"}, "must be namespace/kind/name: Deployment is in a namespace", id="a deployment in none"),
        pytest.param({"target": "kube-system/deployment/coredns"}, "is protected: nothing in namespace kube-system", id="kube-system"),
        pytest.param({"target": "namespace/kube-system"}, "is protected", id="kube-system itself"),
        pytest.param({"workflowRef": {"workflowId": "a", "containerImage": "repo/x:latest"}}, "not pinned by digest", id="a tag"),
        pytest.param(
            {"workflowRef": {"workflowId": "a", "containerImage": "r@sha256:" + "A" * 64}},
            "not pinned by digest",
            id="a digest in capitals",
        ),
        pytest.param({"parameters": {"A B": "x"}}, "parameter name", id="a parameter name with a blank"),
        pytest.param({"parameters": {"A": "$(context.pipelineRun.name)"}}, "taken for a variable", id="a value that Tekton would expand"),
        pytest.param({"parameters": {"A": "x\x00"}}, "NUL", id="a NUL"),
        pytest.param({"parameters": {"A": "line\nline; rm -rf / `id` ${HOME}"}}, "", id="shell metacharacters are data"),
        pytest.param({"parameters": {"A": "x" * 1_000_000}}, "longer than", id="a megabyte"),
        pytest.param({"name": "a" * 64}, "no PipelineRun", id="a name no PipelineRun can have"),
        pytest.param(config(timeout="0s"), "not between 1s and 24h", id="no time at all, which Tekton takes for no limit"),
        pytest.param(config(timeout="999h"), "not between", id="a month"),
        pytest.param(config(engine="argo"), "no engine 'argo' here; the engines are job, tekton", id="an engine that is not here"),
        pytest.param(config(serviceAccountName="Not A Name"), "no name of a ServiceAccount", id="no name of an account"),
    ],
)
def test_faults_of_a_spec(change, fault):
    found = faults(execution_of(**change), protected={"kube-system"}, engines={"job", "tekton"})
    assert (fault in "; ".join(found)) if fault else found == ()


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        pytest.param(BASE, "", id="what it needs"),
        pytest.param({"NAMESPACE": "production"}, "DEPLOYMENT_NAME: it is required", id="one is missing"),
        pytest.param(BASE | {"COLOUR": "red"}, "COLOUR is none of the workflow's", id="one it does not have"),
        pytest.param(BASE | {"REPLICAS": "many"}, "no integer", id="a wrong type"),
        pytest.param(BASE | {"REPLICAS": "51"}, "more than 50", id="out of bounds"),
        pytest.param(BASE | {"REPLICAS": "3\n"}, "not printable", id="a newline"),
        pytest.param(BASE | {"MEMORY_LIMIT": "256Mi"}, "CONTAINER_NAME, which it needs, is not", id="without what it depends on"),
        pytest.param(BASE | {"MEMORY_LIMIT": "256Mi", "CONTAINER_NAME": "app"}, "", id="with what it depends on"),
        pytest.param(BASE | {"MODE": "reckless"}, "none of fast, safe", id="none of the enum"),
        pytest.param(BASE | {"FORCE": "yes"}, "no boolean", id="no boolean"),
        pytest.param(BASE | {"DEPLOYMENT_NAME": "api; rm -rf /"}, "does not match", id="shell text where a pattern forbids it"),
        pytest.param(BASE | {"DEPLOYMENT_NAME": "x" * 2000}, "too long", id="too long"),
    ],
)
def test_parameters_are_held_against_the_schema_of_the_catalogue(parameters, fault):
    found = faults(execution_of(parameters=parameters), catalogue=[workflow(version="0.9.0", parameters=[]), workflow()])
    assert (fault in "; ".join(found)) if fault else found == ()


def test_a_bundle_that_is_not_the_catalogues_for_that_version_is_refused():
    other = {"bundle": "r@sha256:" + "b" * 64}
    assert "not the catalogue's" in faults(execution_of(), catalogue=[workflow(execution=other)])[0]


def test_a_workflow_that_the_catalogue_does_not_have_was_judged_by_whoever_chose_it():
    assert faults(execution_of(parameters={"ANYTHING": "x"}), catalogue=[workflow(version="2.0.0")]) == ()


def test_a_plan_has_no_engine_image_or_parameters():
    steps = {"steps": [{"stepNumber": 1, "action": "restart_pod"}]}
    assert faults(execution_of(workflowDefinition=steps), engines={"tekton"}) == ()
    protected = faults(execution_of(target="kube-system/pod/x", workflowDefinition=steps), protected={"kube-system"})
    assert "protected" in protected[0]
