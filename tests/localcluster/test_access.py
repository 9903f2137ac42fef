"""Who may do what: over the embedded cluster alone, whose users and settings the tests choose."""

import pytest

from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.calls import User
from tests.localcluster.http import CONFIGMAPS, configmap, served

pytestmark = pytest.mark.cluster
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SETTINGS = ClusterSettings(rbac=True, anonymous=True, users={"limited": User("limited", groups=("limiteds",))})


@pytest.fixture
async def guarded():
    async with served(SETTINGS) as (cluster, http):
        yield cluster, http


def binding(subject):
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    return {"metadata": {"name": "viewers"}, "roleRef": role, "subjects": [subject]}


USER = {"kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io"}
GROUP = {"kind": "Group", "name": "limiteds", "apiGroup": "rbac.authorization.k8s.io"}


async def test_who_is_not_known_is_refused(guarded):
    _, http = guarded
    assert (await http.acting("nonsense").get(CONFIGMAPS)).message == "Unauthorized"
    nobody = await http.acting("").get(CONFIGMAPS)
    assert (nobody.status, 'User "system:anonymous" cannot list resource "configmaps"' in nobody.message) == (403, True)


async def test_health_and_version_are_public_and_discovery_is_not(guarded):
    nobody = guarded[1].acting("")
    assert [(await nobody.get(path)).status for path in ("/readyz", "/version", "/api")] == [200, 200, 403]


async def test_anonymous_callers_are_shut_out_unless_told_otherwise():
    async with served(ClusterSettings()) as (_, http):
        assert (await http.acting("").get("/readyz")).status == 401


@pytest.mark.parametrize("subject", [USER, GROUP], ids=["user", "group"])
async def test_a_binding_allows_what_its_role_says_in_its_namespace(guarded, subject):
    _, http = guarded
    limited = http.acting("limited")
    refused = await limited.get(CONFIGMAPS)
    assert refused.message == (
        'configmaps is forbidden: User "limited" cannot list resource "configmaps" in API group "" in the namespace "example"'
    )
    assert (await http.post(f"{RBAC}/namespaces/example/rolebindings", binding(subject))).status == 201
    assert (await limited.get(CONFIGMAPS)).status == 200
    assert (await limited.post(CONFIGMAPS, configmap())).status == 403
    assert (await limited.get("/api/v1/namespaces/kube-system/configmaps")).status == 403


async def test_a_subresource_is_not_covered_by_its_resource(guarded):
    _, http = guarded
    role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]}]}
    await http.post(f"{RBAC}/clusterroles", role)
    await http.post(
        f"{RBAC}/clusterrolebindings",
        binding(USER) | {"roleRef": {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}},
    )
    answer = await http.acting("limited").patch("/apis/apps/v1/namespaces/example/deployments/d/scale", {})
    assert (answer.status, "deployments/scale" in answer.message) == (403, True)


async def test_access_can_be_asked_for(guarded):
    _, http = guarded
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    asked = {"resourceAttributes": {"namespace": "example", "verb": "list", "resource": "configmaps"}}
    assert (await http.post(ACCESS, review | {"spec": asked})).body["status"] == {"allowed": True}
    limited = http.acting("limited")
    assert (await limited.post(ACCESS, review | {"spec": asked})).body["status"] == {"allowed": False}
    await http.post(f"{RBAC}/namespaces/example/rolebindings", binding(USER))
    status = (await limited.post(ACCESS, review | {"spec": asked})).body["status"]
    assert status["reason"] == 'RBAC: allowed by RoleBinding "viewers/example" of ClusterRole "view" to User "limited"'
    assert (await limited.post(ACCESS, review | {"spec": {}})).status == 422


async def test_with_roles_off_everybody_known_may_do_everything():
    async with served(ClusterSettings(users={"limited": User("limited")})) as (_, http):
        assert (await http.acting("limited").post(CONFIGMAPS, configmap())).status == 201
        assert (await http.acting("").get(CONFIGMAPS)).status == 401


async def test_an_administrator_may_act_as_another_and_others_may_not(guarded):
    _, http = guarded
    acting = {"Impersonate-User": "limited"}
    assert 'User "limited" cannot list' in (await http.get(CONFIGMAPS, headers=acting)).message
    refused = await http.acting("limited").get(CONFIGMAPS, headers={"Impersonate-User": "kubernetes-admin"})
    assert refused.status == 403


async def test_service_accounts_get_tokens_that_stand_for_them(guarded):
    _, http = guarded
    path = "/api/v1/namespaces/example/serviceaccounts/default"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = (await http.post(f"{path}/token", request)).body["status"]["token"]
    whoami = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    me = (await http.acting(token).post("/apis/authentication.k8s.io/v1/selfsubjectreviews", whoami)).body["status"]["userInfo"]
    assert me["username"] == "system:serviceaccount:example:default"
    assert "system:serviceaccounts:example" in me["groups"]
    await http.delete(path)
    assert (await http.acting(token).get(CONFIGMAPS)).status == 401


async def test_a_forged_token_is_refused(guarded):
    cluster, http = guarded
    head, claims, signature = cluster.service_account_token("example", "default").split(".")
    forged = f"{head}.{claims}.{signature[::-1]}"
    assert (await http.acting(forged).get(CONFIGMAPS)).status == 401
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": forged}}
    status = (await http.post("/apis/authentication.k8s.io/v1/tokenreviews", review)).body["status"]
    assert status == {"user": {}, "error": "invalid bearer token"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_other_hosts_than_loopback_must_be_asked_for(host):
    with pytest.raises(ValueError, match="not loopback"):
        LocalCluster(ClusterSettings(host=host))
