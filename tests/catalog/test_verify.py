"""What is no bundle is told apart from what is one, each fault in a sentence: from an image in hand, and by the commands."""

import asyncio

import pytest
import yaml
from typer.testing import CliRunner

from kubernaut import catalog
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.catalog.bundle import BadBundle, Image, pack, unpack
from kubernaut.catalog.layout import load, store
from kubernaut.cli.main import app
from tests.catalog.images import NOTES, PIPELINE, image, layer
from tests.catalog.registries import needs_registry, registry

GOOD = image(layer(PIPELINE))
TASK = b'{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"greet"},"spec":{}}'
PINNED = f"registry.example.com/kubectl@sha256:{'0' * 64}"
OTHER = NOTES | {"dev.tekton.image.name": "other"}


def without(found: Image, number: int) -> Image:
    """Take the blob of a number away, in order of their digests; never the manifest."""
    gone = sorted(set(found.blobs) - {found.digest})[number]
    return Image(found.digest, found.size, {digest: data for digest, data in found.blobs.items() if digest != gone})


def exchanged(found: Image) -> Image:
    """Put another content under the manifest's digest."""
    return Image(
        found.digest,
        found.size,
        found.blobs | {found.digest: image(layer(PIPELINE), subject=1).blobs[image(layer(PIPELINE), subject=1).digest]},
    )


@pytest.mark.parametrize(
    ("found", "why"),
    [
        pytest.param(exchanged(GOOD), "damaged or exchanged", id="wrong digest"),
        pytest.param(without(GOOD, 0), "is missing", id="a blob is missing"),
        pytest.param(without(GOOD, 1), "is missing", id="another blob is missing"),
        pytest.param(image(), "has 0 layers: Tekton takes 1 to 20", id="no layers"),
        pytest.param(image(*[layer(PIPELINE)] * 21), "has 21 layers: Tekton takes 1 to 20", id="more than Tekton takes"),
        pytest.param(image(layer(PIPELINE), layer(PIPELINE)), "twice in one bundle: Pipeline workflow", id="two pipelines"),
        pytest.param(
            image((layer(PIPELINE.replace(b"workflow", b"other")), OTHER)), "no Pipeline named 'workflow'", id="a pipeline of another name"
        ),
        pytest.param(image((layer(PIPELINE), {})), "layer 0 lacks the annotation dev.tekton.image.apiVersion", id="no annotations"),
        pytest.param(
            image((layer(PIPELINE), NOTES | {"dev.tekton.image.kind": "Pipeline"})),
            "must be lower case and singular",
            id="kind in capitals",
        ),
        pytest.param(image((layer(PIPELINE), NOTES | {"dev.tekton.image.kind": "pipelines"})), "must be lower case", id="kind in plural"),
        pytest.param(image(layer(TASK)), "announced as pipeline workflow, and holds Task greet", id="another object than announced"),
        pytest.param(image(layer(PIPELINE, PIPELINE)), "layer 0 holds 2 files", id="two files in a layer"),
        pytest.param(image(layer()), "layer 0 holds 0 files", id="an empty layer"),
        pytest.param(image(layer(PIPELINE + b"\n---\n" + PIPELINE)), "layer 0 holds 2 objects", id="two objects in a file"),
        pytest.param(image(layer(b"{")), "layer 0 is no YAML", id="no object"),
        pytest.param(image(b"text"), "layer 0 is no gzip", id="no gzip"),
        pytest.param(image(layer(b"x" * (5 << 20))), "layer 0 is larger than 4194304 bytes", id="a bomb"),
        pytest.param(image(layer(PIPELINE), layers={}), "perhaps an index of images", id="no image"),
        pytest.param(image(layer(PIPELINE), config={}), "the config names no digest", id="no config"),
    ],
)
def test_what_is_no_bundle_is_refused_with_the_reason(found, why):
    with pytest.raises(BadBundle, match=why):
        unpack(found)


def test_a_bundle_made_by_somebody_else_is_read_too():
    assert [
        each["kind"]
        for each in unpack(
            image(layer(PIPELINE), (layer(TASK), NOTES | {"dev.tekton.image.kind": "task", "dev.tekton.image.name": "greet"}))
        )
    ] == [
        "Pipeline",
        "Task",
    ]


def test_a_layout_gives_back_what_was_put_into_it(tmp_path):
    one, two = (pack([catalog.pipeline(name)]) for name in catalog.workflow_ids()[:2])
    store(one, tmp_path, "r")
    assert load(tmp_path) == one
    store(two, tmp_path, "r")
    assert load(tmp_path, one.digest) == one
    with pytest.raises(BadBundle, match="holds 2 bundles: say which one by its digest"):
        load(tmp_path)
    with pytest.raises(BadBundle, match="does not hold sha256:0"):
        load(tmp_path, "sha256:0")
    with pytest.raises(BadBundle, match="is no OCI image layout"):
        load(tmp_path / "blobs")


