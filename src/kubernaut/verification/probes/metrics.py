"""Do the metrics say that it is better? Prometheus is asked of the moment before the fix and of now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from string import Template
from typing import Any, Final, Literal

from pydantic import ValidationError

from kubernaut.api.base import Kind, Resource
from kubernaut.api.remediation import KubernetesProviderData, RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading
from kubernaut.verification.probes.concern import concerns
from kubernaut.verification.probes.remote import Declined, Remote, Silent
from kubernaut.verification.settings import MetricQuery

UNCHANGED: Final = 0.5
KEPT: Final = 500
WHOLE: Final = 2048
"""Expressions of that length were cut by the gateway."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one question came to."""

    score: float | None
    message: str


class MetricsProbe:
    """Asks Prometheus whether the alert's own expression still holds, and what the operator wants asked."""

    component = Component.METRICS

    def __init__(self, prometheus: Remote | None = None, queries: Sequence[MetricQuery] = (), every: timedelta = timedelta()) -> None:
        self._prometheus = prometheus
        self._queries = queries
        self._every = every
        self._known: dict[str, tuple[datetime, Reading]] = {}

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read."""
        return {RemediationRequest: {}}

    async def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading | None:
        """Say what the metrics say; None where there is nobody, or nothing, to ask."""
        reference = assessment.spec.remediation_request_ref
        request = cluster.find(RemediationRequest, reference.namespace or assessment.metadata.namespace, reference.name)
        if self._prometheus is None or request is None:
            return None
        now, uid = cluster.clock.now(), assessment.metadata.uid
        if uid in self._known and self._known[uid][0] <= now < self._known[uid][0] + self._every:
            return self._known[uid][1]
        asking = _Asking(self._prometheus, request, assessment.spec.fix_started_at, now)
        try:
            findings = await self._findings(asking, request)
        except Silent as fault:
            return Reading(Component.METRICS, None, good=False, message=f"the metrics are not known: {fault}", silent=True)
        return self._keep(uid, now, in_sum(findings)) if findings else None

    def _keep(self, uid: str, now: datetime, reading: Reading) -> Reading:
        """Remember an answer for the next looks, of so many assessments as fit."""
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[uid] = (now, reading)
        return reading

    async def _findings(self, asking: "_Asking", request: RemediationRequest) -> list[Finding]:
        """Ask everything that there is to ask. Raise Silent."""
        found = [await asking.expression(expression)] if (expression := expression_of(request)) else []
        wanted = [query for query in self._queries if not query.alerts or request.spec.signal_name in query.alerts]
        return found + [await asking.query(query) for query in wanted]


def expression_of(request: RemediationRequest) -> str:
    """Return the expression that raised the alert, as Prometheus itself named it; empty where it is not known, or not whole."""
    try:
        found = KubernetesProviderData.model_validate_json(request.spec.provider_data).prometheus_query or ""
    except ValidationError:
        return ""
    return found if len(found) < WHOLE else ""


def in_sum(findings: Sequence[Finding]) -> Reading:
    """Return the mean of what could be told."""
    known = [each.score for each in findings if each.score is not None]
    score = round(sum(known) / len(known), 4) if known else None
    return Reading(Component.METRICS, score, good=score == 1.0, message="; ".join(each.message for each in findings)[:1000])


def of_expression(before: int, after: int) -> Finding:
    """Judge by how many series an alert's expression holds for, before the fix and now."""
    if not after:
        told = "the alert's expression holds for nothing any more" if before else "the alert's expression held for nothing before the fix"
        return Finding(1.0 if before else None, told)
    if after < before:
        return Finding(round(1 - after / before, 4), f"the alert's expression still holds, for {after} series instead of {before}")
    return Finding(0.0, f"the alert's expression still holds, for {after} series")


def compared(query: MetricQuery, before: float | None, after: float | None) -> Finding:
    """Judge a value against the one before the fix: 1 where it is better, 0.5 where it is the same, 0 where it is worse."""
    if before is None or after is None:
        when = "now" if after is None else "before the fix"
        return Finding(None, f"{query.name}: there is no value {when}")
    change = (before - after) if query.better == "lower" else (after - before)
    scale = query.margin * abs(before)
    told = f"{query.name}: {before:.4g} before the fix, {after:.4g} now"
    if after == 0 == before and query.better == "lower":
        return Finding(1.0, told)
    return Finding(UNCHANGED if abs(change) <= scale else float(change > 0), told)


Series = Sequence[tuple[Mapping[str, str], float]]


def worst(series: Series, better: Literal["lower", "higher"]) -> float | None:
    """Return the value that counts of several; None where there is none."""
    values = [value for _, value in series if isfinite(value)]
    if not values:
        return None
    return max(values) if better == "lower" else min(values)


def filled(query: str, request: RemediationRequest) -> str:
    """Return a query about a remediation's target; its names are quoted as PromQL's strings are."""
    target = request.spec.target
    names = {"namespace": target.namespace, "kind": target.kind, "name": target.name}
    return Template(query).safe_substitute({key: text.replace("\\", "\\\\").replace('"', '\\"') for key, text in names.items()})


@dataclass(frozen=True, slots=True)
class _Asking:
    prometheus: Remote
    request: RemediationRequest
    before: datetime
    now: datetime

    async def expression(self, expression: str) -> Finding:
        """Ask for the alert's own expression. Raise Silent."""
        try:
            before, after = await self._both(expression)
        except Declined as fault:
            return Finding(None, f"the alert's expression: {fault}")
        return of_expression(*(sum(concerns(labels, self.request) for labels, _ in each) for each in (before, after)))

    async def query(self, query: MetricQuery) -> Finding:
        """Ask what the operator wants asked. Raise Silent."""
        try:
            before, after = await self._both(filled(query.query, self.request))
        except Declined as fault:
            return Finding(None, f"{query.name}: {fault}")
        return compared(query, worst(before, query.better), worst(after, query.better))

    async def _both(self, query: str) -> tuple[Series, Series]:
        """Return what a query says of the moment before the fix, and of now. Raise Silent."""
        return await self._at(query, self.before - timedelta(seconds=1)), await self._at(query, self.now)

    async def _at(self, query: str, moment: datetime) -> Series:
        asked = (("query", query), ("time", f"{moment.timestamp():.3f}"))
        return series_of(await self.prometheus.ask("/api/v1/query", asked, self.now))


def series_of(answer: Any) -> Series:
    """Read the answer to an instant query: a vector, or a scalar as one series without labels. Raise Silent."""
    data: Any = answer.get("data") if isinstance(answer, dict) and answer.get("status") == "success" else None
    try:
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]
    except (TypeError, KeyError, IndexError, ValueError) as fault:
        raise Silent("Prometheus' answer is no instant vector") from fault
