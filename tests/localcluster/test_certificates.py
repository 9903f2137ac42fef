import ssl
from datetime import UTC, datetime

import aiohttp
import pytest

from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.certificates import make_identity

NAMES = ("127.0.0.1", "::1", "localhost")


def test_every_identity_is_new_and_loads():
    first, second = (make_identity(NAMES, datetime.now(UTC)) for _ in range(2))
    assert first.key != second.key
    assert first.context().cert_store_stats() is not None


async def test_a_client_that_checks_strictly_trusts_the_certificate():
    async with LocalCluster(ClusterSettings(tls=True, anonymous=True)) as cluster:
        trusted = ssl.create_default_context(cadata=cluster.certificate)
        trusted.verify_flags |= ssl.VERIFY_X509_STRICT
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{cluster.url}/readyz", ssl=trusted) as answer:
                assert await answer.text() == "ok"
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"{cluster.url}/readyz")
