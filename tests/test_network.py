"""The words for what is wrong with a connection: who did not answer, and why."""

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from kubernaut.network import words

pytestmark = pytest.mark.unit
WHERE = ConnectionKey("api.example", 6443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            aiohttp.ClientConnectorError(WHERE, OSError(111, "Connect call failed")), "api.example:6443: Connection refused", id="refused"
        ),
        pytest.param(
            aiohttp.ClientConnectorDNSError(WHERE, OSError(-2, "Name or service not known")),
            "api.example:6443: Name or service not known",
            id="no such name",
        ),
        pytest.param(
            aiohttp.ClientConnectorCertificateError(WHERE, ssl.SSLCertVerificationError(1, "self-signed")),
            "api.example:6443: self-signed",
            id="TLS",
        ),
        pytest.param(TimeoutError(), "no answer in time", id="silent"),
        pytest.param(aiohttp.ServerDisconnectedError(), "Server disconnected", id="hung up"),
        pytest.param(OSError(), "OSError", id="nothing said"),
    ],
)
def test_what_is_wrong_is_said_in_few_words(fault, said):
    assert words(fault) == said
