"""The embedded cluster as a whole: store, registry, HTTP face and stand-ins, started and stopped together."""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

import orjson
import structlog
from aiohttp import web

from kubernaut.localcluster import bootstrap
from kubernaut.localcluster.admission import Policies
from kubernaut.localcluster.api import Api
from kubernaut.localcluster.app import GIT_VERSION, App
from kubernaut.localcluster.attempts import Judge
from kubernaut.localcluster.authn import SERVICE_ACCOUNTS, Authenticator
from kubernaut.localcluster.calls import Call, User
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.certificates import Identity, make_identity
from kubernaut.localcluster.crd import Definitions
from kubernaut.localcluster.discovery import Discovery
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.escalation import Escalation
from kubernaut.localcluster.furnishing import PodFurnisher
from kubernaut.localcluster.journal import Journal
from kubernaut.localcluster.limits import LimitRanger
from kubernaut.localcluster.local import LocalApi
from kubernaut.localcluster.metadata import Sources
from kubernaut.localcluster.metrics import Metrics
from kubernaut.localcluster.openapi import OpenApi
from kubernaut.localcluster.podlogs import PodLogs
from kubernaut.localcluster.quotas import Quotas
from kubernaut.localcluster.rbac import MASTERS, Authorizer
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.resources import Resources
from kubernaut.localcluster.reviews import Reviews
from kubernaut.localcluster.schemas import Schemas
from kubernaut.localcluster.store import History, Store
from kubernaut.localcluster.subresources import Subresources
from kubernaut.localcluster.tokens import ISSUER, TokenBook
from kubernaut.localcluster.traces import told
from kubernaut.localcluster.webhooks import Webhooks

