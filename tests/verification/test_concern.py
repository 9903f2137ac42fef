"""Which alerts and series are about the problem at hand."""

import pytest

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.remediation import RemediationRequest
from kubernaut.verification.probes.concern import concerns
from tests.verification.looking import LABELS, request

pytestmark = pytest.mark.unit


def about(labels, kind="Deployment", name="shop", said=None):
    made = request("firing", "", "prometheus", said or LABELS)
    target = ResourceIdentifier(kind=kind, name=name, namespace="" if kind == "Node" else "production")
    asked = RemediationRequest.model_validate(made)
    return concerns(labels, asked.model_copy(update={"spec": asked.spec.model_copy(update={"target": target})}))


@pytest.mark.parametrize(
    ("labels", "kind", "mine"),
    [
        pytest.param({**LABELS}, "Deployment", True, id="the very same"),
        pytest.param({}, "Deployment", True, id="says nothing"),
        pytest.param({**LABELS, "severity": "warning"}, "Deployment", True, id="another severity of it"),
        pytest.param({**LABELS, "namespace": "staging"}, "Deployment", False, id="another namespace"),
        pytest.param({**LABELS, "pod": "shop-6b8c7-zzzzz"}, "Deployment", True, id="another pod of it"),
        pytest.param({**LABELS, "pod": "shop-db-0"}, "Deployment", False, id="a pod of a StatefulSet whose name begins alike"),
        pytest.param({**LABELS, "pod": "shop-api-6b8c7-zzzzz"}, "Deployment", False, id="a pod of a Deployment whose name begins alike"),
        pytest.param({**LABELS, "pod": "shop-agent-zzzzz"}, "Deployment", False, id="a pod of a DaemonSet whose name begins alike"),
        pytest.param({**LABELS, "pod": "shop-3"}, "StatefulSet", True, id="another pod of a StatefulSet"),
        pytest.param({**LABELS, "pod": "shop-zzzzz"}, "DaemonSet", True, id="another pod of a DaemonSet"),
        pytest.param({**LABELS, "pod": "shop-29000000-zzzzz"}, "CronJob", True, id="a later run of a CronJob"),
        pytest.param({**LABELS, "pod": "other"}, "Pod", False, id="another pod"),
        pytest.param({**LABELS, "pod": "other"}, "Node", True, id="a node is not its pods"),
    ],
)
def test_labels_tell_whose_they_are(labels, kind, mine):
    assert about(labels, kind) is mine


def test_labels_that_the_alert_does_not_have_do_not_matter():
    said = {"alertname": "KubeNodeNotReady", "node": "n1", "namespace": "production"}
    assert about({"node": "n1", "pod": "x", "job": "y"}, "Node", "n1", said)
    assert not about({"node": "n2"}, "Node", "n1", said)
