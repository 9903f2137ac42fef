"""What must be in a cluster first: kubectl applies it strictly, and the approval rules hold against people with tokens of their own."""

import asyncio
import ssl
import sysconfig
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from kubernaut import manifests
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.kinds import ALL
from kubernaut.kube.client import ApiError, Client
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.calls import User
from tests.questions import NAME, QUESTION
from tests.world import install

KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"
NAMESPACE = "kubernaut-system"
KIM, LEE, GUEST = "kim@example.com", "lee@example.com", "guest@example.com"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Town:
    """A cluster with enforced roles, and people in it."""

    def __init__(self, cluster, folder):
        self._cluster, self._folder = cluster, folder
        self._clients = {}

    def client(self, token=""):
        trust = ssl.create_default_context(cadata=self._cluster.certificate)
        token = token or self._cluster.admin_token
        if token not in self._clients:
            self._clients[token] = Client(self._cluster.url, token=token, tls=trust)
        return self._clients[token]

    async def kubectl(self, *words, token="", text=""):
        """Run kubectl as the holder of a token; return its exit code and what it said."""
        config = self._folder / f"kubeconfig-{token or 'admin'}"
        config.write_text(yaml.safe_dump(self._cluster.kubeconfig(token=token or None)), encoding="utf-8")
        environment = {"KUBECONFIG": str(config), "HOME": str(self._folder), "PATH": "/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *words,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate(text.encode())
        return process.returncode, said.decode()

    async def close(self):
        for client in self._clients.values():
            await client.close()


@asynccontextmanager
async def town(folder):
    users = {f"{name.partition('@')[0]}-token": User(name) for name in (KIM, LEE, GUEST)}
    async with LocalCluster(ClusterSettings(tls=True, rbac=True, anonymous=False, users=users)) as cluster:
        found = Town(cluster, folder)
        try:
            yield found
        finally:
            await found.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settled(tmp_path_factory):
    """Give a town with our manifests, where Kim and Lee may approve and a guest may not."""
    async with town(tmp_path_factory.mktemp("town")) as found:
        await install(found.client())
        people = [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"} for name in (KIM, LEE)]
        role = {"kind": "ClusterRole", "name": "kubernaut-approver", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "approvers"}, "roleRef": role, "subjects": people}
        await found.client().create(core.CLUSTER_ROLE_BINDING, binding)
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def question(settled):
    """Ask for an approval; take the question back at the end."""
    await settled.client().create(AIApprovalRequest.card, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": QUESTION})
    yield settled
    await settled.client().delete(AIApprovalRequest.card, NAME, NAMESPACE)


async def decide(town, token, **status):
    return await town.client(token).patch(AIApprovalRequest.card, NAME, NAMESPACE, {"status": status}, subresource="status")


async def refused(town, token, **status):
    """Try a decision that must not be taken; return why it was refused."""
    with pytest.raises(ApiError) as fault:
        await decide(town, token, **status)
    return fault.value


async def test_kubectl_applies_every_manifest_strictly_and_a_second_time_changes_nothing(tmp_path):
    folder = Path(__file__).parent.parent / "deploy"
    apply = ("apply", "--validate=strict", "--kustomize", str(folder))
    async with town(tmp_path) as found:
        code, said = await found.kubectl(*apply)
        assert code == 0, said
        assert len(said.splitlines()) == len(manifests.everything()), "nothing is missing from what is applied"
        code, said = await found.kubectl(*apply)
    assert code == 0, said
    assert [line for line in said.splitlines() if not line.endswith(" unchanged")] == []


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.card.kind)
async def test_kubectl_knows_every_kind_by_its_short_names_and_explains_it(settled, model):
    for short in model.card.short:
        code, said = await settled.kubectl("get", short, "-A")
        assert (code, said) == (0, "No resources found\n")
    code, said = await settled.kubectl("explain", f"{model.card.kind.lower()}.spec")
    assert code == 0, said
    assert model.card.kind in said


async def test_kubectl_lists_the_whole_category(question):
    code, said = await question.kubectl("get", "kubernaut", "-A", "-o", "name")
    assert (code, said.split()) == (0, [f"aiapprovalrequest.kubernaut.ai/{NAME}"])


async def test_a_person_approves_under_their_own_name(question):
    done = await decide(question, "kim-token", decision="Approved", decidedBy=KIM, decisionMessage="go ahead")
    assert (done["status"]["decision"], done["status"]["decidedBy"]) == ("Approved", KIM)


async def test_a_person_approves_with_kubectl(question):
    patch = f'{{"status": {{"decision": "Rejected", "decidedBy": "{KIM}"}}}}'
    words = ("patch", "aar", NAME, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)
    code, said = await question.kubectl(*words, token="kim-token")
    assert code == 0, said
    _, shown = await question.kubectl("get", "aar", NAME, "-n", NAMESPACE, token="kim-token")
    assert "Rejected" in shown
    assert KIM in shown


async def test_nobody_decides_for_somebody_else(question):
    fault = await refused(question, "kim-token", decision="Approved", decidedBy=LEE)
    assert fault.forbidden
    assert "nobody decides for somebody else" in fault.message


@pytest.mark.parametrize(
    "status", [{"decision": "Approved"}, {"decision": "Approved", "decidedBy": ""}, {"decision": "Approved", "decidedBy": "system"}]
)
async def test_a_decision_needs_its_maker(question, status):
    fault = await refused(question, "kim-token", **status)
    assert fault.forbidden or fault.invalid
    assert "decidedBy must" in fault.message


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"decision": "Rejected", "decidedBy": KIM}, id="its maker, to the contrary"),
        pytest.param({"decision": "Rejected", "decidedBy": LEE}, id="another"),
        pytest.param({"decision": "Approved", "decidedBy": LEE}, id="the same, by another"),
        pytest.param({"decision": None, "decidedBy": None}, id="taken back"),
        pytest.param({"decision": "Expired", "decidedBy": "system"}, id="expired afterwards"),
    ],
)
async def test_a_decision_is_final(question, status):
    await decide(question, "kim-token", decision="Approved", decidedBy=KIM)
    for token in ("kim-token", "lee-token", ""):
        fault = await refused(question, token, **status)
        assert fault.forbidden or fault.invalid
        assert "final" in fault.message
    found = await question.client().get(AIApprovalRequest.card, NAME, NAMESPACE)
    assert (found["status"]["decision"], found["status"]["decidedBy"]) == ("Approved", KIM)


