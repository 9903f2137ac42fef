"""Images: a container whose image cannot be pulled, told apart by the runtime's own words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kubernaut.analysis.containers import Container, containers, names_of
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, keys, place, sure, told_by
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, in_container, regression
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed", "ImageInspectError"})
_MISSING = re.compile(r"\bnot found\b|manifest unknown|manifest .* does not exist|no matching manifest|name unknown", re.IGNORECASE)
_DENIED = re.compile(
    r"\bdenied\b|unauthorized|authentication required|authorization (failed|token has expired)|\bforbidden\b|\b40[13]\b|insufficient_scope"
    r"|no basic auth credentials|invalid username/password",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"no such host|i/o timeout|connection refused|connection reset|no route to host|tls handshake|deadline exceeded|too ?many ?requests"
    r"|\b429\b|\b50[0234]\b|service unavailable|x509|server misbehaving|unexpected EOF|pull rate limit|context canceled",
    re.IGNORECASE,
)
_PLATFORM = re.compile(r"no match for platform|no matching manifest for", re.IGNORECASE)
_UNSIGNED = re.compile(r"signature validation failed|signature was required|SignatureValidationFailed|no signature exists", re.IGNORECASE)
_MALFORMED = re.compile(r"invalid reference format|couldn't parse image|short[- ]name", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Pull:
    """A container that waits for its image, and why the pull failed."""

    container: Container
    why: str
    """The runtime's words, without what it quotes: names of images prove nothing."""
    told: Evidence | None
    """Where those words stand."""

    @property
    def image(self) -> str:
        """The image as the spec names it."""
        return str(self.container.spec.get("image", ""))


def pulls(snapshot: Snapshot) -> list[Pull]:
    """Return the containers that wait for an image."""
    waiting = [container for container in containers(snapshot) if container.waiting.get("reason") in _PULLING]
    return [_pull(snapshot, container) for container in waiting]


def _pull(snapshot: Snapshot, container: Container) -> Pull:
    image = str(container.spec.get("image", ""))
    for words, told in _sayings(snapshot, container):
        bare = _without_names(words.replace(image, ""))
        if any(pattern.search(bare) for pattern in (_MISSING, _DENIED, _AWAY, _UNSIGNED, _MALFORMED)):
            return Pull(container, bare, told)
    return Pull(container, "", None)


def _without_names(words: str) -> str:
    """Return a message without what is quoted and without references: `denied:1` may be an image's name."""
    return " ".join(word for word in _QUOTED.sub("", words).split() if "/" not in word or not any(mark in word for mark in ".:@"))


def _sayings(snapshot: Snapshot, container: Container) -> Iterable[tuple[str, Evidence]]:
    message = str(container.waiting.get("message") or "")
    yield message, told_by(container, "state.waiting.message", message, "why the runtime cannot get the image")
    for event in snapshot.events_of("Failed"):
        text = str(event.get("message") or "")
        if _about(event, container.pod) and "pull" in text and str(container.spec.get("image", "")) in text:
            yield text, evidence(event, "message", text, "why the runtime cannot get the image")


def _about(event: Obj, pod: Obj) -> bool:
    involved = event.get("involvedObject") or {}
    return bool(involved.get("kind") == "Pod" and involved.get("name") == pod["metadata"]["name"])


def image_not_found(snapshot: Snapshot) -> Candidate | None:
    """The image does not exist in its registry: a wrong name or tag, or one that was never pushed.

    When a recent roll-out changed the image and the revision before worked, going back is the remedy; else a person must correct the name.
    """
    rows = (pull for pull in pulls(snapshot) if not _DENIED.search(pull.why) and not _PLATFORM.search(pull.why))
    found = [pull for pull in rows if _MISSING.search(pull.why)]
    return _candidate(snapshot, found, "ImageNotFound", 0.8, "does not exist in its registry", "Correct the image's name or push it.")


def image_denied(snapshot: Snapshot) -> Candidate | None:
    """The registry refuses the image: the pull secret is missing or wrong, or the repository does not exist (registries do not tell which).

    When a recent roll-out changed the image and the revision before worked, going back is the remedy; else the credentials must be renewed.
    """
    found = [pull for pull in pulls(snapshot) if _DENIED.search(pull.why)]
    return _candidate(
        snapshot,
        found,
        "ImagePullDenied",
        0.75,
        "is refused by its registry",
        "Check the pull secret and the repository's name.",
        "RefreshImagePullSecret",
    )


def pull_secret_missing(snapshot: Snapshot) -> Candidate | None:
    """The registry refuses the image, and the pull secret that the pod names does not exist: kubelet says that it cannot get it."""
    found = [pull for pull in pulls(snapshot) if _DENIED.search(pull.why)]
    for pull in found:
        event = next(iter(snapshot.events_about(pull.container.pod, "FailedToRetrieveImagePullSecret")), None)
        if event is None:
            continue
        names = ", ".join(str(row.get("name")) for row in pull.container.pod["spec"].get("imagePullSecrets") or ()) or "none"
        said = (
            *_evidence([pull]),
            evidence(event, "message", event.get("message", ""), "kubelet does not find the pull secret"),
            evidence(pull.container.pod, "spec.imagePullSecrets", names, "the pull secrets that the pod names"),
        )
        back = regression(snapshot, [pull.container.pod], lambda change: "imagePullSecrets" in change.path or ".image" in change.path)
        summary = f"{_sentence(found, 'is refused by its registry')} A pull secret that the pod names ({names}) does not exist."
        remedy = Remedy(advice=f"Create the pull secret in {snapshot.target.namespace}, or correct its name.")
        pods = [row.container.pod for row in found]
        return concluded(snapshot, "PullSecretMissing", summary, 0.85, said, remedy, pods=pods, back=back)
    return None


