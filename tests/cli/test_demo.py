"""`make demo` as a newcomer sees it."""

import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest


def ours(shell):
    """Return the processes that this shell's home has left behind."""
    mark = f"HOME={shell.home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append(entry.name)
    return found


@pytest.mark.parametrize("path", ["catalogue", "steps"])
def test_the_story_ends_remediated_with_its_timeline_and_leaves_nothing_running(shell, path):
    text = shell.kubernaut("demo", "--path", path)
    assert re.search(r"remediation-\w{10}: Remediated", text)
    for words in ("POST the alert group: 201, 1 created", "still one remediation: 202, 0 created", "Approval Required", "kubernaut up"):
        assert words in text
    assert ours(shell) == []


def test_ctrl_c_in_the_middle_leaves_nothing_running(shell):
    process = shell.start("demo", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        if "Executing" in line:
            break
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in text
    assert ours(shell) == []
