"""NetworkPolicies: traffic from a workload to what it calls, held against the policies at both ends."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.investigators.rules.services import complains, spoken_of, unwell
from kubernaut.analysis.leads import governing, labels_of, matches, names_fail, said_last, selector_of
from kubernaut.analysis.snapshot import Lead, Snapshot, Through
from kubernaut.api.base import Obj

_DNS = 53


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a connection: a pod with its namespace's labels."""

    pod: Obj
    namespace: Obj | None

    @property
    def labels(self) -> dict[str, str]:
        held: dict[str, str] = dict(((self.namespace or {}).get("metadata") or {}).get("labels") or {})
        name = self.pod["metadata"].get("namespace", "")
        return {"kubernetes.io/metadata.name": name, **held}


@dataclass(frozen=True, slots=True)
class _Way:
    """A connection that a lead speaks of."""

    lead: Lead
    here: _End
    there: _End
    port: int


def _ways(snapshot: Snapshot) -> Iterator[_Way]:
    """Yield the connections from the subject's pods to ready pods of the Services it calls."""
    mine = next(iter(snapshot.pods), None)
    for lead in snapshot.leads:
        if mine is None or lead.through is not Through.CALLS or lead.snapshot is None or lead.service is None:
            continue
        selector = selector_of(lead.service)
        theirs = next((pod for pod in lead.snapshot.of("Pod") if matches(selector, labels_of(pod)) and pod_ready(pod)), None)
        if theirs is not None and (port := _port(lead, theirs)):
            yield _Way(lead, _End(mine, snapshot.namespace), _End(theirs, lead.snapshot.namespace), port)


def _port(lead: Lead, pod: Obj) -> int | None:
    """Return the pod's port that the call ends at."""
    ports = ((lead.service or {}).get("spec") or {}).get("ports") or ()
    row = next((port for port in ports if lead.port in {None, port["port"]}), None)
    target = (row or {}).get("targetPort", (row or {}).get("port"))
    if target is None or str(target).isdecimal():
        return int(target) if target is not None else None
    opened = (port for container in pod["spec"]["containers"] for port in container.get("ports") or ())
    return next((int(port["containerPort"]) for port in opened if port.get("name") == target), None)


def ingress_blocked(snapshot: Snapshot) -> Candidate | None:
    """Judge the policies at the far end of each connection."""
    for way in _ways(snapshot):
        policies = _policies(way.lead.snapshot, way.there.pod, "Ingress")
        if not policies or any(_allows(policy, "ingress", "from", way.here, way, way.there) for policy in policies):
            continue
        policy, namespace = policies[0], way.here.pod["metadata"].get("namespace", "")
        facts = {"network.from.namespace": namespace, "network.port": str(way.port)}
        summary = f"NetworkPolicy {policy['metadata']['name']} keeps {snapshot.target.path()} from {way.lead.host} on port {way.port}."
        remedy = Remedy(
            advice=f"Let traffic from namespace {namespace} in to port {way.port}.", action="FixNetworkPolicy", target=policy, facts=facts
        )
        return concluded(snapshot, "NetworkPolicyBlocks", summary, _confidence(snapshot, way), _said(way, policy, "Ingress"), remedy)
    return None


def egress_blocked(snapshot: Snapshot) -> Candidate | None:
    """A NetworkPolicy around the workload itself does not let it out to what it calls."""
    for way in _ways(snapshot):
        policies = _policies(snapshot, way.here.pod, "Egress")
        if not policies or any(_allows(policy, "egress", "to", way.there, way, way.there) for policy in policies):
            continue
        policy = policies[0]
        summary = (
            f"NetworkPolicy {policy['metadata']['name']} does not let {snapshot.target.path()} out to {way.lead.host} on port {way.port}."
        )
        remedy = Remedy(advice=f"Add an egress rule to {way.lead.host} on port {way.port} to the policy.", target=policy)
        return concluded(snapshot, "NetworkPolicyBlocksEgress", summary, _confidence(snapshot, way), _said(way, policy, "Egress"), remedy)
    return None


