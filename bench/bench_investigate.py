"""`kubernaut investigate` on every case and every healthy twin, each among 5,000 objects: CPU time, and whether noise changes an answer.

The command itself runs, in this process, once for each: over saved objects, and over the embedded cluster's API in another process.
CPU time is this process' own, with reading the objects; told apart are reading alone, and what a process costs until it has begun.
No model is asked. Argument: take only every so manieth case.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import process_time

import orjson
from typer.testing import CliRunner

from kubernaut.api.base import Obj
from kubernaut.cli.main import app
from kubernaut.cli.material import of_files
from tests.analysis.cases import Case, cases
from tests.analysis.noise import Crowd, namespaces_of

CLUSTER, ELSEWHERE = 5_000, 3_500
WELL = {"Healthy": "no action needed", "Unknown": "inconclusive"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
Answer = tuple[str, str, str]
Asked = Callable[[Case, Sequence[Obj]], tuple[Answer, float]]


class Bench:
    """Where the files are."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.folder, self.now = folder, now
        self.elsewhere = self.save("elsewhere", Crowd(now).elsewhere(ELSEWHERE))

    def save(self, name: str, objects: Sequence[Obj]) -> Path:
        """Write a List, as `kubectl get -o json` does."""
        path = self.folder / f"{name}.json"
        path.write_bytes(orjson.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return path

    def shifted(self, case: Case, objects: Sequence[Obj]) -> list[Obj]:
        """Return a case's objects as if it happened now."""
        by = self.now - datetime.fromisoformat(case.header["at"])
        text = MOMENT.sub(lambda found: moved(found[0], by), orjson.dumps(list(objects)).decode())
        found: list[Obj] = orjson.loads(text)
        return found

    def crowded(self, case: Case, objects: Sequence[Obj], *, sick: bool) -> Path:
        """Write a case with the rest of its namespaces around it."""
        size = CLUSTER - ELSEWHERE - len(objects)
        return self.save("case", [*Crowd(self.now, 8).beside(namespaces_of(objects), size, sick=sick), *self.shifted(case, objects)])

    def logs(self, case: Case, objects: Sequence[Obj]) -> tuple[str | Path, ...]:
        """Write what the containers of a case wrote, and return how the command is told of it."""
        texts, folder = case.header.get("logs" if objects is case.objects else "healthyLogs") or {}, self.folder / "logs" / case.name
        for key, text in texts.items():
            file = folder / f"{key}.log"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if texts:
            (folder / "none.json").write_bytes(orjson.dumps({"apiVersion": "v1", "kind": "List", "items": []}))
        return ("--from-dump", folder) if texts else ()

    def quiet(self, case: Case, objects: Sequence[Obj]) -> tuple[Answer, float]:
        """Answer from the case alone."""
        files = ("--from-dump", self.save("alone", self.shifted(case, objects)), *self.logs(case, objects))
        return self.asked(case, *files, "--whole", "--at", f"{self.now:%FT%T}")

    def dumped(self, case: Case, objects: Sequence[Obj]) -> tuple[Answer, float]:
        """Answer from saved objects with the crowd."""
        files = ("--from-dump", self.elsewhere, "--from-dump", self.crowded(case, objects, sick=objects is case.objects))
        return self.asked(case, *files, *self.logs(case, objects), "--whole", "--at", f"{self.now:%FT%T}")

    def asked(self, case: Case, *more: object) -> tuple[Answer, float]:
        """Run the command; return what it answers, and its CPU seconds."""
        subject = case.header["subject"]
        named = [f"{subject['kind']}/{subject['name']}", "-n", subject.get("namespace", "default"), "-o", "json"]
        started = process_time()
        done = CliRunner().invoke(app, ["investigate", *named, *map(str, more)])
        spent = process_time() - started
        if done.exit_code:
            return (done.stderr.strip() or repr(done.exception), "", ""), spent
        found = json.loads(done.stdout)
        return (found["cause"]["name"], path_of(found["target"]), found["action"]), spent

    @contextmanager
    def served(self) -> Iterator[Asked]:
        """Give answers from the embedded cluster."""
        config = self.folder / "kubeconfig"
        command = [sys.executable, str(Path(__file__).with_name("stocked_cluster.py")), str(config)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            tell(server, f"= {self.elsewhere}")

            def ask(case: Case, objects: Sequence[Obj]) -> tuple[Answer, float]:
                self.now = datetime.now(UTC).replace(microsecond=0)  # a case of when the bench began would have aged
                tell(server, str(self.crowded(case, objects, sick=objects is case.objects)))
                return self.asked(case, "--kubeconfig", config)

            yield ask
            tell(server, "")


def tell(server: subprocess.Popen[str], line: str) -> None:
    """Send a line once the server waits for one, and wait until it has done it; an empty one ends it."""
    if server.stdin is None or server.stdout is None:
        raise SystemExit("the cluster's process has no pipes")
    server.stdin.write(f"{line}\n")
    server.stdin.flush()
    while line and (answer := server.stdout.readline().strip()) != "stored":
        if not answer:
            raise SystemExit("the cluster ended")


def moved(text: str, by: timedelta) -> str:
    return f"{datetime.fromisoformat(text) + by:%Y-%m-%dT%H:%M:%SZ}"


def path_of(target: Obj) -> str:
    kind = target["kind"]
    return "/".join(part for part in (target.get("namespace", ""), kind[:1].lower() + kind[1:], target["name"]) if part)


def right(case: Case, answer: Answer) -> bool:
    expected = case.expected
    return answer == (expected["cause"], expected["target"], expected.get("action", ""))


def figures(name: str, ask: Asked, chosen: Sequence[Case], quiet: dict[str, Answer]) -> None:
    """Ask about all cases and twins, and print how it went."""
    times, good, alarms, twins, wrong = list[float](), 0, 0, 0, list[str]()
    for case in chosen:
        answer, spent = ask(case, case.objects)
        times.append(spent)
        good += right(case, answer)
        wrong += [] if right(case, answer) else [f"wrong, {case.name}: {answer}"]
        wrong += [f"changed by noise, {case.name}: {quiet[case.name]}"] if quiet.setdefault(case.name, answer) != answer else []
        if case.header["healthy"]:
            answer, spent = ask(case, case.twin())
            times.append(spent)
            twins, alarms = twins + 1, alarms + (answer[0] != "Healthy")
            wrong += [] if answer[0] == "Healthy" else [f"false alarm, {case.name}: {answer}"]
    times.sort()
    p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
    told = f"CPU p50 {p50:.2f} s, p95 {p95:.2f} s, max {times[-1]:.2f} s"
    print(f"{name:28} {good} of {len(chosen)} right, {alarms} false alarms in {twins} twins, {told}", flush=True)
    for line in wrong:
        print(f"  {line}")


def reading(bench: Bench) -> float:
    """Return the CPU seconds of reading 5,000 saved objects."""
    case = cases()[0]
    files = [bench.elsewhere, bench.crowded(case, case.objects, sick=True)]
    started = process_time()
    of_files(files, bench.now, bench.now, whole=True)
    return process_time() - started


def beginning() -> float:
    """Return the CPU seconds of a process that loads the command and only says how it is used."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "kubernaut.cli.main", "investigate", "--help"], check=True, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    chosen = cases()[:: int(sys.argv[1]) if sys.argv[1:] else 1]
    with tempfile.TemporaryDirectory() as folder:
        bench, quiet = Bench(Path(folder), datetime.now(UTC).replace(microsecond=0)), dict[str, Answer]()
        bench.quiet(chosen[0], chosen[0].objects)
        print(f"kubernaut investigate, {len(chosen)} cases and their healthy twins\n")
        figures("the case alone, saved", bench.quiet, chosen, quiet)
        figures(f"saved, {CLUSTER} objects", bench.dumped, chosen, quiet)
        with bench.served() as ask:
            silent = [case for case in chosen if not case.header.get("logs")]  # nothing runs in it that would write logs
            figures(f"embedded, {CLUSTER} objects", ask, silent, quiet)
        print(f"\nof that, reading {CLUSTER} saved objects: {reading(bench):.2f} s; until a process has begun: {beginning():.2f} s more")


if __name__ == "__main__":
    main()
