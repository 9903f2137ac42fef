"""What is read from an image layout is checked against its digests and bounds."""

import gzip
import json

import pytest

from kubernaut.localcluster.pipelines import tekton_crds
from kubernaut.localcluster.pipelines.bundles import MAX_OBJECT, BadReference, BundleError, Bundles, parse
from tests.localcluster.pipelines.layouts import Layer, write_bundle
from tests.localcluster.pipelines.pieces import GREET, HELLO

REPOSITORY = "registry.test/ops/hello"


@pytest.fixture
def layout(tmp_path):
    return tmp_path / "layout"


def read(layout, reference, kind="pipeline", name="hello"):
    return Bundles({REPOSITORY: layout}).entry(reference, kind, name)


def test_tag_and_digest_lead_to_the_same_object(layout):
    digest = write_bundle(layout, "v1", [Layer(GREET), Layer(HELLO)])
    by_tag, by_digest = read(layout, f"{REPOSITORY}:v1"), read(layout, f"{REPOSITORY}@{digest}")
    assert by_tag == by_digest
    assert json.loads(by_tag.data) == HELLO
    assert (by_tag.repository, f"sha256:{by_tag.digest}") == (REPOSITORY, digest)
    assert read(layout, f"{REPOSITORY}:v1", "Task", "greet").annotations["dev.tekton.image.kind"] == "task"


def test_a_longer_prefix_wins_and_layouts_may_lie_under_a_registry(tmp_path):
    write_bundle(tmp_path / "all" / "ops" / "hello", "v1", [Layer(HELLO)])
    write_bundle(tmp_path / "own", "v1", [Layer(GREET)])
    bundles = Bundles({"registry.test": tmp_path / "all", REPOSITORY: tmp_path / "own"})
    with pytest.raises(BundleError, match="could not find object"):
        bundles.entry(f"{REPOSITORY}:v1", "pipeline", "hello")
    assert Bundles({"registry.test": tmp_path / "all"}).entry(f"{REPOSITORY}:v1", "pipeline", "hello").data


def test_a_changed_layer_is_refused(layout):
    write_bundle(layout, "v1", [Layer(HELLO)])
    manifest = json.loads(next(path for path in (layout / "blobs/sha256").iterdir() if b"layers" in path.read_bytes()).read_bytes())
    victim = layout / "blobs/sha256" / manifest["layers"][0]["digest"].removeprefix("sha256:")
    victim.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(BundleError, match="error verifying sha256 checksum"):
        read(layout, f"{REPOSITORY}:v1")


def test_a_layer_that_inflates_beyond_the_bound_is_refused(layout):
    write_bundle(layout, "v1", [Layer(HELLO, raw=True, content=b"0" * (MAX_OBJECT + 1))])
    with pytest.raises(BundleError, match="larger than"):
        read(layout, f"{REPOSITORY}:v1")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (f"{REPOSITORY}@sha256:{'0' * 64}", r"MANIFEST_UNKNOWN: manifest unknown; map\[Name:ops/hello Revision:sha256:0+\]"),
        (f"{REPOSITORY}:v2", r"GET https://registry.test/v2/ops/hello/manifests/v2: MANIFEST_UNKNOWN: manifest unknown; map\[Tag:v2\]"),
        ("registry.test/ops/hello-too:v1", "no such host"),
    ],
)
def test_what_is_not_there_is_unknown(reference, message, layout):
    write_bundle(layout, "v1", [Layer(HELLO)])
    with pytest.raises(BundleError, match=message):
        read(layout, reference)


@pytest.mark.parametrize("broken", ["index.json", "oci-layout"])
def test_a_damaged_layout_is_an_error_of_the_bundle(broken, layout):
    write_bundle(layout, "v1", [Layer(HELLO)])
    (layout / broken).unlink()
    with pytest.raises(BundleError, match="cannot retrieve the oci image"):
        read(layout, f"{REPOSITORY}:v1")


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("hello", "index.docker.io/library/hello", "latest"),
        ("a/b:1", "index.docker.io/a/b", "1"),
        ("localhost:5000/a:x", "localhost:5000/a", "x"),
    ],
)
def test_references_are_completed(text, repository, tag):
    assert (parse(text).repository, parse(text).tag) == (repository, tag)


@pytest.mark.parametrize("text", ["Not Valid", "", "UPPER/case", "a@sha256:12", "a b"])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(BadReference, match="could not parse reference"):
        parse(text)


def test_the_definitions_are_those_of_tekton_in_their_storage_versions():
    served = {crd["metadata"]["name"]: [version["name"] for version in crd["spec"]["versions"]] for crd in tekton_crds()}
    assert served == {
        "pipelineruns.tekton.dev": ["v1"],
        "pipelines.tekton.dev": ["v1"],
        "taskruns.tekton.dev": ["v1"],
        "tasks.tekton.dev": ["v1"],
        "resolutionrequests.resolution.tekton.dev": ["v1beta1"],
    }
