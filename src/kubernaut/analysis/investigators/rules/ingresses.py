"""Ingresses: ones that send to a Service or port that is not there, or that no controller feels meant by."""

from collections.abc import Iterator

from kubernaut.analysis.investigators.rules.judging import Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.leads import backends, matches, secrets_of, selector_of
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_OLD_CLASS = "kubernetes.io/ingress.class"


def _concerned(snapshot: Snapshot) -> Iterator[Obj]:
    """Yield the subject if it is an Ingress; else the Ingresses that send to the Services of the subject."""
    top = snapshot.top
    if top is None:
        return
    if top["kind"] == "Ingress":
        yield top
        return
    labels = (snapshot.template.get("metadata") or {}).get("labels")
    names = {each["metadata"]["name"] for each in snapshot.of("Service") if labels and matches(selector_of(each), labels)}
    names |= {top["metadata"]["name"]} if top["kind"] == "Service" else set()
    for ingress in snapshot.of("Ingress"):
        if names & {name for _, name, _ in backends(ingress)}:
            yield ingress


def backend_missing(snapshot: Snapshot) -> Candidate | None:
    """An Ingress sends to a Service that does not exist: its callers get 503."""
    for ingress in _concerned(snapshot):
        for field, name, _ in backends(ingress):
            if snapshot.knows("Service") and snapshot.named("Service", name) is None:
                said = (evidence(ingress, f"{field}.service.name", name, "no Service of that name exists"),)
                summary = f"Ingress {ingress['metadata']['name']} sends to Service {name}, which does not exist."
                remedy = Remedy(advice=f"Create the Service {name}, or correct the backend of the Ingress.", target=ingress)
                return concluded(snapshot, "IngressBackendMissing", summary, 0.86, said, remedy)
    return None


def port_missing(snapshot: Snapshot) -> Candidate | None:
    """An Ingress sends to a port that its Service does not have."""
    for ingress in _concerned(snapshot):
        for field, name, port in backends(ingress):
            service = snapshot.named("Service", name)
            ports = (service or {"spec": {}})["spec"].get("ports") or ()
            if service is None or any(row["port"] == port.get("number") or row.get("name", "") == port.get("name", "-") for row in ports):
                continue
            wanted = str(port.get("number") or port.get("name"))
            has = ", ".join(f"{row['port']}" + (f" ({row['name']})" if row.get("name") else "") for row in ports)
            said = (
                evidence(ingress, f"{field}.service.port", wanted, "where the Ingress sends"),
                evidence(service, "spec.ports", has, "the ports that the Service has"),
            )
            summary = f"Ingress {ingress['metadata']['name']} sends to port {wanted} of Service {name}, which has {has}."
            remedy = Remedy(advice="Correct the port in the backend of the Ingress.", target=ingress)
            return concluded(snapshot, "IngressPortWrong", summary, 0.86, said, remedy)
    return None


def class_missing(snapshot: Snapshot) -> Candidate | None:
    """An Ingress names an IngressClass that does not exist, or none while there is no default one: no controller serves it."""
    for ingress in _concerned(snapshot):
        name = (ingress.get("spec") or {}).get("ingressClassName")
        if not snapshot.knows("IngressClass") or (ingress["metadata"].get("annotations") or {}).get(_OLD_CLASS):
            continue
        default = any((each["metadata"].get("annotations") or {}).get(_DEFAULT) == "true" for each in snapshot.of("IngressClass"))
        absent = snapshot.named("IngressClass", name) is None if name else not default
        if absent and not ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
            known = ", ".join(each["metadata"]["name"] for each in snapshot.of("IngressClass")[:8]) or "none"
            said = (evidence(ingress, "spec.ingressClassName", name or "absent", f"the classes of the cluster: {known}"),)
            summary = f"No controller serves Ingress {ingress['metadata']['name']}: " + (
                f"its class {name} does not exist." if name else "it names no class, and there is no default one."
            )
            remedy = Remedy(advice=f"Set ingressClassName to a class that exists ({known}), or install its controller.", target=ingress)
            return concluded(snapshot, "IngressClassMissing", summary, 0.86, said, remedy)
    return None


def certificate_not_issued(snapshot: Snapshot) -> Candidate | None:
    """The certificate that an Ingress shows cannot be had or renewed: what keeps certificates in the cluster says so in its events.

    The Certificate is of a kind that we do not read; it bears the name of the Secret that the Ingress names, and events tell of it. One
    that was issued since is no case.
    """
    for ingress in _concerned(snapshot):
        for field, name in secrets_of(ingress):
            about = {"kind": "Certificate", "metadata": {"name": name, "namespace": ingress["metadata"].get("namespace", "")}}
            told = next(iter(snapshot.events_about(about)), None)
            if told is None or told.get("type") != "Warning":
                continue
            said = (
                evidence(ingress, field, name, "the certificate that it shows"),
                evidence(told, "message", told.get("message", ""), "why it is not issued"),
            )
            advice = f"Look at Certificate {name} and what it leads to (its CertificateRequest, Order and Challenge), and at its issuer."
            summary = f"Certificate {name} of Ingress {ingress['metadata']['name']} cannot be issued or renewed."
            return concluded(snapshot, "CertificateNotIssued", summary, 0.8, said, Remedy(advice=advice, target=ingress))
    return None


RULES = (
    Rule("IngressBackendMissing", backend_missing),
    Rule("IngressPortWrong", port_missing),
    Rule("IngressClassMissing", class_missing),
    Rule("CertificateNotIssued", certificate_not_issued),
)