def dns_blocked(snapshot: Snapshot) -> Candidate | None:
    """NetworkPolicies restrict what the workload may call and forget DNS: no name resolves, so nothing can be called by name."""
    pod = min(snapshot.pods, key=pod_ready, default=None)
    if pod is None or not (unwell(snapshot) or names_fail(said_last(snapshot))):
        return None
    policies = _policies(snapshot, pod, "Egress")
    if not policies or any(_lets_dns_out(policy) for policy in policies):
        return None
    policy = policies[0]
    said = (evidence(policy, "spec.egress", _ports_told(policy), "the only ports that it lets out; DNS is 53"),)
    remedy = Remedy(advice="Add an egress rule for UDP and TCP port 53 to the policy.", target=policy)
    summary = f"NetworkPolicy {policy['metadata']['name']} does not let {snapshot.target.path()} ask DNS: no name resolves."
    called = any(lead.through is Through.CALLS for lead in snapshot.leads)
    return concluded(snapshot, "NetworkPolicyBlocksDNS", summary, 0.85 if called else 0.7, said, remedy)


def dns_policy_wrong(snapshot: Snapshot) -> Candidate | None:
    """Pods ask their node's resolver, which knows no Service (dnsPolicy Default, or hostNetwork), and call a Service by its name."""
    pod = min(snapshot.pods, key=pod_ready, default=None)
    policy = _resolver(pod) if pod else ""
    called = next((lead for lead in snapshot.leads if lead.through is Through.CALLS and lead.service and spoken_of(snapshot, lead)), None)
    if pod is None or not policy or called is None or not names_fail(said_last(snapshot)):
        return None
    said = (
        evidence(pod, "spec.dnsPolicy", policy, "names are asked of the node's resolver, which knows no Service"),
        Evidence(called.source, called.field, called.value, "it exists, and the program says that its name does not resolve"),
    )
    back = regression(snapshot, [pod], lambda change: change.path.startswith(("spec.dns", "spec.hostNetwork")))
    remedy = Remedy(advice="Set dnsPolicy to ClusterFirst; with hostNetwork to ClusterFirstWithHostNet.")
    summary = f"Pods of {snapshot.target.path()} do not ask the cluster's DNS, and call Service {called.host} by its name."
    return concluded(snapshot, "DNSPolicyWrong", summary, 0.84, said, remedy, back=back)


def member_cut_off(snapshot: Snapshot) -> Candidate | None:
    """A NetworkPolicy lets nothing into one pod of a StatefulSet, whose members talk to each other: others of them are not well."""
    if snapshot.target.kind != "StatefulSet" or not unwell(snapshot) or not governing(snapshot.top or {"kind": ""}):
        return None
    for pod in snapshot.pods:
        others = [each for each in snapshot.pods if each is not pod and not pod_ready(each)]
        policies = _policies(snapshot, pod, "Ingress")
        apart = [policy for policy in policies if not any(policy in _policies(snapshot, each, "Ingress") for each in others)]
        if not others or not apart or any((policy.get("spec") or {}).get("ingress") for policy in policies):
            continue
        policy, name = apart[0], pod["metadata"]["name"]
        said = (
            evidence(policy, "spec.podSelector", _selector(policy), f"it chooses {name}, and not the members that are not ready"),
            evidence(policy, "spec.ingress", "no rules", "nothing is let in, not even the other members"),
        )
        advice = "Let the pods of the StatefulSet in to each other, or take the policy away."
        summary = f"NetworkPolicy {policy['metadata']['name']} cuts {name} off from the other members of {snapshot.target.path()}."
        return concluded(snapshot, "NetworkPolicyBlocks", summary, 0.8, said, Remedy(advice=advice, target=policy))
    return None


def blocked(snapshot: Snapshot) -> Candidate | None:
    """A NetworkPolicy around what the workload calls lets nobody of this workload in; or one cuts a member of a StatefulSet off.

    Another policy beside it can let that traffic in, from this namespace to this port and no more.
    """
    return ingress_blocked(snapshot) or member_cut_off(snapshot)


def _resolver(pod: Obj) -> str:
    """Return the setting by which a pod does not ask the cluster's DNS; empty where it does."""
    spec = pod["spec"]
    policy, host = str(spec.get("dnsPolicy") or "ClusterFirst"), bool(spec.get("hostNetwork"))
    searched = any("cluster.local" in each for each in (spec.get("dnsConfig") or {}).get("searches") or ())
    if policy == "ClusterFirst":
        return "ClusterFirst with hostNetwork" if host else ""
    return policy if policy == "Default" or (policy == "None" and not searched) else ""


def _confidence(snapshot: Snapshot, way: _Way) -> float:
    return 0.86 if unwell(snapshot) else 0.8 if complains(snapshot, way.lead) else 0.62


