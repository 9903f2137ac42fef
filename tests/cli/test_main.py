"""The command line as a whole."""

import tomllib
from pathlib import Path

from tests.cli.saved import kubernaut

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_it_says_which_version_it_is():
    assert kubernaut("--version").stdout == f"kubernaut {tomllib.loads(PROJECT.read_text())['project']['version']}\n"


def test_a_command_that_does_not_exist_is_named():
    assert "No such command 'remedy'" in kubernaut("remedy", code=2).stderr
