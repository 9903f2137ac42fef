"""Whether the target is still what the fix made of it."""

import pytest

from kubernaut.api.verification import EffectivenessAssessmentStatus
from kubernaut.verification.probes.drift import judge, replicas_of, spec_hash

pytestmark = pytest.mark.unit


def deployment(image="shop:2", replicas=3, managers=()):
    return {
        "kind": "Deployment",
        "metadata": {"name": "shop", "managedFields": [{"manager": "kubernaut", "time": "2026-01-01T00:00:00Z", **WRITES}, *managers]},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "shop", "image": image}]}}},
        "status": {"readyReplicas": replicas},
    }


WRITES = {"operation": "Update", "fieldsV1": {"f:spec": {}}}
SCALER = {"manager": "kube-controller-manager", "subresource": "scale", "time": "2026-01-01T00:09:00Z", **WRITES}
REPORTER = {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-01-01T00:09:00Z", "fieldsV1": {"f:status": {}}}
PERSON = {"manager": "kubectl-edit", "time": "2026-01-01T00:05:00Z", **WRITES}
LEFT = EffectivenessAssessmentStatus(spec_hash=spec_hash(deployment()), spec_replicas=replicas_of(deployment()))


@pytest.mark.parametrize(
    ("obj", "score", "told"),
    [
        pytest.param(deployment(), 1.0, "as the fix left it", id="untouched"),
        pytest.param(deployment(managers=[REPORTER]), 1.0, "as the fix left it", id="its status moves on"),
        pytest.param(deployment(replicas=7, managers=[SCALER]), 1.0, "as the fix left it", id="an autoscaler at work"),
        pytest.param(
            deployment(replicas=7, managers=[PERSON]), 0.0, "kubectl-edit changed its replicas, from 3 to 7, after", id="scaled by hand"
        ),
        pytest.param(deployment("shop:1", managers=[PERSON, SCALER]), 0.0, "changed its spec after the fix", id="changed and scaled"),
        pytest.param(
            deployment("shop:1", managers=[PERSON, REPORTER]), 0.0, "kubectl-edit changed its spec after the fix", id="changed by hand"
        ),
        pytest.param({"metadata": {"name": "shop"}, "spec": {}}, 0.0, "somebody changed its spec after the fix", id="nobody knows by whom"),
    ],
)
def test_drift_is_told_with_who_did_it(obj, score, told):
    reading = judge(obj, LEFT)
    assert reading.score == score
    assert told in reading.message
