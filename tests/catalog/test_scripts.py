"""The shipped catalogue: whole, safe, and its scripts do what they say once, whatever the parameters hold."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from kubernaut import catalog
from kubernaut.catalog.bundle import pack

IDS = catalog.workflow_ids()
REFS = {workflow_id: f"registry.example/workflows/{workflow_id}@sha256:{'0' * 64}" for workflow_id in IDS}
FACTS = {
    "target.namespace", "target.name", "container", "memory.limit.proposed", "cpu.limit.proposed", "replicas.proposed",
    "rollout.revision.previous", "pod.uid", "job.uid", "taint.key", "taint.effect", "quota.resource", "quota.hard.proposed",
    "hpa.maxReplicas.proposed", "missing.name", "missing.key", "service.selector.key", "service.selector.proposed", "service.port",
    "service.targetPort.proposed", "probe", "probe.port.proposed", "probe.failureThreshold.proposed", "network.from.namespace",
    "network.port", "pdb.maxUnavailable.proposed", "pvc.size.proposed",
}  # fmt: skip
NASTY = ["$(touch owned)", "`touch owned`", "; touch owned", "a b", "x\ntouch owned", "x\n", "'\"", "--all", "*", ""]
UID = "3f0c0f6e-6f0c-4b5e-9d52-0c2c1f1b2a3d"
GOOD = {
    "NAMESPACE": "production", "DEPLOYMENT_NAME": "payment-service", "CONTAINER_NAME": "app", "MEMORY_LIMIT": "256Mi", "REVISION": "3",
    "REPLICAS": "5", "ROLLOUT_TIMEOUT": "180s", "CPU_LIMIT": "500m",
    "STATEFULSET_NAME": "db", "DAEMONSET_NAME": "agent", "POD_NAME": "db-0", "POD_UID": UID, "NODE_NAME": "node-1", "JOB_NAME": "report",
    "TAINT_KEY": "example.com/maintenance", "TAINT_EFFECT": "NoSchedule", "DELETE_EMPTYDIR_DATA": "false", "DRAIN_TIMEOUT": "300s",
    "QUOTA_NAME": "compute", "QUOTA_RESOURCE": "requests.memory", "QUOTA_HARD": "4Gi", "HPA_NAME": "web", "MAX_REPLICAS": "8",
    "CONFIGMAP_NAME": "settings", "CONFIGMAP_KEY": "app.properties", "SERVICE_NAME": "web", "SELECTOR_KEY": "app", "SELECTOR_VALUE": "web",
    "SERVICE_PORT": "80", "TARGET_PORT": "8080", "PROBE": "readiness", "PROBE_PORT": "8080", "FAILURE_THRESHOLD": "10",
    "CRONJOB_NAME": "nightly", "JOB_UID": UID, "POLICY_NAME": "deny", "FROM_NAMESPACE": "shop", "PORT": "8080", "PROTOCOL": "TCP",
    "PDB_NAME": "web", "MAX_UNAVAILABLE": "1", "CLAIM_NAME": "data", "SIZE": "20Gi", "RESIZE_TIMEOUT": "300s",
}  # fmt: skip


def script_of(workflow_id):
    return catalog.pipeline(workflow_id)["spec"]["tasks"][0]["taskSpec"]["steps"][0]


@pytest.mark.unit
def test_the_catalogue_is_whole():
    assert len(IDS) >= 15
    assert {"increase-memory-conservative", "rollback-deployment", "restart-deployment", "scale-deployment"} <= set(IDS)
    with pytest.raises(KeyError):
        catalog.load({"unheard-of": ""})


@pytest.mark.unit
@pytest.mark.parametrize("workflow", catalog.load(REFS), ids=IDS)
def test_a_workflow_is_whole(workflow):
    spec, pipeline = workflow.spec, catalog.pipeline(workflow.spec.workflow_id)
    assert workflow.metadata.name == spec.workflow_id
    assert spec.execution.bundle == REFS[spec.workflow_id]
    declared = {each["name"] for each in pipeline["spec"]["params"]}
    required = {each["name"] for each in pipeline["spec"]["params"] if "default" not in each}
    assert {each.name for each in spec.parameters} == declared
    assert {each.name for each in spec.parameters if each.required} == required
    assert {each.from_fact for each in spec.parameters if each.from_fact} <= FACTS
    assert set(re.findall(r"\$\((\w+)\)", yaml.safe_dump([each.wire() for each in spec.preview]))) <= declared
    assert pack([pipeline])


@pytest.mark.unit
@pytest.mark.parametrize("workflow_id", IDS)
def test_no_parameter_is_text_of_a_script(workflow_id):
    step = script_of(workflow_id)
    assert not re.search(r"\$\((params|context|tasks|workspaces)\.", step["script"])
    assert set(re.findall(r"\$\(results\.[^)]*\)", step["script"])) == {"$(results.message.path)"}
    assert "eval" not in step["script"]
    assert step["script"].startswith("#!/bin/sh\n")
    assert step["name"] == "kubectl"
    assert "set -eu" in step["script"]
    assert step["image"] == catalog.images()["kubectl"]


class Stand:
    """Runs a step's script with a stand-in for kubectl that notes its arguments and answers from files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.answers = root / "answers"
        self.answers.mkdir()
        tool = root / "bin" / "kubectl"
        tool.parent.mkdir()
        tool.write_text(
            '#!/bin/sh\nprintf "%s\\n" "$*" >>"$STAND/log"\n'
            'for file in "$STAND"/answers/*; do [ -e "$file" ] || continue; case "$*" in *"$(basename "$file")"*) cat "$file"; exit 0;; esac; done\n'
            '[ -e "$STAND/refuse" ] || exit 0\nmv "$STAND/refuse" "$STAND/refused"; cat "$STAND/refused" >&2; exit 1\n',
            encoding="utf-8",
        )
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        (root / "bin" / "sleep").symlink_to(shutil.which("true") or "/bin/true")

    def run(self, workflow_id: str, **params: str) -> subprocess.CompletedProcess[str]:
        text = script_of(workflow_id)["script"].replace("$(results.message.path)", str(self.root / "message"))
        env = (
            GOOD
            | {"RUN": "run-uid"}
            | params
            | {"STAND": str(self.root), "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(self.root)}
        )
        return subprocess.run(["sh", "-c", text], env=env, cwd=self.root, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def message(self) -> str:
        return (self.root / "message").read_text(encoding="utf-8")


@pytest.fixture
def stand(tmp_path):
    return Stand(tmp_path)


def used(workflow_id):
    return [each["name"] for each in script_of(workflow_id)["env"] if each["name"] != "RUN"]


THOROUGH = {"increase-memory-conservative", "remove-taint", "cordon-drain-node", "restore-configmap-key"}
"""With these each way to check a parameter is tried with everything; the others share those ways."""


@pytest.mark.parametrize(("workflow_id", "name"), [(workflow_id, name) for workflow_id in IDS for name in used(workflow_id)])
def test_shell_metacharacters_are_inert_and_refused(stand, workflow_id, name):
    for value in NASTY if workflow_id in THOROUGH else NASTY[:1] + NASTY[4:6]:
        done = stand.run(workflow_id, **{name: value})
        assert done.returncode != 0
        assert name in stand.message()
    assert not (stand.root / "owned").exists()
    assert not [call for call in stand.calls() if not call.startswith("get ")]


def test_memory_is_raised_and_the_roll_out_awaited(stand):
    (stand.answers / "limits.memory").write_text("128Mi", encoding="utf-8")
    done = stand.run("increase-memory-conservative")
    assert done.returncode == 0, done.stderr
    assert stand.calls()[-2:] == [
        "set resources deployment/payment-service --namespace=production --containers=app --limits=memory=256Mi",
        "rollout status deployment/payment-service --namespace=production --timeout=180s",
    ]


@pytest.mark.parametrize(
    ("limit", "wanted"), [("256Mi", "256Mi"), ("1Gi", "256Mi"), ("268435456", "256Mi"), ("300M", "256Mi"), ("1.5Gi", "1Gi")]
)
def test_a_limit_that_is_high_enough_is_left_alone(stand, limit, wanted):
    (stand.answers / "limits.memory").write_text(limit, encoding="utf-8")
    assert stand.run("increase-memory-conservative", MEMORY_LIMIT=wanted).returncode == 0
    assert not [call for call in stand.calls() if call.startswith("set ")]


def test_a_request_above_the_new_limit_comes_down_with_it(stand):
    (stand.answers / "requests.memory").write_text("1Gi", encoding="utf-8")
    assert stand.run("increase-memory-conservative").returncode == 0
    assert any(call.endswith("--limits=memory=256Mi --requests=memory=256Mi") for call in stand.calls())


@pytest.mark.parametrize("quantity", ["256", "0.5Gi", "256M", "1Ti"])
def test_every_form_of_quantity_is_understood(stand, quantity):
    assert stand.run("increase-memory-conservative", MEMORY_LIMIT=quantity).returncode == 0


def test_a_lost_connection_is_tried_again(stand):
    (stand.root / "refuse").write_text(
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?", encoding="utf-8"
    )
    assert stand.run("scale-deployment").returncode == 0
    assert stand.calls()[:2] == ["scale deployment/payment-service --namespace=production --replicas=5"] * 2


def test_any_other_error_ends_the_step_with_its_text_as_message(stand):
    (stand.root / "refuse").write_text('Error from server (NotFound): deployments.apps "payment-service" not found', encoding="utf-8")
    assert stand.run("scale-deployment").returncode == 1
    assert stand.message() == 'kubectl scale: Error from server (NotFound): deployments.apps "payment-service" not found'
    assert len(stand.calls()) == 1


def test_a_restart_is_marked_with_its_run(stand):
    assert stand.run("restart-deployment").returncode == 0
    assert '"kubernaut.ai/restarted-by":"run-uid"' in stand.calls()[0]


def test_a_roll_back_notes_where_it_came_from_before_it_acts(stand):
    (stand.answers / "revision}").write_text("4", encoding="utf-8")
    assert stand.run("rollback-deployment").returncode == 0
    noted, undone = (next(i for i, call in enumerate(stand.calls()) if call.startswith(what)) for what in ("annotate", "rollout undo"))
    assert noted < undone
    assert stand.calls()[noted].endswith("kubernaut.ai/rollback-from=run-uid.4")
    assert stand.calls()[undone].endswith("--to-revision=3")


@pytest.mark.parametrize(("note", "undone"), [("run-uid.4", 1), ("run-uid.3", 0), ("another-run.3", 1)])
def test_a_roll_back_that_took_effect_is_not_made_twice(stand, note, undone):
    (stand.answers / "revision}").write_text("4", encoding="utf-8")
    (stand.answers / "rollback-from}").write_text(note, encoding="utf-8")
    assert stand.run("rollback-deployment").returncode == 0
    assert len([call for call in stand.calls() if call.startswith("rollout undo")]) == undone


@pytest.mark.parametrize("workflow_id", IDS)
def test_a_script_is_plain_shell(workflow_id):
    """Debian's sh reads it; a name of a variable that nobody sets would end it (`set -u`), so those it uses are given or its own."""
    text = script_of(workflow_id)["script"]
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    given = {each["name"] for each in script_of(workflow_id)["env"]}
    assert set(re.findall(r"\$\{?([A-Z][A-Z_]+)", text)) <= given | {"NAMESPACE", "ROLLOUT_TIMEOUT", "RUN"}


@pytest.mark.unit
@pytest.mark.parametrize("workflow", catalog.load(REFS), ids=IDS)
def test_a_workflow_runs_as_an_account_that_may_do_what_it_does_and_no_more(workflow):
    account, role, binding = catalog.identities("runs")[3 * IDS.index(workflow.spec.workflow_id) :][:3]
    assert workflow.spec.execution.service_account_name == account["metadata"]["name"] == f"kubernaut-{workflow.spec.workflow_id}"
    assert role["rules"] == [each.wire() for each in workflow.spec.execution.permissions]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "runs"}]
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert "*" not in verbs | resources
    assert not resources & {"secrets", "roles", "clusterroles", "rolebindings", "clusterrolebindings", "serviceaccounts", "pods/exec"}


@pytest.mark.unit
def test_the_page_on_the_catalogue_tells_of_every_workflow():
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    for workflow in catalog.load(REFS):
        spec = workflow.spec
        assert f"| `{spec.workflow_id}` | {spec.action_type} | {', '.join(spec.labels.component)} | {spec.risk_level.value} |" in page
