"""Bundles after Tekton's contract: written by us, read by the embedded cluster's resolver."""

import gzip
import io
import tarfile

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.catalog.bundle import BadBundle, pack, read_objects
from kubernaut.catalog.layout import store
from kubernaut.localcluster.pipelines.bundles import BundleError, Bundles

REPOSITORY = "registry.example/workflows/demo"


def pipeline(name="workflow", **spec):
    return {"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {"name": name}, "spec": spec}


def task(name):
    return {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": name}, "spec": {"steps": []}}


def test_what_is_written_is_what_a_resolver_reads(tmp_path):
    ref = store(pack([pipeline(tasks=[]), task("greet")]), tmp_path, REPOSITORY)
    entry = Bundles({"registry.example/workflows": tmp_path}).entry(ref, "pipeline", "workflow")
    assert orjson.loads(entry.data) == pipeline(tasks=[])
    assert entry.annotations == {
        "dev.tekton.image.apiVersion": "v1",
        "dev.tekton.image.kind": "pipeline",
        "dev.tekton.image.name": "workflow",
    }
    assert (entry.repository, f"{REPOSITORY}@sha256:{entry.digest}") == (REPOSITORY, ref)


def test_a_layout_holds_many_bundles_and_keeps_those_it_had(tmp_path):
    refs = [store(pack([pipeline(description=text)]), tmp_path, REPOSITORY) for text in ("one", "two", "one")]
    assert refs[0] == refs[2] != refs[1]
    for ref, text in zip(refs, ("one", "two", "one"), strict=True):
        assert orjson.loads(Bundles({REPOSITORY: tmp_path}).entry(ref, "pipeline", "workflow").data)["spec"] == {"description": text}
    assert len(orjson.loads((tmp_path / "index.json").read_bytes())["manifests"]) == 2


def test_a_blob_that_was_tampered_with_is_not_read(tmp_path):
    image = pack([pipeline()])
    ref = store(image, tmp_path, REPOSITORY)
    for blob in (tmp_path / "blobs" / "sha256").iterdir():
        blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(BundleError, match="checksum"):
        Bundles({REPOSITORY: tmp_path}).entry(ref, "pipeline", "workflow")


def test_the_digest_is_the_same_on_every_machine():
    assert pack([pipeline()]).digest == "sha256:c80c68be2ebdb82f8cb599299388167b3eed6314d8989712c2adfd676b6f7d80"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=4), st.integers(0, 200_000))
def test_layers_are_plain_gzip_and_tar(notes, size):
    wanted = pipeline(notes=notes, filler="x" * size)
    image = pack([wanted])
    manifest = orjson.loads(image.blobs[image.digest])
    data = gzip.decompress(image.blobs[manifest["layers"][0]["digest"]])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (member,) = archive.getmembers()
        file = archive.extractfile(member)
        assert file is not None
        assert orjson.loads(file.read()) == wanted


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        pytest.param([], "1 to 20 objects", id="nothing"),
        pytest.param([pipeline(), *(task(f"t{number}") for number in range(20))], "1 to 20 objects", id="more than Tekton takes"),
        pytest.param([pipeline("other")], "no Pipeline named 'workflow'", id="no pipeline of the right name"),
        pytest.param([pipeline(), pipeline()], "twice in one bundle", id="the same pipeline twice"),
        pytest.param(
            [pipeline(), {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}], "Pipeline and Task only", id="a Secret"
        ),
        pytest.param([pipeline() | {"apiVersion": "v1"}], "not of tekton.dev", id="a pipeline of somebody else"),
        pytest.param([pipeline() | {"metadata": {}}], "has no name", id="no name"),
        pytest.param(["text"], "Pipeline and Task only", id="no object"),
    ],
)
def test_what_is_no_bundle_is_refused_with_the_reason(objects, why):
    with pytest.raises(BadBundle, match=why):
        pack(objects)


def test_objects_are_read_from_a_file(tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text("apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: workflow}\nspec: {}\n---\n", encoding="utf-8")
    assert pack(read_objects(file)) == pack([pipeline()])
    file.write_text("a: [", encoding="utf-8")
    with pytest.raises(BadBundle, match="no YAML"):
        read_objects(file)