def _said(way: _Way, policy: Obj, type_: str) -> tuple[Evidence, ...]:
    rules = (policy.get("spec") or {}).get(type_.lower()) or ()
    return (
        Evidence(way.lead.source, way.lead.field, way.lead.value, "the address that it calls"),
        evidence(policy, "spec.podSelector", _selector(policy), f"it chooses the pods at one end and restricts {type_.lower()} traffic"),
        evidence(policy, f"spec.{type_.lower()}", f"{len(rules)} rules", f"none of them allows this on port {way.port}"),
    )


def _selector(policy: Obj) -> str:
    labels = ((policy.get("spec") or {}).get("podSelector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "all pods"


def _policies(snapshot: Snapshot | None, pod: Obj, type_: str) -> list[Obj]:
    """Return the policies of a pod's namespace that choose it and restrict a direction, the one that chooses most narrowly first."""
    found = sorted(snapshot.of("NetworkPolicy") if snapshot else (), key=_breadth)
    return [policy for policy in found if type_ in _types(policy) and matches(selector_of(policy), labels_of(pod))]


def _breadth(policy: Obj) -> tuple[int, str]:
    selector = selector_of(policy) or {}
    return -len(selector.get("matchLabels") or {}) - len(selector.get("matchExpressions") or ()), policy["metadata"]["name"]


def _types(policy: Obj) -> set[str]:
    spec = policy.get("spec") or {}
    return set(spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])])


def _allows(policy: Obj, field: str, side: str, peer: _End, way: _Way, opener: _End) -> bool:
    rules = (policy.get("spec") or {}).get(field) or ()
    home = policy["metadata"].get("namespace", "")
    return any(_port_fits(rule, way.port, opener.pod) and _peer_fits(rule.get(side), peer, home) for rule in rules)


def _port_fits(rule: Obj, port: int, pod: Obj) -> bool:
    rows = rule.get("ports")
    if not rows:
        return True
    names = {item.get("name"): int(item["containerPort"]) for row in pod["spec"]["containers"] for item in row.get("ports") or ()}
    for row in (each for each in rows if each.get("protocol", "TCP") == "TCP"):
        wanted = row.get("port")
        number = names.get(wanted) if isinstance(wanted, str) and not wanted.isdecimal() else wanted
        if wanted is None or (number is not None and int(number) <= port <= int(row.get("endPort") or number)):
            return True
    return False


def _peer_fits(peers: list[Obj] | None, end: _End, home: str) -> bool:
    """Tell whether one of a rule's peers takes the pod; address blocks are believed to, since pods' addresses are not known here."""
    if not peers:
        return True
    return any(_one_fits(peer, end, home) for peer in peers)


def _one_fits(peer: Obj, end: _End, home: str) -> bool:
    if peer.get("ipBlock"):
        return True
    space = peer.get("namespaceSelector")
    same = end.pod["metadata"].get("namespace", "") == home
    fits = same if space is None else matches(space, end.labels)
    return fits and (peer.get("podSelector") is None or matches(peer["podSelector"], labels_of(end.pod)))


def _lets_dns_out(policy: Obj) -> bool:
    rules = (policy.get("spec") or {}).get("egress") or ()
    return any(not rule.get("ports") or any(_is_dns(row) for row in rule["ports"]) for rule in rules)


def _is_dns(row: Obj) -> bool:
    port = row.get("port")
    if port is None or port in {"dns", "dns-tcp", "domain"}:
        return True
    return str(port).isdecimal() and int(port) <= _DNS <= int(row.get("endPort") or port)


def _ports_told(policy: Obj) -> str:
    rows = [str(row.get("port")) for rule in (policy.get("spec") or {}).get("egress") or () for row in rule.get("ports") or ()]
    return ", ".join(rows) or "none"


RULES = (
    Rule("NetworkPolicyBlocks", blocked, explains=SYMPTOMS),
    Rule("NetworkPolicyBlocksEgress", egress_blocked, explains=SYMPTOMS),
    Rule("DNSPolicyWrong", dns_policy_wrong, explains=SYMPTOMS | {"NetworkPolicyBlocksDNS", "ServiceNotFound"}),
    Rule("NetworkPolicyBlocksDNS", dns_blocked, explains=SYMPTOMS | {"NetworkPolicyBlocksEgress"}),
)
