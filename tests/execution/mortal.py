"""The scene with processes that die on it, and others that go on where they stopped."""

from contextlib import asynccontextmanager

from kubernaut.api.core import NODE, POD
from kubernaut.kube.client import Client
from kubernaut.kube.credentials import Fixed, bearer
from kubernaut.kube.transport import HttpTransport
from tests.drivers.scene import POD_NAME, Scene, operation, stage
from tests.execution.mortality import Death, MortalTransport, Revisions
from tests.execution.world import KE, SHOP
from tests.workflow.bench import SYSTEM

ALIVE = Death()
GOING = {"delete_pod", "restart_pod"}
"""Actions whose target goes."""
DELETING = {*GOING, "drain_node"}
VARIED = {
    "expand_pvc": lambda run: {"size": f"{run + 2}Gi"},
    "drain_node": lambda run: {"node_name": f"node-{1 + run % 2}"},
}
"""What an action is told in each run where the same again would change nothing."""


class MortalScene(Scene):
    """The scene, with processes that die on it; each run is told what changes something."""

    run = 0
    revision = 0
    """Where the log was when the run began."""

    @property
    def name(self):
        return f"rr-{self.run}-execution"

    async def beginning(self):
        """Make ready for a run; return what stands there."""
        self.run += 1
        await self.offer(f"n3w-{self.run}")
        return await self.state()

    def told(self, action):
        return operation(action, **VARIED.get(action.name, lambda _run: {})(self.run))

    def target(self, action):
        return action.target(action.parameters.model_validate(self.told(action)["parameters"]))

    @asynccontextmanager
    async def life(self, death):
        """Let a process work that dies at a call."""
        token = Fixed(bearer(self.cluster.admin_token))
        inner = HttpTransport(self.cluster.url, token, tls=None, server_name="", limit=8, user_agent="mortal")
        transport = MortalTransport(inner, death)
        try:
            async with self.at_work(stage, Client.over(transport)):
                transport.armed = True
                yield transport
        finally:
            await transport.close()

    async def acts(self, death, *operations):
        """Carry operations out, with a death on the way; return the process that died and the status at the end."""

        def ended(obj):
            return "completionTime" in (obj.get("status") or {})

        self.revision = self.cluster.registry.store.revision
        async with self.life(death) as process:
            await self.execute(*operations, name=self.name)
            await self.either(process.dead, KE, self.name, ended)
        return process, (await self.survived(process, ended))["status"]

    async def takes_back(self, death):
        """Ask for an undo, with a death on the way; return the process that died and what became of the undo."""

        def answered(obj):
            return "completionTime" in ((obj.get("status") or {}).get("undo") or {})

        self.revision = self.cluster.registry.store.revision
        async with self.life(death) as process:
            await self.ask_undo(self.name)
            await self.either(process.dead, KE, self.name, answered)
        return process, (await self.survived(process, answered))["status"]["undo"]

    async def survived(self, process, holds):
        """Have another process go on where one died."""
        if not process.dead.is_set():
            return await self.until(KE, SYSTEM, self.name, holds)
        await self.replaced()
        async with self.at_work(stage):
            return await self.until(KE, SYSTEM, self.name, holds)

    async def replaced(self):
        """Wait until the pod whose name comes back is another one, if it is going: the next process must not take that for the old one."""
        named = [each["metadata"] for each in (await self.client.list(POD, SHOP)).items if each["metadata"]["name"] == POD_NAME]
        going = {meta["uid"] for meta in named if "deletionTimestamp" in meta}
        if going:
            await self.until(POD, SHOP, POD_NAME, lambda obj: obj["metadata"]["uid"] not in going)

    async def victims(self, action):
        """Return the pods that an action is to delete, by name and uid."""
        if action.name not in DELETING:
            return []
        pods, where = (await self.client.list(POD, SHOP)).items, self.target(action)
        drained = where.kind is NODE

        def meant(pod):
            if drained:
                return pod["spec"]["nodeName"] == where.name and pod["metadata"]["ownerReferences"][0]["kind"] != "DaemonSet"
            return pod["metadata"]["name"] == where.name

        staying = [pod["metadata"] for pod in pods if meant(pod) and "deletionTimestamp" not in pod["metadata"]]
        return sorted((meta["name"], meta["uid"]) for meta in staying)

    def log(self, kind):
        return Revisions.of(self.cluster, kind, self.revision)
