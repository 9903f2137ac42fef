"""Acting as another, over the embedded cluster alone, whose users the tests choose."""

import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.calls import User
from tests.localcluster.http import CONFIGMAPS, PODS, served

pytestmark = pytest.mark.cluster
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
SETTINGS = ClusterSettings(rbac=True, users={"agent": User("agent", groups=("agents",))})
AUTHN = "authentication.k8s.io"


@pytest.fixture
async def guarded():
    async with served(SETTINGS) as (_, http):
        yield http


async def grant(http, *rules):
    """Let the agent do what rules say; each is verb, API group, resource and names."""
    rows = [{"verbs": [verb], "apiGroups": [group], "resources": [plural], "resourceNames": names} for verb, group, plural, *names in rules]
    role = {"metadata": {"name": "acts"}, "rules": rows}
    assert (await http.post(f"{RBAC}/clusterroles", role)).status == 201
    subject = {"kind": "User", "name": "agent", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "acts"}
    binding = {"metadata": {"name": "acts"}, "roleRef": reference, "subjects": [subject]}
    assert (await http.post(f"{RBAC}/clusterrolebindings", binding)).status == 201


async def allow(http, name, plural):
    """Let another user list something."""
    role = {"metadata": {"name": f"{name}-lists"}, "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": [plural]}]}
    assert (await http.post(f"{RBAC}/clusterroles", role)).status == 201
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{name}-lists"}
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    made = {"metadata": {"name": f"{name}-lists"}, "roleRef": reference, "subjects": [subject]}
    assert (await http.post(f"{RBAC}/clusterrolebindings", made)).status == 201


async def test_every_value_of_an_extra_field_arrives_and_its_key_is_decoded(guarded):
    headers = [
        ("Impersonate-User", "ann"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-Scopes", "view"),
        ("Impersonate-Extra-Scopes", "edit"),
        ("Impersonate-Extra-acme.com%2Fproject", "one"),
        ("Authorization", f"Bearer {guarded.token}"),
    ]
    async with guarded.session.post(guarded.url + WHOAMI, json=REVIEW, headers=headers) as response:
        found = (await response.json())["status"]["userInfo"]
    assert found == {
        "username": "ann",
        "uid": "7",
        "groups": ["a", "b", "system:authenticated"],
        "extra": {"scopes": ["view", "edit"], "acme.com/project": ["one"]},
    }


ANN = ("impersonate", "", "users", "ann")
WHO = {"Impersonate-User": "ann"}


@pytest.mark.parametrize(
    ("rule", "headers"),
    [
        (None, {}),
        (("impersonate", "", "groups", "ops"), {"Impersonate-Group": "ops"}),
        (("impersonate", AUTHN, "uids", "7"), {"Impersonate-Uid": "7"}),
        (("impersonate", AUTHN, "userextras/scopes", "view"), {"Impersonate-Extra-Scopes": "view"}),
    ],
    ids=["user", "group", "uid", "extra"],
)
async def test_each_part_of_an_identity_has_to_be_allowed(guarded, rule, headers):
    await allow(guarded, "ann", "configmaps")
    agent = guarded.acting("agent")
    assert (await agent.get(CONFIGMAPS, headers=WHO | headers)).status == 403
    await grant(guarded, *([ANN, rule] if rule else [ANN]))
    assert (await agent.get(CONFIGMAPS, headers=WHO | headers)).status == 200
    others = headers | {"Impersonate-Extra-Team": "x"} if headers else {"Impersonate-Group": "system:masters"}
    assert (await agent.get(CONFIGMAPS, headers=WHO | others)).status == 403


async def test_a_service_account_is_one_of_its_own_kind(guarded):
    await grant(guarded, ("impersonate", "", "serviceaccounts", "default"))
    agent = guarded.acting("agent")
    answer = await agent.post(WHOAMI, REVIEW, headers={"Impersonate-User": "system:serviceaccount:example:default"})
    assert answer.body["status"]["userInfo"]["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:example",
        "system:authenticated",
    ]
    other = await agent.post(WHOAMI, REVIEW, headers={"Impersonate-User": "system:serviceaccount:example:other"})
    assert (other.status, "impersonate-on:serviceaccount:create" in other.message) == (403, True)


async def test_constrained_impersonation_allows_what_it_names_and_no_more(guarded):
    await allow(guarded, "ann", "configmaps")
    await grant(guarded, ("impersonate:user-info", AUTHN, "users", "ann"), ("impersonate-on:user-info:list", "", "configmaps"))
    agent = guarded.acting("agent")
    assert (await agent.get(CONFIGMAPS, headers=WHO)).status == 200
    assert (await agent.get(CONFIGMAPS)).status == 403
    refused = await agent.get(PODS, headers=WHO)
    assert refused.message == (
        'pods is forbidden: User "agent" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "example"'
    )
    another = await agent.get(CONFIGMAPS, headers={"Impersonate-User": "bob"})
    assert another.message == (
        'users.authentication.k8s.io "bob" is forbidden: User "agent" cannot impersonate:user-info resource "users" '
        'in API group "authentication.k8s.io" at the cluster scope'
    )


@pytest.mark.parametrize("headers", [{"Impersonate-Group": "a"}, {"Impersonate-Uid": "7"}, {"Impersonate-Extra-Scopes": "view"}])
async def test_an_identity_without_a_user_is_refused(guarded, headers):
    refused = await guarded.get(CONFIGMAPS, headers=headers)
    assert (refused.status, "without impersonating a user" in refused.message) == (500, True)