def wrong_platform(snapshot: Snapshot) -> Candidate | None:
    """The image exists, but not for the processor or system of the node: its manifest has no such platform."""
    found = [pull for pull in pulls(snapshot) if _PLATFORM.search(pull.why)]
    return _candidate(
        snapshot, found, "ImagePlatformMissing", 0.85, "is not built for the node's platform", "Build the image for the node's platform."
    )


def unsigned(snapshot: Snapshot) -> Candidate | None:
    """The node only runs signed images, and the signature of this one is missing or not trusted.

    When a recent roll-out changed the image and the revision before worked, going back is the remedy.
    """
    found = [pull for pull in pulls(snapshot) if _UNSIGNED.search(pull.why)]
    advice = "Have the image signed by a key that the node's policy trusts."
    return _candidate(snapshot, found, "ImageSignatureRejected", 0.83, "is refused by the node: its signature is not accepted", advice)


def pull_failing(snapshot: Snapshot) -> Candidate | None:
    """An image cannot be pulled, and nothing tells why: no words of the runtime are left, or none that are known.

    When a recent roll-out changed the image and the revision before worked, going back is the remedy.
    """
    found = [pull for pull in pulls(snapshot) if not pull.why]
    advice = "Look at the events of the pod, or pull the image by hand, to see why."
    return _candidate(snapshot, found, "ImagePullFailing", 0.64, "cannot be pulled", advice)


def registry_away(snapshot: Snapshot) -> Candidate | None:
    """The registry cannot be reached or turns clients away: no fault of the workload, so nothing of it is changed."""
    found = [pull for pull in pulls(snapshot) if _AWAY.search(pull.why) and not (_MISSING.search(pull.why) or _DENIED.search(pull.why))]
    if not found:
        return None
    advice = "Look at the registry and the way to it; kubelet tries again by itself."
    return _plain(snapshot, found, "RegistryUnreachable", sure(0.75), "cannot be pulled because its registry does not answer", advice)


def image_invalid(snapshot: Snapshot) -> Candidate | None:
    """The image reference itself is malformed or ambiguous: it is refused before any registry is asked."""
    rows = [container for container in containers(snapshot) if container.waiting.get("reason") == "InvalidImageName"]
    found = [
        Pull(row, "", told_by(row, "state.waiting.message", row.waiting.get("message", ""), "kubelet cannot read the reference"))
        for row in rows
    ]
    found += [pull for pull in pulls(snapshot) if _MALFORMED.search(pull.why)]
    return _candidate(snapshot, found, "InvalidImageName", 0.85, "is no valid image reference", "Correct the image reference.")


def _candidate(
    snapshot: Snapshot, found: list[Pull], cause: str, base: float, says: str, advice: str, action: str = ""
) -> Candidate | None:
    if not found:
        return None
    about = in_container(found[0].container, "image")
    back = regression(snapshot, [pull.container.pod for pull in found], about)
    if back is None:
        return _plain(snapshot, found, cause, sure(base), says, advice, action)
    summary = f"{_sentence(found, says)} {back.sentence()}"
    return Candidate(
        cause=cause,
        summary=summary,
        confidence=sure(base, back.weight),
        target=snapshot.target,
        evidence=_evidence(found) + back.evidence(),
        action=back.action,
        facts=back.facts(snapshot) | {"container": found[0].container.name, "image": found[0].image},
        subjects=keys([pull.container for pull in found]),
    )


def _plain(snapshot: Snapshot, found: list[Pull], cause: str, confidence: float, says: str, advice: str, action: str = "") -> Candidate:
    return Candidate(
        cause=cause,
        summary=_sentence(found, says),
        confidence=confidence,
        target=snapshot.target,
        evidence=_evidence(found),
        action=action,
        advice=advice,
        facts=place(snapshot) | {"container": found[0].container.name, "image": found[0].image},
        subjects=keys([pull.container for pull in found]),
    )


def _sentence(found: list[Pull], says: str) -> str:
    return f"The image {found[0].image} of container {found[0].container.name} in {names_of([pull.container for pull in found])} {says}."


def _evidence(found: list[Pull]) -> tuple[Evidence, ...]:
    first = found[0]
    waits = told_by(first.container, "state.waiting.reason", first.container.waiting.get("reason", ""), "it waits for its image")
    named = told_by(first.container, "image", first.image, "the image asked for")
    return (waits, named, first.told) if first.told else (waits, named)


RULES = (
    Rule("ImageNotFound", image_not_found, explains=SYMPTOMS),
    Rule("PullSecretMissing", pull_secret_missing, explains=SYMPTOMS | {"ImagePullDenied"}),
    Rule("ImagePlatformMissing", wrong_platform, explains=SYMPTOMS),
    Rule("ImagePullDenied", image_denied, explains=SYMPTOMS),
    Rule("ImageSignatureRejected", unsigned, explains=SYMPTOMS | {"ImagePullDenied", "RegistryUnreachable", "ImageNotFound"}),
    Rule("RegistryUnreachable", registry_away, explains=SYMPTOMS),
    Rule("ImagePullFailing", pull_failing, explains=SYMPTOMS),
    Rule("InvalidImageName", image_invalid, explains=SYMPTOMS),
)
