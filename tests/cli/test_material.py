"""What a diagnosis reads of a live cluster: as much as the asker may see, and nothing is written."""

from datetime import UTC, datetime

from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.api import core
from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.cli.material import Material, of_cluster
from kubernaut.cli.playing import Theatre, signal_about
from kubernaut.settings import Settings
from tests.world import World

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
READER = "system:serviceaccount:{}:reader"


async def scaled_to_zero(world: World) -> str:
    """Make a Deployment that runs nothing; return its namespace."""
    where = await world.namespace("live", environment="staging")
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "example/app:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    await world.client.create(core.DEPLOYMENT, {"metadata": {"name": "web", "namespace": where}, "spec": spec})
    return where


async def played(material: Material, namespace: str) -> tuple[str, list[str], str]:
    target = ResourceIdentifier(kind="Deployment", name="web", namespace=namespace)
    theatre = Theatre(material, Settings(), [RuleInvestigator()])
    found = await theatre.play(signal_about(target, NOW, name="Test", severity="critical"))
    return found.finding.cause.name, list(found.snapshot.unread), found.analysis.spec.analysis_request.alert_context.environment


async def test_a_live_cluster_is_read_whole(world: World):
    where = await scaled_to_zero(world)
    material = await of_cluster(world.client, (where,), NOW)
    assert await played(material, where) == ("ScaledToZero", [], "staging")
    assert material.cluster.objects(RemediationWorkflow.card) == []


async def test_who_may_read_one_namespace_alone_is_answered_from_it_and_told_what_was_not_read(world: World):
    where = await scaled_to_zero(world)
    rbac = "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["", "apps"], "resources": ["pods", "deployments", "replicasets", "events"], "verbs": ["get", "list"]}
    await world.client.create(core.ROLE, {"metadata": {"name": "reader", "namespace": where}, "rules": [rule]})
    binding = {
        "metadata": {"name": "reader", "namespace": where},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": where}],
    }
    await world.client.create(core.ROLE_BINDING, binding)
    reader = world.client.impersonating(READER.format(where))
    material = await of_cluster(reader, (where, "kubernaut-system"), NOW)
    cause, unread, environment = await played(material, where)
    assert (cause, environment) == ("ScaledToZero", "unknown")
    assert {"Node", "Namespace", "ConfigMap"} <= set(unread)
    assert not {"Pod", "Deployment", "ReplicaSet", "Event"} & set(unread)
