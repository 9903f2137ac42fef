"""How long it takes from the phase `Approving` until Slack has the question, against the calls that this cannot do without.

All parts run over an embedded cluster; Slack's other side is on loopback and refuses what has not the form that Slack publishes. What it
cannot do without: two writes to the Kubernetes API one after the other (the message is recorded, and that it is being sent) and one HTTP
POST. Both are measured within this run; the time begins where a watch shows the phase, and ends where the POST has come.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from runpy import run_path
from statistics import median
from time import perf_counter

import aiohttp
from aiohttp import web
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[1]))

from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis, Phase
from kubernaut.kube.client import Client
from kubernaut.localcluster import ClusterSettings
from kubernaut.manifests import SYSTEM_NAMESPACE
from kubernaut.notification.settings import NotificationSettings, SlackSettings
from kubernaut.telemetry import configure_logging
from tests.notification.receivers import PLANTED, SlackApi

PLAY = run_path(str(Path(__file__).with_name("bench_remediation.py")))
"""All parts over an embedded cluster, and cases to play there."""
WARM, CASES = 2, 12


class Slack(SlackApi):
    """Slack's Web API, which notes when each question came."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]  # of the tests
        self.times: dict[str, float] = {}
        self.bodies: list[bytes] = []
        self.more = asyncio.Event()

    def take(self, request: web.Request, body: bytes) -> web.Response:
        answer: web.Response = super().take(request, body)  # type: ignore[no-untyped-call]  # of the tests
        text = body.decode()
        if "Approval Required" in text:
            self.bodies.append(body)
            self.times |= {word: perf_counter() for word in text.replace("`", " ").split() if word.startswith("remediation-")}
            self.more.set()
        return answer

    async def came(self, name: str) -> float:
        """Return when the question of a case came."""
        async with asyncio.timeout(PLAY["SECONDS"]):
            while name not in self.times:
                self.more.clear()
                await self.more.wait()
        return self.times[name]


async def approving(client: Client) -> AsyncIterator[tuple[str, float]]:
    """Yield each remediation whose analysis waits for a person, and when that was seen."""
    seen = set[str]()
    since = (await client.list(AIAnalysis.card, SYSTEM_NAMESPACE)).resource_version
    async for _, obj in client.watch(AIAnalysis.card, SYSTEM_NAMESPACE, resource_version=since):
        name = obj["spec"]["remediationRequestRef"]["name"] if "spec" in obj else ""
        if name and name not in seen and (obj.get("status") or {}).get("phase") == Phase.APPROVING:
            seen.add(name)
            yield name, perf_counter()


async def asked(client: Client, http: aiohttp.ClientSession, slack: Slack) -> list[float]:
    """Play cases up to their question, one after the other; return the seconds that each question took."""
    pods = [await PLAY["crashing"](client, f"app-{number}") for number in range(WARM + CASES)]
    questions = approving(client)
    took = []
    for pod in pods:
        following = asyncio.ensure_future(anext(questions))
        await asyncio.sleep(0)
        await PLAY["post"](http, pod, "firing")
        async with asyncio.timeout(PLAY["SECONDS"]):
            name, began = await following
        took.append(await slack.came(name) - began)
        await asyncio.sleep(0.5)  # what still belongs to this case: records on their way
    return took[WARM:]


async def bare(client: Client, url: str, body: bytes) -> float:
    """Make the calls that it cannot do without; return the seconds."""
    name, headers = "bench", {"Authorization": f"Bearer {PLANTED}", "Content-Type": "application/json; charset=utf-8"}
    config = {"metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}, "data": {"body": body.decode()}}
    async with aiohttp.ClientSession() as session:
        began = perf_counter()
        await client.create(core.CONFIG_MAP, config)
        await client.patch(core.CONFIG_MAP, name, SYSTEM_NAMESPACE, {"data": {"state": "sending"}})
        async with session.post(f"{url}chat.postMessage", data=body, headers=headers) as answer:
            answer.raise_for_status()
        took = perf_counter() - began
    await client.delete(core.CONFIG_MAP, name, SYSTEM_NAMESPACE)
    return took


async def main() -> None:
    """Measure and print."""
    configure_logging(level="error", form="console")
    slack = Slack()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(slack.serving("/api/"))
        channel = SlackSettings.model_validate({"token": SecretStr(PLANTED), "api_url": url})
        settings = PLAY["QUICK"].model_copy(update={"notification": NotificationSettings(port=0, slack=channel, stand_in=None)})
        client, _, http = await stack.enter_async_context(PLAY["everything"](ClusterSettings(), settings, "production"))
        took = sorted(await asked(client, http, slack))
        least = sorted([await bare(client, url, slack.bodies[-1]) for _ in range(CASES)])
    print(f"{'from Approving to the question in Slack':<60}{'p50, ms':>10}{'p95, ms':>10}")
    for label, each in (("measured", took), ("two API writes and one HTTP POST, bare", least)):
        print(f"{label:<60}{1000 * median(each):>10.1f}{1000 * each[len(each) * 95 // 100]:>10.1f}")
    print(f"{'ratio':<60}{median(took) / median(least):>10.1f}")


if __name__ == "__main__":
    asyncio.run(main())
