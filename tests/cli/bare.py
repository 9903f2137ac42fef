"""A bare Kubernetes API in a process of its own: what every cluster has, and nothing of ours. Argument: where its kubeconfig goes."""

import asyncio
import json
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.controllers import QUICK, StandInSettings, stand_ins
from tests.world import BASIC


async def serve(kubeconfig: Path) -> None:
    """Serve until SIGTERM; the kubeconfig appears once requests are answered."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with LocalCluster(ClusterSettings(anonymous=False, tls=True, rbac=True)) as cluster:
        settings = StandInSettings(clock=lambda: datetime.now(UTC), rng=random.Random(7), pace=QUICK, logs=cluster.logs)
        for name, run in stand_ins(cluster.api, settings).items():
            if name in BASIC:
                cluster.run(name, run)
        kubeconfig.write_text(json.dumps(cluster.kubeconfig()))
        print("serving", flush=True)  # noqa: T201  (the one line that the test waits for)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
