"""The verbs on resources over HTTP: get, list, watch, create, replace, patch, delete, and which of them a path knows."""

import asyncio
from collections.abc import Awaitable, Callable

from kubernaut.localcluster import bodies, deletion, errors, listing, negotiation, patching, shaping, subresources, watching, writing
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call, DeleteOptions
from kubernaut.localcluster.deleteoptions import read_options
from kubernaut.localcluster.errors import NoSuchPath
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.negotiation import Answer, Form
from kubernaut.localcluster.paths import Target
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.selecting import Selection
from kubernaut.localcluster.store import Record

DEFINITIONS = builtin("apiextensions.k8s.io", "customresourcedefinitions")
_FUTURE_SECONDS = 3.0
"""How long a list waits for a version it has not reached, as kube-apiserver does."""

Handler = Callable[[Exchange, ResourceKind, Target], Awaitable[Answer]]


class Resources:
    """Serves every resource path."""

    def __init__(self, registry: Registry, parts: "subresources.Subresources") -> None:
        """Stand on the registry; `parts` serves the subresources."""
        self._registry = registry
        self._parts = parts
        self._collection: dict[str, Handler] = {"GET": self._list, "HEAD": self._list, "POST": self._create, "DELETE": self._delete_all}
        self._object: dict[str, Handler] = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }

    async def serve(self, exchange: Exchange, target: Target) -> Answer:
        """Answer a request; raise ApiError, or NoSuchPath where nothing is served."""
        kind = self._registry.catalog.find(target.group, target.version, target.plural)
        if kind is None or (target.namespace and not kind.namespaced):
            raise NoSuchPath
        if kind.namespaced and not target.namespace and target.name:
            raise NoSuchPath
        if kind.custom:
            self._check_definition(exchange, kind, target)
        if target.subresource:
            return await self._parts.serve(exchange, kind, target)
        answer = await self._handler(exchange, kind, target)(exchange, kind, target)
        if warning := _DEPRECATED.get(kind.resource):
            answer.headers.append(("Warning", f"299 - {errors.encode_go(warning)}"))
        return answer

    def _check_definition(self, exchange: Exchange, kind: ResourceKind, target: Target) -> None:
        """Refuse new objects of a dying definition, and versions that only a conversion webhook could give."""
        record = self._registry.find(DEFINITIONS, "", kind.stored)
        if record is None:
            return
        if exchange.method == "POST" and not target.name and "deletionTimestamp" in record.obj["metadata"]:
            refusal = errors.not_supported(kind, "create")
            words = "create not allowed while custom resource definition is terminating"
            raise errors.ApiError(refusal.code, refusal.reason, words, refusal.details)
        spec, stored = record.obj["spec"], (record.obj.get("status") or {}).get("storedVersions") or ()
        if (spec.get("conversion") or {}).get("strategy") == "Webhook" and (kind.api_version != kind.hub or len(stored) > 1):
            raise errors.unconverted(kind)

    def _handler(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Handler:
        method = exchange.method
        if kind.namespaced and not target.namespace and method not in {"GET", "HEAD"} and not self._review(kind):
            raise NoSuchPath if kind.custom else errors.method_not_allowed()
        handler = (self._object if target.name else self._collection).get(method)
        if handler is not None and _known(kind, method, target):
            return handler
        if not kind.custom:
            raise errors.method_not_allowed()
        if target.name and method == "POST":
            return self._create
        if not target.name and method in {"PUT", "PATCH"}:
            raise errors.bad_request("name must be provided")
        raise errors.not_supported(kind, "")

    def _review(self, kind: ResourceKind) -> bool:
        return kind.verbs == ("create",)

    async def _get(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        try:
            listing.parse_version(exchange.parameters.text("resourceVersion"))
        except ValueError as error:
            raise errors.internal(str(error)) from error
        return self.answer(exchange, kind, self._registry.get(kind, target.namespace, target.name), form)

    def answer(self, exchange: Exchange, kind: ResourceKind, record: Record, form: Form, status: int = 200) -> Answer:
        """Return one object in the form asked for."""
        body = shaping.one(kind, record, form, exchange.parameters.text("includeObject"))
        return negotiation.encode(body, form, status, pretty=exchange.parameters.flag("pretty"))

    async def _list(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        parameters = exchange.parameters
        if target.watch or parameters.flag("watch"):
            return self.watch(exchange, kind, target, form)
        selection = Selection(kind, parameters.text("labelSelector"), parameters.text("fieldSelector"))
        asked = listing.read(parameters)
        if asked.version > self._registry.store.revision:
            await asyncio.sleep(_FUTURE_SECONDS)
        found = listing.page(self._registry, kind, target.namespace, selection, asked)
        body = shaping.many(kind, found, form, parameters.text("includeObject"))
        return negotiation.encode(body, form, pretty=parameters.flag("pretty"))

    def watch(self, exchange: Exchange, kind: ResourceKind, target: Target, form: Form) -> Answer:
        """Answer with a stream of events."""
        parameters = exchange.parameters
        asked = watching.read(parameters)
        selection = Selection(kind, parameters.text("labelSelector"), parameters.text("fieldSelector"))
        shape = shaping.EventShape(kind, form, parameters.text("includeObject"))
        stream = watching.Stream(self._registry.store, kind, target.namespace, selection, shape)
        return Answer(content_type="application/json", stream=stream.lines(asked))

    async def _create(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        if self._review(kind):
            return await self._parts.review(exchange, kind, target)
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        call = exchange.call("CreateOptions")
        body, noticed = bodies.decode(kind, await exchange.read(), exchange.content_type)
        record = await self._registry.hooks.carry_out(
            call, body, lambda call, body: writing.create(self._registry, kind, target.namespace, body, call, noticed)
        )
        return _warned(self.answer(exchange, kind, record, form, 201), call)

    async def _replace(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        call = exchange.call("UpdateOptions")
        body, noticed = bodies.decode(kind, await exchange.read(), exchange.content_type)
        before = self._registry.find(kind, target.namespace, target.name)
        record = await self._registry.hooks.carry_out(
            call, body, lambda call, body: writing.replace(self._registry, kind, target.namespace, target.name, body, call, noticed=noticed)
        )
        return _warned(self.answer(exchange, kind, record, form, 200 if before else 201), call)

    async def _patch(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        call = exchange.call("PatchOptions")
        patch = patching.read(kind, await exchange.read(), exchange)
        before = self._registry.find(kind, target.namespace, target.name)
        record = await self._registry.hooks.carry_out(
            call, patch, lambda call, patch: patching.carry_out(self._registry, kind, target, patch, call)
        )
        return _warned(self.answer(exchange, kind, record, form, 200 if before else 201), call)

    async def _delete(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        options, dry_run = read_options(await exchange.read(), exchange)
        call = Call(exchange.user, dry_run=dry_run)
        done = await self._removed(kind, target.namespace, target.name, options, call)
        if done.answer_object:
            return self.answer(exchange, kind, done.record, form)
        return negotiation.encode(deletion.success(kind, done.record), form)

    async def _removed(self, kind: ResourceKind, namespace: str, name: str, options: DeleteOptions, call: Call) -> deletion.Deleted:
        return await self._registry.hooks.carry_out(
            call, options, lambda call, options: deletion.delete(self._registry, kind, namespace, name, options, call)
        )

    async def _delete_all(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        options, dry_run = read_options(await exchange.read(), exchange)
        parameters = exchange.parameters
        selection = Selection(kind, parameters.text("labelSelector"), parameters.text("fieldSelector"))
        found = listing.page(self._registry, kind, target.namespace, selection, listing.read(parameters))
        call = Call(exchange.user, dry_run=dry_run)
        for record in found.records:
            await self._removed(kind, record.key[0], record.key[1], options, call)
        return negotiation.encode(shaping.many(kind, found, form, ""), form)


_DEPRECATED = {"endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}


def _known(kind: ResourceKind, method: str, target: Target) -> bool:
    if target.name:
        verb = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    else:
        verb = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}[method]
    return verb in kind.verbs


def _warned(answer: Answer, call: Call) -> Answer:
    answer.headers += [("Warning", f"299 - {errors.encode_go(text)}") for text in call.warnings]
    return answer
