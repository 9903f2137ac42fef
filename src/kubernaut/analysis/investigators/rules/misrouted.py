"""Calls that go astray though every object is well: names that lead elsewhere, and Services that keep calls on the caller's node."""

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.hints import COREFILE
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.investigators.rules.services import felt
from kubernaut.analysis.leads import labels_of, matches, selector_of
from kubernaut.analysis.snapshot import Lead, Snapshot, Through
from kubernaut.api.base import Obj, ResourceIdentifier


def host_alias_wrong(snapshot: Snapshot) -> Candidate | None:
    """A host alias of the pods gives the name of a Service they call another address: DNS is never asked, and the Service is passed by."""
    pod = next(iter(snapshot.pods), None)
    for row in (pod["spec"].get("hostAliases") or ()) if pod else ():
        for name in row.get("hostnames") or ():
            lead = next((each for each in _called(snapshot) if _means(each, str(name))), None)
            address = str(((lead.service or {}).get("spec") or {}).get("clusterIP") or "") if lead else ""
            if pod is None or lead is None or row.get("ip") == address:
                continue
            said = (
                evidence(pod, f"spec.hostAliases[{row.get('ip')}].hostnames", name, "the pod's own hosts file comes before DNS"),
                Evidence(lead.source, lead.field, lead.value, f"it calls the Service of that name, which is at {address}"),
            )
            back = regression(snapshot, [pod], lambda change: "hostAliases" in change.path)
            remedy = Remedy(advice=f"Take {name} out of hostAliases of {snapshot.target.path()}.")
            summary = f"A host alias leads calls of {snapshot.target.path()} for {name} to {row.get('ip')}, past Service {name}."
            return concluded(snapshot, "HostAliasWrong", summary, 0.84 if felt(snapshot, lead) else 0.76, said, remedy, back=back)
    return None


def _called(snapshot: Snapshot) -> list[Lead]:
    return [lead for lead in snapshot.leads if lead.through is Through.CALLS and lead.service is not None]


def _means(lead: Lead, name: str) -> bool:
    host = lead.host
    return name in {host, host.partition(".")[0], f"{host}.svc", f"{host}.svc.cluster.local"}


def no_local_endpoint(snapshot: Snapshot) -> Candidate | None:
    """A Service keeps calls on the node of the caller (internalTrafficPolicy Local), and no ready pod of it is on that node."""
    for lead in _called(snapshot):
        service = lead.service or {}
        if (service.get("spec") or {}).get("internalTrafficPolicy") != "Local" or lead.snapshot is None:
            continue
        behind = _nodes(lead.snapshot.of("Pod"), selector_of(service))
        cut_off = [pod for pod in snapshot.pods if pod["spec"].get("nodeName") and pod["spec"]["nodeName"] not in behind]
        if not cut_off or not behind:
            continue
        name = service["metadata"]["name"]
        said = (
            evidence(
                service,
                "spec.internalTrafficPolicy",
                "Local",
                f"calls stay on their node; ready pods are on {', '.join(sorted(behind))} only",
            ),
            evidence(cut_off[0], "spec.nodeName", cut_off[0]["spec"]["nodeName"], "the caller is on another node"),
        )
        advice = f"Set internalTrafficPolicy of Service {name} to Cluster, or run a pod of it on every node that calls it."
        whose = f"{len(cut_off)} of {len(snapshot.pods)} pods of {snapshot.target.path()}"
        summary = f"Service {name} keeps calls on their node, and {whose} have none of its pods there."
        return concluded(
            snapshot, "NoLocalEndpoint", summary, 0.86 if felt(snapshot, lead) else 0.72, said, Remedy(advice=advice, target=service)
        )
    return None


def _nodes(pods: tuple[Obj, ...], selector: Obj | None) -> set[str]:
    return {str(pod["spec"].get("nodeName")) for pod in pods if matches(selector, labels_of(pod)) and pod_ready(pod)}


def dns_overridden(snapshot: Snapshot) -> Candidate | None:
    """The cluster's DNS is told to deny names of Services that exist (a template in its Corefile): nobody can call them by name."""
    lead = next((each for each in snapshot.leads if each.through is Through.RESOLVES and each.field == COREFILE), None)
    if lead is None:
        return None
    kind, namespace, name = lead.source.split("/")
    target = ResourceIdentifier(kind="ConfigMap", namespace=namespace, name=name, api_version="v1")
    said = (Evidence(lead.source, lead.field, lead.value, "names of this zone are answered with NXDOMAIN before they are looked up"),)
    advice = f"Take the template for {lead.value} out of the Corefile in {kind} {namespace}/{name}; CoreDNS reads it again by itself."
    summary = f"{snapshot.target.path()} cannot resolve names of Services: the cluster's DNS is told to deny {lead.value}."
    return concluded(snapshot, "DNSOverridden", summary, 0.88, said, Remedy(advice=advice, target=_object(target)))


def _object(target: ResourceIdentifier) -> Obj:
    return {"apiVersion": target.api_version, "kind": target.kind, "metadata": {"name": target.name, "namespace": target.namespace}}


_EXPLAINS = SYMPTOMS | {"ServiceNotFound", "DNSPolicyWrong"}
RULES = (
    Rule("HostAliasWrong", host_alias_wrong, explains=_EXPLAINS),
    Rule("NoLocalEndpoint", no_local_endpoint, explains=SYMPTOMS),
    Rule("DNSOverridden", dns_overridden, explains=_EXPLAINS),
)
