"""Bundles pushed to and pulled from a real registry, and what comes back from one that is not to be trusted."""

import re
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kubernaut.catalog.bundle import BadBundle, digest_of, pack, unpack
from kubernaut.catalog.registry import Credentials, Reference, RegistryError, pull, push
from tests.catalog.registries import PASSWORD, USER, needs_registry, registry

NOBODY = Credentials()


def pipeline(name="workflow", **spec):
    return {"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {"name": name}, "spec": spec}


OBJECTS = [
    pipeline(description="one"),
    {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "greet"}, "spec": {"steps": []}},
]


@pytest.fixture
async def open_registry(tmp_path):
    async with registry(tmp_path) as found:
        yield found


@needs_registry
async def test_what_is_pushed_comes_back_by_tag_and_by_digest(open_registry):
    image = pack(OBJECTS)
    place = Reference.read(f"{open_registry.host}/workflows/demo:1.0.0")
    reference = await push(image, place, NOBODY)
    assert reference == f"{place.repository}@{image.digest}"
    for each in (place, Reference.read(reference)):
        found = await pull(each, NOBODY)
        assert found == image
        assert unpack(found) == OBJECTS


@needs_registry
async def test_pushing_again_changes_nothing(open_registry):
    place = Reference.read(f"{open_registry.host}/workflows/demo:1.0.0")
    first = await push(pack(OBJECTS), place, NOBODY)
    files = {path: path.stat().st_mtime_ns for path in open_registry.root.rglob("blobs/sha256/*/*/data")}
    assert await push(pack(OBJECTS), place, NOBODY) == first
    assert {path: path.stat().st_mtime_ns for path in open_registry.root.rglob("blobs/sha256/*/*/data")} == files


@needs_registry
async def test_what_is_not_there_is_told_with_its_name(open_registry):
    place = f"{open_registry.host}/workflows/demo"
    with pytest.raises(RegistryError, match=re.escape(f"{place} has no manifest 2.0.0")):
        await pull(Reference.read(f"{place}:2.0.0"), NOBODY)


@needs_registry
async def test_a_blob_that_was_damaged_in_the_registry_is_refused(open_registry):
    image = pack(OBJECTS)
    place = Reference.read(f"{open_registry.host}/workflows/demo:1.0.0")
    await push(image, place, NOBODY)
    for path in open_registry.root.rglob("blobs/sha256/*/*/data"):
        if f"sha256:{path.parent.name}" != image.digest and b"config" not in path.read_bytes():
            path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(BadBundle, match="damaged or exchanged"):
        unpack(await pull(place, NOBODY))


@needs_registry
async def test_a_manifest_under_another_digest_is_refused(open_registry):
    image = pack(OBJECTS)
    place = Reference.read(f"{open_registry.host}/workflows/demo")
    await push(image, place, NOBODY)
    other = digest_of(b"something else")
    link = next(open_registry.root.rglob(f"_manifests/revisions/sha256/{image.digest[7:]}/link"))
    moved = link.parent.with_name(other[7:])
    moved.mkdir()
    (moved / "link").write_text(image.digest, encoding="utf-8")
    with pytest.raises(BadBundle, match=f"gave a manifest of digest {image.digest} for {other}"):
        await pull(Reference("localhost:" + open_registry.host.partition(":")[2], place.path, digest=other), NOBODY)


@needs_registry
async def test_a_registry_with_a_password_wants_it(tmp_path):
    async with registry(tmp_path, password=True) as found:
        place, image = Reference.read(f"{found.host}/workflows/demo:1"), pack(OBJECTS)
        with pytest.raises(RegistryError, match=r"401: .*credentials for .* are read from Docker's config.json"):
            await push(image, place, NOBODY)
        with pytest.raises(RegistryError, match="401"):
            await push(image, place, Credentials.of(found.host, USER, "wrong"))
        file = tmp_path / "config.json"
        row = Credentials.of(found.host, USER, PASSWORD).known[found.host]
        file.write_text(f'{{"auths": {{"https://{found.host}/v1/": {{"auth": "{row}"}}}}}}', encoding="utf-8")
        credentials = Credentials.of_docker(file)
        assert await push(image, place, credentials) == f"{place.repository}@{image.digest}"
        assert await pull(place, credentials) == image


async def test_a_registry_that_does_not_answer_is_told():
    with pytest.raises(RegistryError, match="cannot be reached"):
        await pull(Reference.read("127.0.0.1:1/workflows/demo:1"), NOBODY)


def test_without_a_file_nobody_has_credentials(tmp_path):
    assert Credentials.of_docker(tmp_path / "config.json") == NOBODY
    (tmp_path / "config.json").write_text("[", encoding="utf-8")
    with pytest.raises(BadBundle, match="no JSON"):
        Credentials.of_docker(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest"),
    [
        pytest.param("registry.example.com/a/b", "registry.example.com/a/b", "", "", id="bare"),
        pytest.param("localhost:5000/a:1.0", "localhost:5000/a", "1.0", "", id="port and tag"),
        pytest.param(f"ghcr.io/a/b:1@sha256:{'0' * 64}", "ghcr.io/a/b", "1", f"sha256:{'0' * 64}", id="tag and digest"),
    ],
)
def test_references_are_read(text, repository, tag, digest):
    found = Reference.read(text)
    assert (found.repository, found.tag, found.digest) == (repository, tag, digest)


@pytest.mark.parametrize(
    "text", ["", "demo", "a/b:1", "Registry.example.com/UPPER", "registry.example.com/a@sha256:0", "registry.example.com/../a", "x.y/a b"]
)
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(BadBundle, match="no reference of the form"):
        Reference.read(text)


@asynccontextmanager
async def token_guarded():
    """Serve the manifests of one image to whoever has fetched a token; as registries in the cloud do."""
    image, asked = pack(OBJECTS), []

    async def token(request):
        asked.append((request.query["service"], request.query["scope"], request.headers.get("Authorization", "")))
        return web.json_response({"token": "t0k3n"})

    async def serve(request):
        if request.headers.get("Authorization") != "Bearer t0k3n":
            realm = f"http://{request.host}/token"
            challenge = f'Bearer realm="{realm}",service="registry",scope="repository:demo:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        name = request.path.rpartition("/")[2]
        return web.Response(body=image.blobs[image.digest if name == "1.0.0" else name]) if name else web.Response()

    app = web.Application()
    app.router.add_get("/token", token)
    app.router.add_get("/v2/{rest:.*}", serve)
    async with TestServer(app) as server:
        yield f"{server.host}:{server.port}", image, asked


async def test_a_token_is_fetched_where_the_registry_wants_one():
    async with token_guarded() as (host, image, asked):
        credentials = Credentials.of(host, USER, PASSWORD)
        assert await pull(Reference.read(f"{host}/demo:1.0.0"), credentials) == image
        assert asked == [("registry", "repository:demo:pull", f"Basic {credentials.known[host]}")]
