"""The layouts of the recorded cases, written once."""

import pytest

from tests.localcluster.pipelines import pieces
from tests.localcluster.pipelines.layouts import Layer, write_bundle
from tests.localcluster.pipelines.stage import settings_of


@pytest.fixture(scope="session")
def layouts(tmp_path_factory):
    """Return the directory above `layouts`, with all bundles, and the digest of the bundle of pipelines."""
    root = tmp_path_factory.mktemp("bundles")
    hello, wrong = Layer(pieces.HELLO), {**pieces.GREET, "metadata": {"name": "hello"}}
    wanted = {
        "pipelines:1": [
            Layer(obj)
            for obj in vars(pieces).values()
            if isinstance(obj, dict) and obj.get("kind") == "Pipeline" and obj is not pieces.INVALID
        ],
        "tasks:1": [Layer(pieces.GREET), Layer(pieces.SHOUT), Layer(pieces.TIDY)],
        "raw:1": [Layer(pieces.HELLO, raw=True)],
        "noannotations:1": [Layer(pieces.HELLO, annotations={})],
        "capital:1": [Layer(pieces.HELLO, annotations={**hello.notes(), "dev.tekton.image.kind": "Pipeline"})],
        "garbage:1": [Layer(pieces.HELLO, content=b"a: b: c\n")],
        "wrongkind:1": [Layer(wrong, annotations=hello.notes())],
        "invalid:1": [Layer(pieces.INVALID)],
        "many:1": [Layer({**pieces.HELLO, "metadata": {"name": f"hello-{number}"}}) for number in range(21)],
    }
    digests = {name: write_bundle(root / "layouts", name, layers) for name, layers in wanted.items()}
    return root, digests["pipelines:1"]


@pytest.fixture
def settings(layouts, tmp_path):
    """Return settings over the layouts, with a state of its own."""
    root, _ = layouts
    return settings_of(root, state=tmp_path / "state")
