"""Services: ones that choose no pods, ones that lead to a port nobody opens, names that no Service has."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from kubernaut.analysis.containers import condition, containers, pod_ready
from kubernaut.analysis.hints import SAID, blames
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.complaints import murmuring
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Regression, Remedy, concluded, regression
from kubernaut.analysis.leads import labels_of, matches, misses, names, said_last, selector_of
from kubernaut.analysis.snapshot import Lead, Snapshot, Through
from kubernaut.api.base import Obj

_ALIKE = 0.5
"""How alike two label values must be for one to be a slip of the other."""
_SURE_OF_SERVING = 0.72
"""How sure it is that a Service is missed by a program that serves all the same."""
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, slots=True)
class Concerned:
    """A Service that the case is about, with the snapshot of its namespace, and who calls it."""

    service: Obj
    around: Snapshot
    lead: Lead | None = None

    @property
    def pods(self) -> list[Obj]:
        """The pods it chooses, those on their way out aside."""
        selector = selector_of(self.service)
        return [pod for pod in self.around.of("Pod") if matches(selector, labels_of(pod)) and not pod["metadata"].get("deletionTimestamp")]

    def said(self) -> tuple[Evidence, ...]:
        """Return how the case leads to it."""
        return (Evidence(self.lead.source, self.lead.field, self.lead.value, "the Service that it calls"),) if self.lead else ()


def concerned(snapshot: Snapshot) -> Iterator[Concerned]:
    """Yield the subject if it is a Service; the Services of an Ingress; those that choose the workload's pods; those it calls."""
    top = snapshot.top
    if top is None:
        return
    if top["kind"] == "Service":
        yield Concerned(top, snapshot)
    elif top["kind"] == "Ingress":
        names = {str((row.get("service") or {}).get("name")) for row in _backends(top)}
        yield from (Concerned(each, snapshot) for each in snapshot.of("Service") if each["metadata"]["name"] in names)
    elif top["kind"] in _WORKLOADS:
        labels = (snapshot.template.get("metadata") or {}).get("labels")
        own = [each for each in snapshot.of("Service") if matches(selector_of(each), labels)]
        yield from (Concerned(each, snapshot) for each in own or _missing_out(snapshot, top))
    for lead in snapshot.leads:
        if lead.service is not None and lead.through is not Through.STANDS_FOR:
            yield Concerned(lead.service, lead.snapshot or snapshot, lead)


def _missing_out(snapshot: Snapshot, top: Obj) -> Iterator[Obj]:
    """Yield the Services that bear the name of a workload without any, and would choose its pods but for one label."""
    for service in snapshot.of("Service"):
        selector = selector_of(service)
        if selector and service["metadata"]["name"] == top["metadata"]["name"]:
            slip = _slip(Concerned(service, snapshot), selector["matchLabels"])
            if slip is not None and slip[3] == top:
                yield service


def _backends(ingress: Obj) -> Iterator[Obj]:
    spec = ingress.get("spec") or {}
    yield spec.get("defaultBackend") or {}
    for rule in spec.get("rules") or ():
        yield from (path.get("backend") or {} for path in (rule.get("http") or {}).get("paths") or ())


def selects_nothing(snapshot: Snapshot) -> Candidate | None:
    """A Service's selector fits no pod and no workload: its callers get no answer.

    Where one label value alone keeps it from the pods of a workload, the Service is corrected.
    """
    for row in concerned(snapshot):
        selector = selector_of(row.service)
        if selector is None or row.pods or not row.around.knows("Pod") or not _in_reach(row) or _templates(row, selector):
            continue
        slip = _slip(row, selector["matchLabels"])
        name = row.service["metadata"]["name"]
        near = (
            f" Workload {slip[3]['metadata']['name']} would fit with {slip[0]}={slip[2]}."
            if slip
            else _surplus(row, selector["matchLabels"])
        )
        said = (*row.said(), evidence(row.service, "spec.selector", _written(selector["matchLabels"]), "no pod has these labels"))
        said += (evidence(slip[3], f"spec.template.metadata.labels[{slip[0]}]", slip[2], "what its pods are called"),) if slip else ()
        remedy = Remedy(
            advice=f"Correct the selector of Service {name}, or the labels of the pods it is for.",
            action="FixServiceSelector" if slip else "",
            target=row.service,
            facts=dict(zip(("service.selector.key", "service.selector.current", "service.selector.proposed"), slip[:3], strict=True))
            if slip
            else {},
        )
        return concluded(snapshot, "ServiceSelectsNothing", f"Service {name} chooses no pods.{near}", 0.86 if slip else 0.78, said, remedy)
    return None


def _in_reach(row: Concerned) -> bool:
    """Tell whether the snapshot that goes with a Service is of the Service's namespace."""
    return any(each["metadata"].get("namespace") == row.service["metadata"].get("namespace") for each in (*row.around.chain,))


def _templates(row: Concerned, selector: Obj) -> list[Obj]:
    return [obj for kind in _WORKLOADS for obj in row.around.of(kind) if matches(selector, _template_labels(obj))]


def _template_labels(obj: Obj) -> dict[str, str]:
    found: dict[str, str] = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return found


