"""How a command ends: every mistake of a user is a sentence that says what to do."""

import asyncio
import errno

import pytest
import typer
from typer.testing import CliRunner

from kubernaut.cli.main import app
from kubernaut.cli.telling import finish
from kubernaut.kube.errors import ApiError

pytestmark = pytest.mark.unit
TAKEN = "[Errno 98] error while attempting to bind on address ('127.0.0.1', 16443): address already in use"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            FileNotFoundError(2, "No such file or directory", "saved.yaml"), "saved.yaml: No such file or directory", id="no file"
        ),
        pytest.param(OSError(5, "Input/output error"), "Input/output error", id="no name"),
        pytest.param(OSError(errno.EADDRINUSE, TAKEN), "cannot listen on 127.0.0.1:16443: it is in use. Stop what", id="port of asyncio"),
        pytest.param(
            OSError(errno.EADDRINUSE, "cannot listen on ::1:80: Address already in use"), "cannot listen on ::1:80: Address", id="our port"
        ),
        pytest.param(ApiError(401, "Unauthorized", "Unauthorized"), "the cluster does not know you", id="unknown user"),
        pytest.param(ApiError(404, "", "404 page not found\n"), "kubectl apply -k deploy", id="not installed"),
        pytest.param(ApiError(404, "NotFound", 'pods "x" not found'), '404 NotFound: pods "x" not found', id="no such object"),
        pytest.param(ApiError(0, "Unreachable", "10.0.0.1:6443: no route"), "cannot be reached: 10.0.0.1:6443: no route", id="away"),
        pytest.param(TimeoutError(), "kubernaut: no answer in time", id="nothing said"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence_with_exit_code_one(fault, said, capsys):
    async def work():
        await asyncio.sleep(0)
        raise fault

    with pytest.raises(typer.Exit) as ended:
        finish(work())
    assert (ended.value.exit_code, said in (told := capsys.readouterr().err), "Traceback" in told) == (1, True, False), told


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param(["demo", "--story", "nope"], "there is no story 'nope': the stories are memory-hungry, payment-service", id="story"),
        pytest.param(["run", "nope"], "there are no parts nope; the parts are datastorage, gateway", id="part"),
        pytest.param(["run", "--config", "/nowhere"], "/nowhere cannot be read: No such file or directory", id="settings"),
        pytest.param(["get", "--kubeconfig", "/nowhere"], "the kubeconfig /nowhere cannot be read: No such file", id="no kubeconfig"),
        pytest.param(["get", "--kubeconfig", __file__], "is no kubeconfig: that is YAML with clusters", id="another file"),
        pytest.param(["investigate", "--from-dump", "/nowhere"], "/nowhere: No such file or directory", id="no dump"),
        pytest.param(["bundle", "inspect", "/nowhere"], "there is no file or directory /nowhere", id="no bundle"),
        pytest.param(["investigate", "deploy/x", "--whole"], "--whole goes only with --from-dump", id="whole without a dump"),
        pytest.param(
            ["policy", "test", "/dev/null"], "there is no policy, RemediationWorkflow or sample in /dev/null", id="nothing to try"
        ),
        pytest.param(["rehearse", "--deployment", "x", "--at", "2026-01-01"], "goes only with --from-dump", id="at without a dump"),
    ],
)
def test_a_wrong_argument_is_answered_in_a_sentence(typed, said, tmp_path):
    result = CliRunner(env={"HOME": str(tmp_path), "KUBECONFIG": ""}).invoke(app, typed)
    assert (result.exit_code in {1, 2}, said in result.output, "Traceback" in result.output) == (True, True, False), result.output