StandIn = Callable[[], Awaitable[None]]
TOKEN_LIFE = timedelta(hours=1)
_KEY_BYTES = 32
_TOKEN_LIFE = timedelta(days=1)
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ClusterSettings:
    """How a cluster is set up."""

    database: str = ":memory:"
    """Path of the SQLite file, or `:memory:`."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    public: bool = False
    """Allows a host that is not loopback."""
    admin_token: str = field(default="", repr=False)
    """Made up where empty."""
    users: Mapping[str, User] = field(default_factory=dict, repr=False)
    """Further static tokens."""
    tls: bool = False
    """Serves HTTPS under a certificate of its own. kubectl needs it: it sends no token over plain HTTP."""
    rbac: bool = False
    """Whether roles are enforced; off, every authenticated caller may do everything."""
    anonymous: bool = False
    """Whether callers without a token are served, as `system:anonymous`."""
    history: History = field(default_factory=History)
    sources: Sources = field(default_factory=Sources)


class LocalCluster:
    """A Kubernetes API of one process."""

    api: Api
    """The API for code of this process."""
    logs: PodLogs
    """Where whoever runs pods publishes their logs."""

    def __init__(self, settings: ClusterSettings) -> None:
        """Open the store and make the API ready for callers in process; HTTP comes with `start`.

        Raises ValueError for a host that is not loopback.
        """
        if settings.host not in _LOOPBACK and not settings.public:
            raise ValueError(f"host {settings.host} is not loopback; the embedded cluster is for one machine, so this takes public=True")
        self._settings = settings
        self.admin_token = settings.admin_token or secrets.token_urlsafe(_KEY_BYTES)
        journal = None if settings.database == ":memory:" else Journal(settings.database)
        self._store = Store(journal, settings.history)
        self.registry = Registry(self._store, Catalog(), Schemas(), settings.sources)
        self._authorizer = Authorizer(self.registry, settings.rbac)
        judge = Judge(self.registry, self._authorizer)
        self._webhooks = Webhooks(self.registry, judge)
        self.registry.gates += [LimitRanger(self.registry), PodFurnisher(self.registry), Escalation(self._authorizer)]
        self.registry.gates += [Policies(self.registry, judge), self._webhooks, Quotas(self.registry)]
        self.registry.hooks = self._webhooks
        self._journal = journal
        self._book = TokenBook(self._secret("tokens", lambda: secrets.token_bytes(_KEY_BYTES)))
        self._identity = self._certificate() if settings.tls else None
        bootstrap.furnish(self.registry, self.certificate)
        self._definitions = Definitions(self.registry)
        self.api = LocalApi(self.registry, Call())
        self.logs = PodLogs()
        self._metrics = Metrics(self.registry.catalog, self._store)
        self.url = ""
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def _secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        return self._journal.secret(name, make) if self._journal else make()

    def _certificate(self) -> Identity:
        names = dict.fromkeys((*sorted(_LOOPBACK), self._settings.host))
        now = self._settings.sources.clock()
        stored = self._secret("identity", lambda: orjson.dumps(asdict(make_identity(names, now))))
        return Identity(**orjson.loads(stored))

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Serve HTTP; stand-ins are started with `run`."""
        listener = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(listener, shutdown_timeout=0.2)
        await self._runner.setup()
        context = self._identity.context() if self._identity else None
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port, ssl_context=context)
        await site.start()
        address = self._runner.addresses[0]
        shown = f"[{address[0]}]:{address[1]}" if ":" in str(address[0]) else f"{address[0]}:{address[1]}"
        self.url = f"{'https' if context else 'http'}://{shown}"
        self._app = self._face(shown)

    def face(self) -> App:
        """Return what answers requests, for callers of this process that speak the REST protocol without a connection."""
        return self._face("kubernetes.invalid")

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._app.handle(request)

    def _face(self, address: str) -> App:
        registry = self.registry
        admin = User("kubernetes-admin", groups=(MASTERS,))
        authenticator = Authenticator(registry, self._book, {self.admin_token: admin, **self._settings.users}, self._settings.anonymous)
        authorizer = self._authorizer
        resources = Resources(registry, Subresources(registry, Reviews(authenticator, authorizer), self.logs))
        discovery = Discovery(registry.catalog, address)
        return App(authenticator, authorizer, resources, discovery, OpenApi(registry.catalog, GIT_VERSION), self._metrics)

    def run(self, name: str, stand_in: StandIn) -> None:
        """Run a stand-in until `stop`. One that fails is logged, and `stop` raises what it failed with."""
        task = asyncio.create_task(self._keep(name, stand_in), name=name)
        task.add_done_callback(_tell_failure)
        self._tasks.append(task)

    async def _keep(self, name: str, stand_in: StandIn) -> None:
        await stand_in()
        _log.warning("stand-in ended", stand_in=name)

    async def stop(self) -> None:
        """Stop the stand-ins and HTTP, and close the store."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._runner:
            await _close(self._runner)
            self._runner = None
        await self._webhooks.close()
        self._store.close()
        failed = [error for error in ended if isinstance(error, Exception)]
        if failed:
            raise ExceptionGroup("stand-ins failed", failed)

    @property
    def certificate(self) -> str:
        """The certificate to trust, as PEM; empty without TLS."""
        return self._identity.certificate if self._identity else ""

    def service_account_token(self, namespace: str, name: str) -> str:
        """Return a bearer token of a service account, good for an hour; raise ApiError 404 where there is no such account."""
        account = self.registry.get(SERVICE_ACCOUNTS, namespace, name).obj
        now = self._settings.sources.clock()
        return self._book.issue(account, [ISSUER], now + TOKEN_LIFE, now, self._settings.sources.uid())

    def kubeconfig(self, *, token: str | None = None) -> Obj:
        """Return a kubeconfig as an object; with the admin token where no other is given."""
        user = {"name": "kubernaut", "user": {"token": self.admin_token if token is None else token}}
        trusted = {"certificate-authority-data": base64.b64encode(self.certificate.encode()).decode()} if self.certificate else {}
        cluster = {"name": "kubernaut", "cluster": {"server": self.url, **trusted}}
        context = {"name": "kubernaut", "context": {"cluster": "kubernaut", "user": "kubernaut"}}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [user],
            "contexts": [context],
            "current-context": "kubernaut",
        }


async def _close(runner: web.ServerRunner) -> None:
    """Stop serving. Connections that readers still hold are cut: over TLS, closing would wait for their consent."""
    held = [connection.transport for connection in runner.server.connections] if runner.server else []
    await runner.cleanup()
    for transport in held:
        if isinstance(transport, asyncio.Transport):
            transport.abort()
    # the loop lets go of a transport in its next round
    await asyncio.sleep(0)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("stand-in failed", stand_in=task.get_name(), fault=told(error))
