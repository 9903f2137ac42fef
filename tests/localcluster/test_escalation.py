"""Who hands out rights must hold them: over the embedded cluster alone, whose users the tests choose."""

import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.calls import User
from tests.localcluster.http import served

pytestmark = pytest.mark.cluster
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLES, BINDINGS = f"{RBAC}/namespaces/example/roles", f"{RBAC}/namespaces/example/rolebindings"
GROUP = "rbac.authorization.k8s.io"
READS_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
READS_SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
WRITES_ROLES = {"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["*"]}
MAY_ESCALATE = {"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["escalate", "bind"]}


def role(name, *rules):
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(name, role_name, kind="Role", user="ann"):
    subject = {"kind": "User", "name": user, "apiGroup": GROUP}
    return {"metadata": {"name": name}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name}, "subjects": [subject]}


@pytest.fixture
async def http():
    async with served(ClusterSettings(rbac=True, users={"ann": User("ann", groups=("staff",))})) as (_, made):
        yield made


async def holds(http, *rules):
    """Give ann these rights, and the right to write roles; return her client."""
    writes = {**WRITES_ROLES, "verbs": ["create", "get", "update", "patch"]}
    assert (await http.post(ROLES, role("anns", *rules, writes))).status == 201
    assert (await http.post(BINDINGS, binding("anns", "anns"))).status == 201
    return http.acting("ann")


async def test_a_role_grants_no_more_than_its_writer_holds(http):
    ann = await holds(http, READS_PODS)
    assert (await ann.post(ROLES, role("mine", {**READS_PODS, "verbs": ["get"]}))).status == 201
    refused = await ann.post(ROLES, role("more", READS_PODS, READS_SECRETS))
    assert refused.status == 403
    assert refused.message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "ann" (groups=["staff" "system:authenticated"]) is attempting to grant'
        ' RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    assert (await ann.patch(f"{ROLES}/mine", {"rules": [READS_SECRETS]})).status == 403
    assert (await ann.patch(f"{ROLES}/mine", {"metadata": {"labels": {"a": "b"}}})).status == 200


async def test_one_object_is_less_than_all_of_its_kind(http):
    ann = await holds(http, {**READS_PODS, "resourceNames": ["web"]})
    assert (await ann.post(ROLES, role("all", READS_PODS))).status == 403
    assert (await ann.post(ROLES, role("one", {**READS_PODS, "resourceNames": ["web"]}))).status == 201


async def test_a_binding_hands_out_no_more_than_its_writer_holds(http):
    ann = await holds(http, READS_PODS)
    await http.post(ROLES, role("secrets", READS_SECRETS))
    assert (await ann.post(BINDINGS, binding("b", "secrets", user="bob"))).status == 403
    assert (await ann.post(BINDINGS, binding("b", "cluster-admin", "ClusterRole"))).status == 403
    missing = await ann.post(BINDINGS, binding("b", "nothing"))
    assert (missing.status, missing.message) == (404, 'roles.rbac.authorization.k8s.io "nothing" not found')


async def test_the_verbs_escalate_and_bind_free_of_it(http):
    ann = await holds(http, MAY_ESCALATE)
    assert (await ann.post(ROLES, role("secrets", READS_SECRETS))).status == 201
    assert (await ann.post(BINDINGS, binding("b", "secrets"))).status == 201
