import pytest

from tests.localcluster.http import CONFIGMAPS, WIDGETS, configmap, widget
from tests.world import eventually

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{ADMISSION}/validatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicybindings"
EVERY = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
MISMATCH = {"expression": "object.status.phase == request.userInfo.username", "message": "only oneself may be named"}


OURS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "example"}}}
"""A policy holds for the whole cluster; those of tests for the test's namespace alone."""


async def bind(http, spec, name="p", **binding):
    """Make a policy and bind it, and wait until it is in force."""
    await declare(http, spec, name, **binding)
    canary = {"matchConditions": [{"name": "canary", "expression": f"object.metadata.name == 'canary-{name}'"}]}
    await declare(http, canary | {"validations": [{"expression": "false"}]}, f"canary-{name}")

    async def judged():
        # policies come into force in the order in which they were made: with this one, so is the other
        return (await http.post(CONFIGMAPS, configmap(f"canary-{name}"), dryRun="All")).message.find("canary") >= 0

    await eventually(judged)


async def declare(http, spec, name, **binding):
    rules = spec.pop("rules", [EVERY])
    policy = {"metadata": {"name": f"example-{name}"}, "spec": {"matchConstraints": {"resourceRules": rules}, **spec}}
    assert (await http.post(POLICIES, policy)).status == 201
    binding["matchResources"] = OURS | binding.get("matchResources", {})
    bound = {"policyName": f"example-{name}", "validationActions": ["Deny"], **binding}
    assert (await http.post(BINDINGS, {"metadata": {"name": f"example-{name}-b"}, "spec": bound})).status == 201


async def test_a_rule_that_does_not_hold_denies_the_write(http):
    await bind(http, {"validations": [{"expression": "has(object.data.k)", "message": "k is needed"}]})
    refused = await http.post(CONFIGMAPS, configmap(a="1"))
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert (
        refused.message
        == "configmaps \"one\" is forbidden: ValidatingAdmissionPolicy 'example-p' with binding 'example-p-b' denied request: k is needed"
    )
    assert (await http.post(CONFIGMAPS, configmap(k="1"))).status == 201


async def test_a_policy_without_a_binding_does_nothing(http):
    policy = {"matchConstraints": {"resourceRules": [EVERY]}, "validations": [{"expression": "false"}]}
    await http.post(POLICIES, {"metadata": {"name": "example-p"}, "spec": policy})
    assert (await http.post(CONFIGMAPS, configmap())).status == 201


async def test_messages_can_be_computed_and_default_to_the_expression(http):
    rules = [{"expression": "object.data.n == '1'", "messageExpression": "'n is ' + object.data.n"}]
    await bind(http, {"validations": rules})
    assert (await http.post(CONFIGMAPS, configmap(n="2"))).message.endswith("denied request: n is 2")
    await bind(http, {"validations": [{"expression": "object.data.n == '1'"}]}, name="a")
    assert (await http.post(CONFIGMAPS, configmap(n="3"))).message.endswith("failed expression: object.data.n == '1'")


async def test_the_old_object_and_the_operation_can_be_asked(http):
    expression = "request.operation != 'UPDATE' || object.data.k == oldObject.data.k"
    await bind(http, {"validations": [{"expression": expression, "reason": "Forbidden"}]})
    await http.post(CONFIGMAPS, configmap(k="1"))
    assert (await http.patch(f"{CONFIGMAPS}/one", {"data": {"j": "2"}})).status == 200
    assert (await http.patch(f"{CONFIGMAPS}/one", {"data": {"k": "2"}})).status == 403


async def test_a_status_names_its_writer_truly(widgets):
    await widgets.post(WIDGETS, widget())
    ann, bob = (widgets.acting_as(name, "system:masters") for name in ("ann", "bob"))
    await bind(widgets, {"rules": [EVERY | {"resources": ["widgets/status"]}], "validations": [MISMATCH]})
    path = f"{WIDGETS}/one/status"
    assert (await bob.patch(path, {"status": {"phase": "ann"}})).status == 422
    assert (await ann.patch(path, {"status": {"phase": "ann"}})).status == 200
    assert (await bob.patch(f"{WIDGETS}/one", {"spec": {"replicas": 2}})).status == 200


async def test_variables_may_stand_on_each_other(http):
    variables = [{"name": "n", "expression": "int(object.data.n)"}, {"name": "big", "expression": "variables.n > 3"}]
    await bind(http, {"variables": variables, "validations": [{"expression": "!variables.big"}]})
    assert (await http.post(CONFIGMAPS, configmap(n="3"))).status == 201
    assert (await http.post(CONFIGMAPS, configmap("two", n="4"))).status == 422


async def test_match_conditions_narrow_what_is_judged(http):
    condition = [{"name": "mine", "expression": "object.metadata.name.startsWith('x-')"}]
    await bind(http, {"matchConditions": condition, "validations": [{"expression": "false"}]})
    assert [(await http.post(CONFIGMAPS, configmap(name))).status for name in ("one", "x-one")] == [201, 422]


@pytest.mark.parametrize(("policy", "status"), [("Fail", 422), ("Ignore", 201)])
async def test_what_cannot_be_evaluated_follows_the_failure_policy(http, policy, status):
    await bind(http, {"failurePolicy": policy, "validations": [{"expression": "object.data.nosuch == '1'"}]})
    assert (await http.post(CONFIGMAPS, configmap(k="1"))).status == status


async def test_a_warning_lets_the_write_pass(http):
    await bind(http, {"validations": [{"expression": "false", "message": "careful"}]}, validationActions=["Warn"])
    answer = await http.post(CONFIGMAPS, configmap())
    assert (answer.status, answer.headers["Warning"].endswith(': careful"')) == (201, True)


async def test_namespace_and_object_selectors_narrow_a_binding(http):
    selector = {"matchResources": {"objectSelector": {"matchLabels": {"strict": "yes"}}}}
    await bind(http, {"validations": [{"expression": "false"}]}, **selector)
    marked = configmap("two") | {"metadata": {"name": "two", "labels": {"strict": "yes"}}}
    assert [(await http.post(CONFIGMAPS, body)).status for body in (configmap(), marked)] == [201, 422]


async def test_deletes_are_judged_where_the_rule_says_so(http):
    rule = EVERY | {"operations": ["DELETE"]}
    await bind(http, {"rules": [rule], "validations": [{"expression": "oldObject.data.locked != 'yes'"}]})
    await http.post(CONFIGMAPS, configmap(locked="yes"))
    assert (await http.delete(f"{CONFIGMAPS}/one")).status == 422
    await http.patch(f"{CONFIGMAPS}/one", {"data": {"locked": "no"}})
    assert (await http.delete(f"{CONFIGMAPS}/one")).status == 200


async def test_a_removed_binding_no_longer_denies(http):
    await bind(http, {"validations": [{"expression": "false"}]})
    assert (await http.post(CONFIGMAPS, configmap())).status == 422
    await http.delete(f"{BINDINGS}/example-p-b")

    async def passes():
        return (await http.post(CONFIGMAPS, configmap())).status == 201

    await eventually(passes)


async def test_parameters_come_from_an_object(http):
    await http.post(CONFIGMAPS, configmap("limits", most="3"))
    spec = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": [{"expression": "object.data.n <= params.data.most"}]}
    await bind(http, spec, paramRef={"name": "limits", "namespace": "example", "parameterNotFoundAction": "Deny"})
    assert [(await http.post(CONFIGMAPS, configmap(f"c{n}", n=n))).status for n in ("2", "4")] == [201, 422]
