"""The options of a delete, from its body and its query."""

from functools import cache

from kubernaut.localcluster import bodies, errors, protobuf
from kubernaut.localcluster.builtin import builtin_schema
from kubernaut.localcluster.calls import DeleteOptions
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.negotiation import ACCEPTED, PROTOBUF, YAML
from kubernaut.localcluster.parameters import Parameters, check_propagation
from kubernaut.localcluster.schema import Schema

_SCHEME = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"


def read_options(body: bytes, exchange: Exchange) -> tuple[DeleteOptions, bool]:
    """Return the options and whether it is a dry run; raise ApiError 400, 415 or 422."""
    given = _decode(body, exchange.content_type) if body.strip() else _from_query(exchange.parameters)
    dry_run = bool(given.get("dryRun")) or exchange.parameters.dry_run("DeleteOptions")
    policy = given.get("propagationPolicy") or ""
    check_propagation(policy, orphan_given="orphanDependents" in given)
    if "orphanDependents" in given:
        policy = "Orphan" if given["orphanDependents"] else "Background"
    conditions = given.get("preconditions") or {}
    options = DeleteOptions(conditions.get("uid", ""), conditions.get("resourceVersion", ""), policy, given.get("gracePeriodSeconds"))
    return options, dry_run


@cache
def _schema() -> Schema:
    return Schema(builtin_schema("", "v1", "DeleteOptions"))


def _from_query(parameters: Parameters) -> Obj:
    given: Obj = {"propagationPolicy": parameters.text("propagationPolicy"), "gracePeriodSeconds": parameters.number("gracePeriodSeconds")}
    if parameters.has("orphanDependents"):
        given["orphanDependents"] = parameters.flag("orphanDependents")
    return given


def _decode(body: bytes, content_type: str) -> Obj:
    media = bodies.media_type(content_type)
    if media not in ACCEPTED:
        raise errors.unsupported_media_type(ACCEPTED)
    try:
        value = protobuf.decode(body) if media == PROTOBUF else bodies.yaml_value(body) if media == YAML else bodies.json_value(body)
    except ValueError as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(value, dict):
        raise errors.bad_request("couldn't get version/kind; json parse error: a DeleteOptions object is expected")
    if fault := _schema().decode_fault(value):
        raise errors.bad_request(f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: {fault}')
    if value.get("kind", "DeleteOptions") != "DeleteOptions":
        raise errors.bad_request(f'no kind "{value["kind"]}" is registered for version "{value.get("apiVersion")}" in scheme "{_SCHEME}"')
    return value
