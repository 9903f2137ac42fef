"""The demo cannot be talked into success: its alert source and its verification look at the pods, whatever the story."""

import asyncio
import io

from rich.console import Console

from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.demo import demo
from kubernaut.cli.places import Place
from kubernaut.cli.screen import Screen
from kubernaut.kube.client import Client
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.journey.stage import PATIENCE
from tests.world import eventually


async def told(place, **options):
    """Run the demo; return its exit code and what it said."""
    paper = io.StringIO()
    code = await demo(place, Screen(Console(file=paper, width=200)), interactive=False, **options)
    return code, paper.getvalue()


async def test_a_fix_that_does_not_help_ends_the_demo_with_an_honest_word(tmp_path):
    place = Place(tmp_path / "state")
    playing = asyncio.create_task(told(place, steps=False, name="memory-hungry"))
    await impatient(place)
    code, said = await playing
    assert code == 1, said
    assert "Inconclusive" in said
    assert "Remediated: " not in said


async def impatient(place):
    """Shorten the verification of the one case, as its owner may, so that nobody waits for a minute."""

    async def there():
        return place.kubeconfig.exists() and place.announced()

    await eventually(there, seconds=PATIENCE)
    person = Client.from_kubeconfig(str(place.kubeconfig))

    async def opened():
        return (await person.list(RemediationRequest.card, SYSTEM_NAMESPACE)).items

    [case] = await eventually(opened, seconds=PATIENCE)
    limit = {"spec": {"timeoutConfig": {"verificationTimeout": "6s"}}}
    await person.patch(RemediationRequest.card, case["metadata"]["name"], SYSTEM_NAMESPACE, limit)
    await person.close()
