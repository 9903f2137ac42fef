"""How a pod stands, in one word: the port of kubectl's pod printer."""

from dataclasses import dataclass
from datetime import datetime

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.printers.base import NONE, UNKNOWN, Cells, Printer, age, columns, name, since

_NODE_LOST = "NodeLost"


@dataclass
class _Tally:
    """What is counted over the containers."""

    restarts: int = 0
    last_restart: str = ""
    ready: int = 0
    reason: str = ""

    def count(self, status: Obj) -> None:
        """Add a container's restarts."""
        self.restarts += int(status.get("restartCount") or 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, ended)


def _sidecars(pod: Obj) -> set[str]:
    return {row["name"] for row in pod["spec"].get("initContainers") or [] if row.get("restartPolicy") == "Always"}


def _initializing(pod: Obj, tally: _Tally) -> bool:
    """Say what init containers wait for, if they do."""
    status, sidecars = pod.get("status") or {}, _sidecars(pod)
    total = len(pod["spec"].get("initContainers") or [])
    for index, row in enumerate(status.get("initContainerStatuses") or []):
        tally.count(row)
        if row.get("name") in sidecars:
            tally.ready += bool(row.get("ready"))
        word = _init_word(row, sidecar=row.get("name") in sidecars, place=f"{index}/{total}")
        if word:
            tally.reason = word
            return True
    return False


def _init_word(row: Obj, *, sidecar: bool, place: str) -> str:
    state = row.get("state") or {}
    ended, waiting = state.get("terminated"), state.get("waiting")
    if (ended is not None and not ended.get("exitCode")) or (sidecar and row.get("started")):
        return ""
    if ended is not None:
        return f"Init:{_ended_word(ended)}"
    if waiting is not None and waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return f"Init:{waiting['reason']}"
    return f"Init:{place}"


def _ended_word(ended: Obj) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _running(pod: Obj, tally: _Tally) -> None:
    """Say how the containers are, the first of them last."""
    status = pod.get("status") or {}
    running = False
    for row in reversed(status.get("containerStatuses") or []):
        tally.count(row)
        state = row.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            tally.reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            tally.reason = _ended_word(state["terminated"])
        elif row.get("ready") and state.get("running") is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed" and running:
        tally.reason = "Running" if _is_ready(status) else "NotReady"


def _is_ready(status: Obj) -> bool:
    return any(row.get("type") == "Ready" and row.get("status") == "True" for row in status.get("conditions") or [])


def tally_of(pod: Obj) -> _Tally:
    """Return the counts and the word for a pod."""
    status = pod.get("status") or {}
    tally = _Tally(reason=status.get("reason") or status.get("phase") or "")
    gated = next(
        (row for row in status.get("conditions") or [] if row.get("type") == "PodScheduled" and row.get("reason") == "SchedulingGated"),
        None,
    )
    if gated:
        tally.reason = "SchedulingGated"
    if not _initializing(pod, tally) or _initialized(status):
        _running(pod, tally)
    if pod["metadata"].get("deletionTimestamp"):
        tally.reason = _dying_word(status, tally.reason)
    return tally


def _initialized(status: Obj) -> bool:
    return any(row.get("type") == "Initialized" and row.get("status") == "True" for row in status.get("conditions") or [])


def _dying_word(status: Obj, word: str) -> str:
    if status.get("reason") == _NODE_LOST:
        return "Unknown"
    return word if status.get("phase") in {"Succeeded", "Failed"} else "Terminating"


def _row(pod: Obj, now: datetime) -> Cells:
    tally, status = tally_of(pod), pod.get("status") or {}
    total = len(pod["spec"].get("containers") or []) + len(_sidecars(pod))
    restarts = f"{tally.restarts} ({since(tally.last_restart, now)} ago)" if tally.restarts and tally.last_restart else str(tally.restarts)
    addresses = status.get("podIPs") or [{"ip": status.get("podIP") or NONE}]
    gates = pod["spec"].get("readinessGates") or []
    held = {row["type"] for row in status.get("conditions") or [] if row.get("status") == "True"}
    passed = sum(gate["conditionType"] in held for gate in gates)
    return [
        name(pod),
        f"{tally.ready}/{total}",
        tally.reason or UNKNOWN,
        restarts,
        age(pod, now),
        addresses[0].get("ip") or NONE,
        pod["spec"].get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


_TOLD = {
    "Ready": "The aggregate readiness state of this pod for accepting traffic.",
    "Status": "The aggregate status of the containers in this pod.",
    "Restarts": "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    "IP": "@status.podIP",
    "Node": "@spec.nodeName",
    "Nominated Node": "@status.nominatedNodeName",
    "Readiness Gates": "@spec.readinessGates",
}
PRINTERS = {"pods": Printer(columns("Ready|Status|Restarts|Age", "IP|Node|Nominated Node|Readiness Gates"), _row, _TOLD)}