async def test_other_fields_may_still_change_after_a_decision(question):
    await decide(question, "kim-token", decision="Approved", decidedBy=KIM)
    done = await decide(question, "", phase="Approved", message="approved by Kim")
    assert done["status"]["phase"] == "Approved"


async def test_a_question_that_nobody_answered_is_expired_by_the_system(question):
    done = await decide(question, "", decision="Expired", decidedBy="system", phase="Expired")
    assert (done["status"]["decision"], done["status"]["decidedBy"]) == ("Expired", "system")


async def test_who_has_not_the_role_decides_nothing(question):
    fault = await refused(question, "guest-token", decision="Approved", decidedBy=GUEST)
    assert fault.forbidden
    assert "aiapprovalrequests/status" in fault.message


async def test_an_approver_changes_neither_the_question_nor_other_objects(question):
    kim = question.client("kim-token")
    with pytest.raises(ApiError) as fault:
        await kim.patch(AIApprovalRequest.card, NAME, NAMESPACE, {"spec": {"confidence": 1.0}})
    assert fault.value.forbidden
    with pytest.raises(ApiError) as fault:
        await kim.create(core.CONFIG_MAP, {"metadata": {"name": "x", "namespace": NAMESPACE}})
    assert fault.value.forbidden


async def test_a_question_is_a_snapshot_even_for_the_administrator(question):
    with pytest.raises(ApiError, match="spec cannot be changed: create another AIApprovalRequest"):
        await question.client().patch(AIApprovalRequest.card, NAME, NAMESPACE, {"spec": {"confidence": 0.1}})


async def test_a_decision_cannot_be_smuggled_in_at_creation(settled):
    made = {
        "metadata": {"name": "smuggled", "namespace": NAMESPACE},
        "spec": QUESTION,
        "status": {"decision": "Approved", "decidedBy": KIM},
    }
    stored = await settled.client().create(AIApprovalRequest.card, made)
    await settled.client().delete(AIApprovalRequest.card, "smuggled", NAMESPACE)
    assert "decision" not in stored.get("status", {})


async def test_the_runner_may_do_what_workflows_do_and_no_more(settled):
    runner = f"--as=system:serviceaccount:{manifests.WORKFLOW_NAMESPACE}:{manifests.RUNNER}"
    for verb, resource, answer in (
        ("patch", "deployments.apps", "yes"),
        ("delete", "pods", "yes"),
        ("get", "secrets", "no"),
        ("delete", "deployments.apps", "no"),
        ("create", "clusterrolebindings.rbac.authorization.k8s.io", "no"),
        ("patch", "aiapprovalrequests.kubernaut.ai", "no"),
    ):
        _, said = await settled.kubectl("auth", "can-i", verb, resource, "-n", "production", runner)
        assert said.split()[-1] == answer, f"{verb} {resource}"
