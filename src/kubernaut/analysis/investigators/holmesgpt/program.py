"""What runs inside HolmesGPT's own virtual environment: a JSON line in, HolmesGPT asked, a JSON line out. Knows nothing of kubernaut.

Started by `process.py` as `python program.py CONFIG`. The first line out says that HolmesGPT is loaded; every line in is a question,
answered by one line with its id. A conversation is kept for corrections until it is forgotten. The end of the input ends the process.
"""

import importlib
import json
import logging
import os
import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import IO, Any

KEPT = 32
"""Conversations that are kept for corrections."""
FAULT_LIMIT = 1000


class Program:
    """Asks HolmesGPT, several questions at a time."""

    def __init__(self, config: dict[str, Any], out: IO[str]) -> None:
        self._config = config
        self._out = out
        self._lock = threading.Lock()
        self._talks: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._llm = importlib.import_module("holmes.core.llm").DefaultLLM
        self._calling = importlib.import_module("holmes.core.tool_calling_llm").ToolCallingLLM
        self._prompts = importlib.import_module("holmes.core.prompt")
        self._tools = self._allowed_tools()

    def _allowed_tools(self) -> Any:
        """Return the tools that were allowed by name; whatever else HolmesGPT would switch on by itself stays off."""
        allowed = self._config["toolsets"]
        tools = importlib.import_module("holmes.core.tools")
        settings = importlib.import_module("holmes.config").Config(
            toolsets={"bash": {"enabled": False}} | {name: {"enabled": True} for name in allowed}
        )
        found = settings.create_tool_executor(enable_all_toolsets_possible=False, prerequisite_cache=tools.PrerequisiteCacheMode.DISABLED)
        executor = importlib.import_module("holmes.core.tools_utils.tool_executor").ToolExecutor
        return executor([toolset for toolset in found.toolsets if toolset.name in allowed])

    def ready(self) -> None:
        """Say that HolmesGPT is loaded, and with which tools."""
        self.say({"ready": sorted(self._tools.tools_by_name)})

    def say(self, line: dict[str, Any]) -> None:
        """Write one line."""
        with self._lock:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()

    def answer(self, name: str, done: Future[dict[str, Any]]) -> None:
        """Say what came of one question; whatever HolmesGPT raised is an answer too, and ends no other question."""
        fault = done.exception()
        if fault is None:
            self.say({"id": name, "ok": True, **done.result()})
        else:
            self.say({"id": name, "ok": False, "fault": f"{type(fault).__name__}: {fault}"[:FAULT_LIMIT]})

    def asked(self, line: dict[str, Any]) -> dict[str, Any]:
        """Ask HolmesGPT one question; return its text, and the tools it used."""
        model = self._llm(f"openai/{self._config['model']}", api_key=line["key"], api_base=line["url"], args={"max_retries": 0})
        talk = [*self._talk(line["talk"], line["system"]), {"role": "user", "content": line["say"]}]
        found = self._calling(self._tools, self._config["max_steps"], model, tool_results_dir=None).call(talk)
        self._keep(line["talk"], found.messages or [])
        return {"text": found.result or "", "tools": [str(call.get("tool_name", "")) for call in _plain(found.tool_calls)]}

    def _talk(self, name: str, system: str) -> list[dict[str, Any]]:
        with self._lock:
            known = self._talks.get(name)
        if known is not None:
            return known
        text = self._prompts.build_system_prompt(
            toolsets=self._tools.toolsets,
            skills=None,
            system_prompt_additions=system,
            cluster_name=None,
            ask_user_enabled=False,
            prompt_component_overrides={},
        )
        return [{"role": "system", "content": text or system}]

    def _keep(self, name: str, talk: list[dict[str, Any]]) -> None:
        with self._lock:
            self._talks[name] = talk
            while len(self._talks) > KEPT:
                self._talks.popitem(last=False)

    def forget(self, name: str) -> None:
        """Drop a conversation."""
        with self._lock:
            self._talks.pop(name, None)


def _plain(calls: Any) -> list[dict[str, Any]]:
    return [call if isinstance(call, dict) else call.model_dump() for call in calls or ()]


def main() -> None:
    """Serve questions until the input ends."""
    config = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what HolmesGPT prints is no answer
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, force=True)
    program = Program(config, out)
    program.ready()
    with ThreadPoolExecutor(max_workers=config["at_once"]) as pool:
        for text in sys.stdin:
            line = json.loads(text)
            if "forget" in line:
                program.forget(line["forget"])
            else:
                pool.submit(program.asked, line).add_done_callback(partial(program.answer, line["id"]))
        out.flush()
        os._exit(0)  # nobody is left to hear the answers that are still being looked for


if __name__ == "__main__":
    main()