def _slip(row: Concerned, wanted: dict[str, str]) -> tuple[str, str, str, Obj] | None:
    """Return key, value, the value it should be, and the workload: the likest of those that differ in one value and are not served yet."""
    found = []
    for obj in (each for kind in _WORKLOADS for each in row.around.of(kind)):
        labels = _template_labels(obj)
        wrong = [key for key, value in wanted.items() if labels.get(key) != value]
        if len(wrong) == 1 and wrong[0] in labels:
            alike = SequenceMatcher(None, wanted[wrong[0]], labels[wrong[0]]).ratio()
            found.append((alike, len(wanted), wrong[0], labels[wrong[0]], obj))
    best = max(found, key=lambda each: (each[0], each[4]["metadata"]["name"]), default=None)
    if best is None or (best[0] < _ALIKE and best[1] == 1):
        return None
    return best[2], wanted[best[2]], best[3], best[4]


def _surplus(row: Concerned, wanted: dict[str, str]) -> str:
    """Name the one label without which a workload's pods would be chosen: one that its pods do not have at all."""
    for obj in (each for kind in _WORKLOADS for each in row.around.of(kind)):
        labels = _template_labels(obj)
        wrong = [key for key, value in wanted.items() if labels.get(key) != value]
        if len(wrong) == 1 < len(wanted) and wrong[0] not in labels:
            return f" Without {wrong[0]}={wanted[wrong[0]]} it would choose those of {obj['metadata']['name']}, which have no such label."
    return ""


