"""The subresource paths: which there are for a kind, and what each does."""

from collections.abc import Awaitable, Callable, Sequence

from kubernaut.localcluster import bodies, errors, faces, negotiation, patching, podparts, scaling, shaping, table, writing
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import NoSuchPath, Obj
from kubernaut.localcluster.exchange import Exchange
from kubernaut.localcluster.kinds import SUBRESOURCES
from kubernaut.localcluster.negotiation import Answer, Form
from kubernaut.localcluster.paths import Target
from kubernaut.localcluster.podlogs import PodLog, PodLogs
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.reviews import Reviews
from kubernaut.localcluster.store import Record

Handler = Callable[[Exchange, ResourceKind, Target], Awaitable[Answer]]
_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "POST": "create", "DELETE": "delete"}
_EVICTION = ResourceKind("policy", "v1", "Eviction", "evictions")
_BINDING = ResourceKind("", "v1", "Binding", "bindings")
_TOKEN_REQUEST = ResourceKind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")
_CONNECTED = {"attach", "exec", "portforward"}


class Subresources:
    """Serves the parts of objects, and the review kinds, which are stored nowhere."""

    def __init__(self, registry: Registry, reviews: Reviews, logs: PodLogs) -> None:
        """Stand on the registry."""
        self._registry = registry
        self._reviews = reviews
        self._logs = logs
        self._special: dict[str, Handler] = {
            "scale": self._scale,
            "eviction": self._evict,
            "binding": self._bind,
            "log": self._log,
            "token": self._token,
        } | dict.fromkeys(_CONNECTED, self._connect)

    async def serve(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        """Answer a request to a part of an object."""
        part = SUBRESOURCES.get(target.subresource)
        if part is None or target.subresource not in kind.subresources or (kind.namespaced and not target.namespace):
            raise self._unknown(kind, target)
        if _VERBS.get(exchange.method) not in part.verbs:
            verb = _VERBS.get(exchange.method, "")
            raise errors.not_supported(kind, verb) if kind.custom else errors.method_not_allowed()
        handler = self._special.get(target.subresource, self._plain)
        return await handler(exchange, kind, target)

    async def _decoded(self, kind: ResourceKind, exchange: Exchange) -> Obj:
        """Return the body of a request that is stored nowhere; raise ApiError 400 for one of the wrong types."""
        obj, _ = bodies.decode(kind, await exchange.read(), exchange.content_type)
        writing.check_types(self._registry, kind, obj)
        return obj

    def _unknown(self, kind: ResourceKind, target: Target) -> Exception:
        if kind.custom:
            return errors.not_found(kind, target.name)
        return errors.no_resource() if target.name else NoSuchPath()

    async def _plain(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        """Status and its like: the whole object is read, one part of it is written."""
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        if target.subresource == "proxy":
            self._registry.get(kind, target.namespace, target.name)
            raise errors.bad_request("address not allowed")
        if exchange.method in {"GET", "HEAD"}:
            record = self._registry.get(kind, target.namespace, target.name)
            return negotiation.encode(shaping.one(kind, record, form, ""), form)
        call = exchange.call("PatchOptions" if exchange.method == "PATCH" else "UpdateOptions")
        body = await exchange.read()
        if exchange.method == "PATCH":
            record = await self._registry.hooks.carry_out(
                call,
                patching.read(kind, body, exchange),
                lambda call, patch: patching.carry_out(self._registry, kind, target, patch, call),
            )
        else:
            obj, noticed = bodies.decode(kind, body, exchange.content_type)
            record = await self._registry.hooks.carry_out(call, obj, lambda call, obj: self._replaced(kind, target, obj, call, noticed))
        answer = negotiation.encode(shaping.one(kind, record, form, ""), form)
        answer.headers += [("Warning", f"299 - {errors.encode_go(text)}") for text in call.warnings]
        return answer

    def _replaced(self, kind: ResourceKind, target: Target, obj: Obj, call: Call, noticed: Sequence[str]) -> Record:
        return writing.replace(self._registry, kind, target.namespace, target.name, obj, call, target.subresource, noticed=noticed)

    async def _scale(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=not kind.custom)
        record = self._registry.get(kind, target.namespace, target.name)
        now = scaling.show(kind, faces.shown(kind, record))
        if exchange.method in {"GET", "HEAD"}:
            return negotiation.encode(_scale_shown(now, form, exchange), form)
        if exchange.method == "PATCH":
            call = exchange.call("PatchOptions")
            patch = patching.read(kind, await exchange.read(), exchange)
            version = now["metadata"].pop("resourceVersion")
            scale = patching.changer(self._registry, scaling.SCALE, patch)(now)
            self._check_patched(scale, version, kind, target)
        else:
            call = exchange.call("UpdateOptions")
            scale = await self._decoded(scaling.SCALE, exchange)
        written = await self._registry.hooks.carry_out(
            call, scale, lambda call, scale: scaling.write(self._registry, kind, target.namespace, target.name, scale, call)
        )
        return negotiation.encode(written, form)

    def _check_patched(self, scale: Obj, version: str, kind: ResourceKind, target: Target) -> None:
        asked = scale["metadata"].pop("resourceVersion", None)
        if asked and asked != version:
            raise errors.conflict(kind, target.name)

    async def _evict(self, exchange: Exchange, _kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=True)
        obj = await self._decoded(_EVICTION, exchange)
        dry_run = exchange.parameters.dry_run("CreateOptions") or bool((obj.get("deleteOptions") or {}).get("dryRun"))
        call = Call(exchange.user, exchange.call("CreateOptions").manager, dry_run=dry_run)
        done = await self._registry.hooks.carry_out(
            call, obj, lambda call, obj: podparts.evict(self._registry, target.namespace, target.name, obj, call)
        )
        return negotiation.encode(done, form, 201)

    async def _bind(self, exchange: Exchange, _kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=True)
        obj = await self._decoded(_BINDING, exchange)
        return negotiation.encode(await self._bound(target.namespace, target.name, obj, exchange.call("CreateOptions")), form, 201)

    async def _bound(self, namespace: str, name: str, obj: Obj, call: Call) -> Obj:
        return await self._registry.hooks.carry_out(call, obj, lambda call, obj: podparts.bind(self._registry, namespace, name, obj, call))

    async def _log(self, exchange: Exchange, _kind: ResourceKind, target: Target) -> Answer:
        log = PodLog(self._registry, self._logs, target.namespace, target.name, exchange.parameters)
        text = log.text()
        if text is None:
            return Answer(204, content_type="")
        answer = negotiation.plain(text)
        if log.asked.follow:
            answer.stream = log.lines()
        return answer

    async def _connect(self, _exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        pod = self._registry.get(kind, target.namespace, target.name).obj
        if not pod["spec"].get("nodeName"):
            raise errors.bad_request(f"pod {target.name} does not have a host assigned")
        raise errors.bad_request(f"{target.subresource} is not supported by this cluster: its pods are simulated")

    async def _token(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        form = negotiation.choose(exchange.accept, core=True)
        obj = await self._decoded(_TOKEN_REQUEST, exchange)
        account = self._registry.get(kind, target.namespace, target.name).obj
        self._registry.schemas.track(_TOKEN_REQUEST, None, obj, exchange.call("CreateOptions"), self._registry.sources.now(), "token")
        return negotiation.encode(self._reviews.issue(account, obj), form, 201)

    async def review(self, exchange: Exchange, kind: ResourceKind, target: Target) -> Answer:
        """Answer a review."""
        form = negotiation.choose(exchange.accept, core=True)
        obj = await self._decoded(kind, exchange)
        call = exchange.call("CreateOptions")
        if kind.kind == "Binding":
            return negotiation.encode(await self._bound(target.namespace, obj["metadata"].get("name", ""), obj, call), form, 201)
        if target.namespace:
            obj["metadata"]["namespace"] = target.namespace
        self._registry.schemas.track(kind, None, obj, call, self._registry.sources.now(), "")
        return negotiation.encode(self._reviews.answer(obj, call, target.namespace), form, 201)


def _scale_shown(scale: Obj, form: Form, exchange: Exchange) -> Obj:
    if form.shape != "Table":
        return scale
    meta = {"resourceVersion": scale["metadata"].get("resourceVersion", "")}
    return table.render(scaling.SCALE, [scale], meta, exchange.parameters.text("includeObject"), form.version)
