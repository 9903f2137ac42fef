"""ValidatingAdmissionPolicies in the corners: the authorizer, parameters, broken variables, and which policies are accepted at all."""

import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.calls import User
from tests.localcluster.http import CONFIGMAPS, configmap, served
from tests.localcluster.test_policies import BINDINGS, EVERY, POLICIES, bind

pytestmark = pytest.mark.cluster
ROLES = "/apis/rbac.authorization.k8s.io/v1"
NO = [{"expression": "false"}]


@pytest.fixture
async def http():
    users = {"ann": User("ann", "u1", ("staff",), {"team": ["blue"]}), "bob": User("bob")}
    async with served(ClusterSettings(users=users, rbac=True)) as (_, made):
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
        await made.post(f"{ROLES}/clusterroles", {"metadata": {"name": "writer"}, "rules": rules})
        for name in users:
            subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
            ref = {"kind": "ClusterRole", "name": "writer", "apiGroup": "rbac.authorization.k8s.io"}
            await made.post(f"{ROLES}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]})
        yield made


async def refuse(http, expression, **spec):
    await bind(http, {"validations": [{"expression": expression}], **spec})
    return await http.acting("ann").post(CONFIGMAPS, configmap(k="1"))


@pytest.mark.parametrize(
    ("expression", "status"),
    [
        ("authorizer.group('').resource('configmaps').namespace('default').check('create').allowed()", 201),
        ("authorizer.group('').resource('secrets').namespace('default').check('get').allowed()", 422),
        ("authorizer.requestResource.check('delete').allowed()", 201),
        ("authorizer.path('/metrics').check('get').allowed()", 422),
        ("authorizer.serviceAccount('default', 'default').group('').resource('configmaps').check('get').allowed()", 422),
        ("authorizer.group('').resource('configmaps').name('x').check('get').reason().contains('writer')", 201),
        ("request.userInfo.uid == 'u1' && 'staff' in request.userInfo.groups && request.userInfo.extra['team'] == ['blue']", 201),
        ("!has(request.subResource) && request.options.kind == 'CreateOptions' && !request.dryRun", 201),
        ("object.kind == 'ConfigMap' && object.apiVersion == 'v1' && oldObject == null", 201),
        ("namespaceObject.metadata.name == request.namespace && request.name == 'one'", 201),
        ("object.data.all(k, v, k != v) && !format.dns1123Label().validate(object.metadata.name).hasValue()", 201),
        ("request.subResource == ''", 422),
    ],
)
async def test_a_rule_may_ask_who_writes_and_what_they_may_do(http, expression, status):
    assert (await refuse(http, expression)).status == status


async def test_a_variable_without_a_value_is_named_in_the_refusal(http):
    refused = await refuse(http, "variables.n > 1", variables=[{"name": "n", "expression": "int(object.data.none)"}])
    assert refused.message.endswith(
        "denied request: expression 'variables.n > 1' resulted in error: composited variable \"n\" fails to evaluate: no such key: none"
    )


async def test_a_false_condition_settles_it_though_another_has_no_value(http):
    conditions = [{"name": "broken", "expression": "object.data.none == '1'"}, {"name": "no", "expression": "false"}]
    assert (await refuse(http, "false", matchConditions=conditions)).status == 201


async def test_every_denial_is_weighed_and_the_first_is_told(http):
    await bind(http, {"validations": NO}, name="a", validationActions=["Deny", "Audit"])
    await bind(http, {"validations": NO}, name="b", validationActions=["Audit"])
    refused = await http.post(CONFIGMAPS, configmap())
    assert refused.message.startswith(
        "configmaps \"one\" is forbidden: ValidatingAdmissionPolicy 'example-a' with binding 'example-a-b' denied"
    )


async def test_audit_annotations_that_have_no_value_deny(http):
    annotations = [{"key": "k", "valueExpression": "object.data.none"}]
    assert (await refuse(http, "true", auditAnnotations=annotations)).status == 422


async def test_parameters_are_selected_by_labels_and_each_counts(http):
    for name, most in (("low", "1"), ("high", "9")):
        meta = {"name": name, "labels": {"for": "policy"}}
        await http.post(CONFIGMAPS, {"metadata": meta, "data": {"most": most}})
    spec = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": [{"expression": "object.data.n <= params.data.most"}]}
    where = {"selector": {"matchLabels": {"for": "policy"}}, "parameterNotFoundAction": "Deny"}
    await bind(http, spec, paramRef=where)
    assert [(await http.post(CONFIGMAPS, configmap(f"c{n}", n=n))).status for n in ("1", "5")] == [201, 422]


@pytest.mark.parametrize(("action", "failure", "status"), [("Deny", "Fail", 422), ("Deny", "Ignore", 201), ("Allow", "Fail", 201)], ids=str)
async def test_parameters_that_are_not_there(http, action, failure, status):
    spec = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": NO, "failurePolicy": failure}
    await bind(http, spec, paramRef={"name": "none", "namespace": "default", "parameterNotFoundAction": action})
    answer = await http.post(CONFIGMAPS, configmap())
    assert answer.status == status
    assert status == 201 or "no params found for policy binding with `Deny` parameterNotFoundAction" in answer.message


async def test_a_parameter_kind_that_is_not_served_denies(http):
    await bind(
        http,
        {"paramKind": {"apiVersion": "a.b/v1", "kind": "None"}, "validations": NO},
        paramRef={"name": "x", "parameterNotFoundAction": "Allow"},
    )
    refused = await http.post(CONFIGMAPS, configmap())
    assert "failed to find resource referenced by paramKind: 'a.b/v1, Kind=None'" in refused.message


SPEC = {"matchConstraints": {"resourceRules": [EVERY]}, "validations": [{"expression": "true"}]}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"validations": [{"expression": "object.x ="}]},
            'spec.validations[0].expression: Invalid value: "object.x =": compilation failed: ERROR',
        ),
        ({"validations": [{"expression": "params.x"}]}, "undeclared reference to 'params"),
        ({"validations": [{"expression": "'a'"}]}, "must evaluate to bool"),
        ({"validations": [{"expression": " "}]}, "spec.validations[0].expression: Required value: expression is not specified"),
        ({"validations": [{"expression": "true", "messageExpression": "1"}]}, "must evaluate to string"),
        ({"validations": [{"expression": "true", "reason": "Odd"}]}, 'spec.validations[0].reason: Unsupported value: "Odd"'),
        ({"validations": []}, "validations or auditAnnotations must contain at least one item"),
        ({"matchConstraints": None}, "spec.matchConstraints: Required value"),
        ({"variables": [{"name": "a-b", "expression": "1"}]}, "name is not a valid CEL identifier"),
        ({"matchConditions": [{"name": "n", "expression": "variables.x"}]}, "undeclared reference to 'variables"),
        ({"auditAnnotations": [{"key": "k", "valueExpression": "1"}]}, "must evaluate to one of [string null_type]"),
        ({"failurePolicy": "Perhaps"}, 'spec.failurePolicy: Unsupported value: "Perhaps": supported values: "Fail", "Ignore"'),
    ],
)
async def test_a_policy_at_fault_is_refused_at_once(http, spec, words):
    refused = await http.post(POLICIES, {"metadata": {"name": "p"}, "spec": SPEC | spec})
    assert refused.status == 422
    assert words in refused.message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"validationActions": []}, "spec.validationActions: Required value"),
        ({"validationActions": ["Deny", "Warn"]}, "must not contain both Deny and Warn"),
        ({"validationActions": ["Shout"]}, 'spec.validationActions[0]: Unsupported value: "Shout"'),
        ({"paramRef": {"parameterNotFoundAction": "Deny"}}, "one of name or selector must be specified"),
        ({"paramRef": {"name": "x"}}, "spec.paramRef.parameterNotFoundAction: Required value"),
        ({"policyName": ""}, "spec.policyName: Required value"),
    ],
)
async def test_a_binding_at_fault_is_refused_at_once(http, spec, words):
    refused = await http.post(BINDINGS, {"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny"]} | spec})
    assert refused.status == 422
    assert words in refused.message


async def test_policies_do_not_judge_policies(http):
    await bind(http, {"rules": [EVERY | {"resources": ["*"]}], "validations": NO})
    await bind(http, {"validations": NO}, name="other")
    assert (await http.post(CONFIGMAPS, configmap())).status == 422
