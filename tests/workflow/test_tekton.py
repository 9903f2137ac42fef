"""The PipelineRun of an execution, as section 2 of the WorkflowExecution document says."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.core import PIPELINE_RUN
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.pipelines import TektonWebhook
from kubernaut.localcluster.pipelines.admission import checked_spec
from kubernaut.workflow.engines.tekton import pipeline_run
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.validity import faults
from tests.workflow.executions import IMAGE, T0, execution_of

pytestmark = pytest.mark.unit


def test_a_pipeline_run_is_the_documents_in_forms_that_kubernetes_accepts():
    assert pipeline_run(execution_of(), WorkflowSettings()) == {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {
            "name": "rr-1-wfe",
            "namespace": "kubernaut-workflows",
            "labels": {
                "kubernaut.ai/workflow-execution": "rr-1-wfe",
                "kubernaut.ai/source-namespace": "kubernaut-system",
                "kubernaut.ai/workflow-id": "increase-memory-conservative",
                "kubernaut.ai/target-resource": "production.deployment.payment-service",
            },
            "annotations": {
                "kubernaut.ai/target-resource": "production/deployment/payment-service",
                "kubernaut.ai/workflow-execution-uid": "uid-rr-1-wfe",
            },
            "finalizers": ["kubernaut.ai/run-on-record"],
        },
        "spec": {
            "pipelineRef": {
                "resolver": "bundles",
                "params": [
                    {"name": "bundle", "value": IMAGE},
                    {"name": "name", "value": "workflow"},
                    {"name": "kind", "value": "pipeline"},
                ],
            },
            "params": [{"name": "DEPLOYMENT_NAME", "value": "payment-service"}, {"name": "NAMESPACE", "value": "production"}],
            "taskRunTemplate": {"serviceAccountName": "kubernaut-workflow-runner"},
            "timeouts": {"pipeline": "30m0s"},
        },
    }


def test_in_its_own_namespace_the_execution_owns_the_run():
    made = pipeline_run(execution_of(), WorkflowSettings(execution_namespace="kubernaut-system"))
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "kubernaut.ai/v1alpha1",
            "kind": "WorkflowExecution",
            "name": "rr-1-wfe",
            "uid": "uid-rr-1-wfe",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


@pytest.mark.parametrize(
    ("config", "limit", "timeout"),
    [
        pytest.param({}, None, "30m0s", id="the default"),
        pytest.param({"timeout": "90s"}, None, "1m30s", id="as written"),
        pytest.param({"timeout": "1h"}, timedelta(minutes=10), "10m0s", id="never beyond timesOutAt"),
        pytest.param({}, timedelta(minutes=-1), "1s", id="never nothing, which Tekton takes for no limit"),
    ],
)
def test_time_limits(config, limit, timeout):
    spec = {"executionConfig": config} | ({"timesOutAt": T0 + limit} if limit else {})
    assert pipeline_run(execution_of(**spec), WorkflowSettings())["spec"]["timeouts"] == {"pipeline": timeout}


def test_the_service_account_is_the_workflows_own():
    made = pipeline_run(execution_of(executionConfig={"serviceAccountName": "memory-fixer"}), WorkflowSettings())
    assert made["spec"]["taskRunTemplate"] == {"serviceAccountName": "memory-fixer"}


SERVED = ResourceKind(PIPELINE_RUN.group, PIPELINE_RUN.version, PIPELINE_RUN.kind, PIPELINE_RUN.plural)
TEXTS = st.text(max_size=30)
SPECS = st.fixed_dictionaries(
    {
        "parameters": st.dictionaries(st.sampled_from(["NAMESPACE", "who", "a-b", "A B", "", "9", "$x"]), TEXTS, max_size=5),
        "executionConfig": st.fixed_dictionaries(
            {},
            optional={
                "timeout": st.sampled_from(["0s", "1ms", "90s", "1h30m", "24h", "25h", "999999h"]),
                "serviceAccountName": st.sampled_from(["", "runner", "Not A Name", "a" * 260]),
            },
        ),
    }
)


@given(SPECS, st.sampled_from(["rr-1-wfe", "a.b-wfe", "n" * 63, "n" * 64]))
def test_what_we_do_not_refuse_ourselves_tekton_takes(spec, name):
    if any(len(value) > 253 for value in spec["executionConfig"].values()):
        del spec["executionConfig"]["serviceAccountName"]
    execution = execution_of(name, **spec)
    if faults(execution):
        return
    made = pipeline_run(execution, WorkflowSettings())
    assert checked_spec("PipelineRun", made) == ""
    webhook = TektonWebhook()
    webhook.mutate(SERVED, made, Call())
    webhook.check(SERVED, "CREATE", made, None, Call(), "")