def _written(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def port_wrong(snapshot: Snapshot) -> Candidate | None:
    """No port of a Service leads to a port that its pods open, though they are ready: its callers are refused.

    Where the pods open one port only, the Service is led to that one. Pods that do not say which ports they open prove nothing.
    """
    for row in concerned(snapshot):
        pods = [pod for pod in row.pods if pod_ready(pod)]
        if not pods or not (wrong := _wrong(row, pods[0])):
            continue
        port, target, opened = wrong
        numbers = sorted({number for number, _ in opened})
        name, proposed = row.service["metadata"]["name"], str(numbers[0]) if len(numbers) == 1 else ""
        said = (
            *row.said(),
            evidence(row.service, f"spec.ports[{port}].targetPort", target, "where the Service leads"),
            evidence(pods[0], "spec.containers[*].ports", ", ".join(map(str, numbers)), "the ports that its pods open"),
        )
        facts = {"service.port": str(port), "service.targetPort.current": str(target)}
        remedy = Remedy(
            advice=f"Correct targetPort of port {port} of Service {name}.",
            action="FixServicePort" if proposed else "",
            target=row.service,
            facts=facts | ({"service.targetPort.proposed": proposed} if proposed else {}),
        )
        summary = f"Service {name} leads port {port} to {target}, and its pods open {', '.join(map(str, numbers))}."
        return concluded(snapshot, "ServicePortWrong", summary, 0.82, said, remedy)
    return None


def _wrong(row: Concerned, pod: Obj) -> tuple[int, object, list[tuple[int, str]]] | None:
    """Return the first port that leads nowhere, where it leads, and what is open; None where a port (that is called) is right."""
    opened = [
        (int(port["containerPort"]), str(port.get("name") or ""))
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
    ]
    ports = [port for port in row.service["spec"].get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    called = [port for port in ports if row.lead is not None and port["port"] == row.lead.port]
    wrong = [port for port in called or ports if not _leads_to(port, opened)]
    if not opened or not wrong or len(wrong) < len(called or ports):
        return None
    return int(wrong[0]["port"]), wrong[0].get("targetPort", wrong[0]["port"]), opened


def _leads_to(port: Obj, opened: list[tuple[int, str]]) -> bool:
    target = port.get("targetPort", port["port"])
    return any(target in {number, name} or str(target) == str(number) for number, name in opened)


def port_not_offered(snapshot: Snapshot) -> Candidate | None:
    """A workload that is not well calls a Service on a port that the Service does not have."""
    for lead in _calls(snapshot):
        ports = [int(port["port"]) for port in (lead.service or {"spec": {}})["spec"].get("ports") or ()]
        headless = ((lead.service or {}).get("spec") or {}).get("clusterIP") == "None"
        if lead.service is None or lead.port is None or not ports or headless or lead.port in ports or not felt(snapshot, lead):
            continue
        named, name = _named(lead), lead.service["metadata"]["name"]
        said = (named, evidence(lead.service, "spec.ports[*].port", ", ".join(map(str, ports)), "the ports that the Service has"))
        summary = f"{snapshot.target.path()} calls Service {name} on port {lead.port}; it has {', '.join(map(str, ports))}."
        remedy = Remedy(advice=f"Correct the address in {lead.field}, or give the Service that port.")
        return concluded(snapshot, "ServicePortNotOffered", summary, 0.82, said, remedy, back=_changed(snapshot, lead))
    return None


def service_not_found(snapshot: Snapshot) -> Candidate | None:
    """A workload that is not well is told to call a Service that does not exist: the name is wrong, or the Service was deleted.

    One whose pods are ready counts too where its log is full of errors that name the host; nothing is changed for that alone, unless the
    last roll-out brought that very address.
    """
    for lead in _calls(snapshot):
        if lead.service is None and felt(snapshot, lead):
            host = lead.host
            near = _nearest(host.partition(".")[0], snapshot) if host.endswith(f".{snapshot.target.namespace}") else ""
            advice = f"Create the Service {host}, or correct the address in {lead.field}." + (f" Service {near} exists." if near else "")
            summary = f"{snapshot.target.path()} calls Service {host}, which does not exist."
            back = _changed(snapshot, lead) if unwell(snapshot) or lead.field != SAID else None
            sureness = 0.84 if back or unwell(snapshot) else _SURE_OF_SERVING
            return concluded(snapshot, "ServiceNotFound", summary, sureness, (_named(lead),), Remedy(advice=advice), back=back)
    return None


def load_balancer_failed(snapshot: Snapshot) -> Candidate | None:
    """A Service of type LoadBalancer gets no address: the cloud's controller refuses or fails."""
    for row in concerned(snapshot):
        status = (row.service.get("status") or {}).get("loadBalancer") or {}
        if row.lead or row.service["spec"].get("type") != "LoadBalancer" or status.get("ingress"):
            continue
        told = next(iter(snapshot.events_about(row.service, "SyncLoadBalancerFailed", "EnsureLoadBalancerFailed")), None)
        if told is not None:
            name = row.service["metadata"]["name"]
            said = (evidence(told, "message", told.get("message", ""), "why it has no address"),)
            remedy = Remedy(advice="Read the cloud controller's message: quota, subnets, annotations or permissions.", target=row.service)
            return concluded(snapshot, "LoadBalancerFailed", f"Service {name} gets no address from outside.", 0.84, said, remedy)
    return None


def _calls(snapshot: Snapshot) -> Iterator[Lead]:
    """Yield what the subject calls; what a mounted file names only where the program complains of it, or says nothing at all."""
    quiet = not said_last(snapshot).strip()
    rows = (lead for lead in snapshot.leads if lead.through is Through.CALLS)
    return (lead for lead in rows if quiet or ".volumes[" not in lead.field or complains(snapshot, lead))


def _changed(snapshot: Snapshot, lead: Lead) -> Regression | None:
    """Return the way back where the last roll-out changed the address; what stands in a ConfigMap no roll-out changes."""
    field, pods = lead.field.removeprefix("spec.template."), [pod for pod in snapshot.pods if not pod_ready(pod)]
    if lead.field == SAID:
        return regression(snapshot, pods, lambda change: ".image" in change.path or ".env" in change.path or ".args" in change.path)
    whole = field.removesuffix(".args") if field.startswith("spec.initContainers") else field
    return regression(snapshot, pods, lambda change: change.path.startswith(whole))


def _named(lead: Lead) -> Evidence:
    return Evidence(lead.source, lead.field, lead.value, "the address that it calls")


def unwell(snapshot: Snapshot) -> bool:
    """Tell whether pods of the subject run and do not serve: what somebody shows who misses something."""
    return any(not pod_ready(pod) and condition(pod, "PodScheduled").get("status") != "False" for pod in snapshot.pods)


def complains(snapshot: Snapshot, lead: Lead) -> bool:
    """Tell whether the subject's programs write of calls to a lead's Service that fail, whether they serve or not."""
    address, name = str(((lead.service or {}).get("spec") or {}).get("clusterIP") or ""), lead.host.partition(".")[0]
    if not name:
        return False
    return blames(said_last(snapshot), name, address) or any(misses("\n".join(lines), name) for _, lines in murmuring(snapshot))


def felt(snapshot: Snapshot, lead: Lead) -> bool:
    """Tell whether the subject shows that what it calls does not answer: by pods that do not serve, or by errors that name the host."""
    return unwell(snapshot) or complains(snapshot, lead)


def spoken_of(snapshot: Snapshot, lead: Lead) -> bool:
    """Tell whether last words or probe reports of the subject's pods name the host."""
    name = lead.host.partition(".")[0]
    words = [ended.message for container in containers(snapshot) for ended in container.ends()]
    words += [str(event.get("message") or "") for event in snapshot.events_of("Unhealthy")]
    words += snapshot.logs.values()
    return bool(name) and any(names(text, name) for text in words)


def _nearest(name: str, snapshot: Snapshot) -> str:
    rows = [(SequenceMatcher(None, name, each["metadata"]["name"]).ratio(), each["metadata"]["name"]) for each in snapshot.of("Service")]
    best = max(rows, default=(0.0, ""))
    return best[1] if best[0] > _ALIKE else ""


_EXPLAINS = SYMPTOMS
RULES = (
    Rule("ServiceSelectsNothing", selects_nothing, explains=_EXPLAINS),
    Rule("ServicePortWrong", port_wrong, explains=_EXPLAINS),
    Rule("ServicePortNotOffered", port_not_offered, explains=_EXPLAINS),
    Rule("LoadBalancerFailed", load_balancer_failed),
    Rule("ServiceNotFound", service_not_found, explains=_EXPLAINS),
)