def kubernaut(*arguments, code=0):
    """Run a command in this process; return what it printed."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(kubernaut("catalog", "show", "uncordon-node", "--pipeline", "--image", PINNED), encoding="utf-8")
    return path


def test_a_bundle_is_built_shown_and_verified_from_a_directory(tmp_path, file):
    layout = tmp_path / "layout"
    reference = kubernaut("bundle", "build", file, "--output", layout, "--repository", "registry.example.com/uncordon").strip()
    digest = pack([catalog.pipeline("uncordon-node", PINNED)]).digest
    assert reference == f"registry.example.com/uncordon@{digest}"
    assert (
        kubernaut("bundle", "build", file, "-o", tmp_path / "again", "--repository", "registry.example.com/uncordon").strip() == reference
    )
    assert kubernaut("bundle", "verify", layout) == f"{digest} is good: Pipeline workflow\n"
    assert yaml.safe_load(kubernaut("bundle", "inspect", f"{layout}@{digest}")) == catalog.pipeline("uncordon-node", PINNED)
    blob = next(path for path in (layout / "blobs" / "sha256").iterdir() if path.name != digest[7:])
    blob.write_bytes(blob.read_bytes() + b" ")
    assert "damaged or exchanged" in kubernaut("bundle", "verify", layout, code=1)


def test_an_image_of_a_step_that_is_not_pinned_is_named(tmp_path):
    shown = kubernaut("catalog", "show", "uncordon-node", "--pipeline")
    assert shown.startswith("# the image ghcr.io/kubernaut/kubectl:1.33 is not pinned by digest")
    (tmp_path / "pipeline.yaml").write_text(shown, encoding="utf-8")
    kubernaut("bundle", "build", tmp_path / "pipeline.yaml", "-o", tmp_path / "layout")
    assert "is good: Pipeline workflow\nbut the image ghcr.io/kubernaut/kubectl:1.33 is not pinned" in kubernaut(
        "bundle", "verify", tmp_path / "layout"
    )


@needs_registry
async def test_a_bundle_goes_to_a_registry_and_is_verified_there(tmp_path, file):
    async with registry(tmp_path) as found:
        place = f"{found.host}/workflows/uncordon"
        reference = (await asyncio.to_thread(kubernaut, "bundle", "push", file, f"{place}:1.0.0")).strip()
        assert reference == f"{place}@{pack([catalog.pipeline('uncordon-node', PINNED)]).digest}"
        assert (await asyncio.to_thread(kubernaut, "bundle", "verify", reference)).endswith("is good: Pipeline workflow\n")
        assert "has no manifest 2.0.0" in await asyncio.to_thread(kubernaut, "bundle", "verify", f"{place}:2.0.0", code=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("bundle", "push", "nowhere.yaml", "localhost:1/a"), "there is no file or directory nowhere.yaml", id="no file"),
        pytest.param(("bundle", "verify", "nonsense"), "no reference of the form", id="no reference"),
        pytest.param(("bundle", "build", "nowhere.yaml", "-o", "out"), "nowhere.yaml", id="nothing to build"),
        pytest.param(("catalog", "show", "unheard-of"), "there is no workflow 'unheard-of'", id="no such workflow"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in kubernaut(*arguments, code=1)


def test_the_catalogue_is_listed_and_shown():
    listed = kubernaut("catalog", "list")
    assert all(each in listed for each in catalog.workflow_ids())
    shown = RemediationWorkflow.model_validate(yaml.safe_load(kubernaut("catalog", "show", "uncordon-node")))
    assert shown.spec.action_type == "UncordonNode"


def test_workflows_of_ones_own_are_checked(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(kubernaut("catalog", "show", "uncordon-node"), encoding="utf-8")
    bad.write_text(good.read_text(encoding="utf-8").replace("$(NODE_NAME)", "$(NODE)"), encoding="utf-8")
    assert "RemediationWorkflow uncordon-node is good" in kubernaut("catalog", "check", good)
    assert "preview step 1: $(NODE) is no parameter" in kubernaut("catalog", "check", good, bad, code=1)
    bad.write_text(good.read_text(encoding="utf-8").replace("actionType: UncordonNode", "actionType: uncordon it"), encoding="utf-8")
    assert "spec.actionType" in kubernaut("catalog", "check", bad, code=1)


def test_the_catalogue_is_published_with_pinned_images_accounts_and_roles(tmp_path):
    pinned = f"registry.example.com/kubectl@sha256:{'a' * 64}"
    assert "is not pinned by digest" in kubernaut("catalog", "publish", tmp_path, "--image", "registry.example.com/kubectl:1.33", code=2)
    made = list(yaml.safe_load_all(kubernaut("catalog", "publish", tmp_path / "bundles", "--image", pinned)))
    assert sorted({each["kind"] for each in made}) == ["ClusterRole", "ClusterRoleBinding", "RemediationWorkflow", "ServiceAccount"]
    for each in made:
        if each["kind"] == "RemediationWorkflow":
            digest = each["spec"]["execution"]["bundle"].partition("@")[2]
            [pipeline] = unpack(load(tmp_path / "bundles", digest))
            assert pipeline == catalog.pipeline(each["metadata"]["name"], pinned)
