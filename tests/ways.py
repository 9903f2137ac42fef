"""Another way to a test's cluster: as somebody with fewer rights, or with some kinds out of order for a while."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from kubernaut.api import core
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.transport import Headers, Request, Transport

EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


class Way:
    """A transport that impersonates an account, and refuses requests about resources that are out of order."""

    def __init__(self, beyond: Transport, account: str = "") -> None:
        self._beyond = beyond
        self._account = account
        self.out_of_order: set[str] = set()

    async def send(self, request: Request) -> bytes:
        """Send a request."""
        return await self._beyond.send(self._there(request))

    async def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Send a request and yield the answer line by line."""
        async with aclosing(self._beyond.lines(self._there(request), idle=idle)) as lines:
            async for line in lines:
                yield line

    async def close(self) -> None:
        """Leave the way beyond open: it is another's."""

    def _there(self, request: Request) -> Request:
        if self.out_of_order & set(request.path.split("/")):
            raise ApiError(503, "ServiceUnavailable", "etcdserver: request timed out")
        if not self._account:
            return request
        headers = Headers(request.headers)
        headers["Impersonate-User"] = self._account
        return replace(request, headers=headers)


@asynccontextmanager
async def account(world, *rules):
    """Make a user who may do what some rules say; give a client of that user, and a function that sets the rules anew."""
    name = f"test-{secrets.token_hex(4)}"
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    await world.client.create(core.CLUSTER_ROLE, {"metadata": {"name": name}, "rules": list(rules)})
    await world.client.create(core.CLUSTER_ROLE_BINDING, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})

    async def change(*rules):
        await world.client.patch(core.CLUSTER_ROLE, name, "", {"rules": list(rules)})

    try:
        yield Client.over(Way(beyond(world), name)), change
    finally:
        await world.client.delete(core.CLUSTER_ROLE_BINDING, name)
        await world.client.delete(core.CLUSTER_ROLE, name)


def beyond(world):
    """Return the transport of a world's client."""
    return world.client._transport


async def token(world, *, audiences=()):
    """Return a token of a new service account."""
    namespace = await world.namespace("sender")
    name = f"am-{secrets.token_hex(2)}"
    await world.create(core.SERVICE_ACCOUNT, {"metadata": {"name": name, "namespace": namespace}})
    ask = {"metadata": {"namespace": namespace}, "spec": {"audiences": list(audiences)} if audiences else {}}
    made = await world.client.create(core.SERVICE_ACCOUNT, ask, subresource_of=name, subresource="token")
    return made["status"]["token"]
