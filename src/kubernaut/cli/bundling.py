"""`kubernaut bundle` makes and checks Tekton bundles; `kubernaut catalog` shows the shipped workflows and prepares them for a cluster."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console

from kubernaut import catalog, manifests
from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.catalog.bundle import BadBundle, Image, pack, read_objects, unpack, unpinned
from kubernaut.catalog.judging import faults
from kubernaut.catalog.layout import load, store
from kubernaut.catalog.registry import Credentials, Reference, pull, push
from kubernaut.cli import tables
from kubernaut.cli.documents import read_all
from kubernaut.cli.telling import fail, finish

bundles = typer.Typer(no_args_is_help=True, help="Tekton bundles: the pipelines that workflows run, as OCI images.")
workflows = typer.Typer(no_args_is_help=True, help="The catalogue of pre-approved fixes.")

SourceArgument = Annotated[str, typer.Argument(help="REGISTRY/PATH[:TAG][@DIGEST], or an OCI layout DIRECTORY[@DIGEST]")]
PATHS = ("/", "./", "../")
"""How a directory begins, and no registry."""
_LOCAL = "kubernaut.local/workflows"
WIDE = 160


@bundles.command()
def build(
    file: Annotated[Path, typer.Argument(help="YAML file: one Pipeline named workflow, and Tasks")],
    output: Annotated[Path, typer.Option("--output", "-o", help="OCI layout directory; made where there is none")],
    repository: Annotated[
        str, typer.Option("--repository", help="where it will be pushed; only for the reference that is printed")
    ] = _LOCAL,
) -> None:
    """Make a bundle in a directory and print its reference. The same content gives the same digest, on every machine."""

    async def work() -> None:
        typer.echo(store(pack(read_objects(file)), output, repository))

    finish(work())


@bundles.command(name="push")
def push_bundle(
    source: Annotated[str, typer.Argument(help="YAML file of objects, or an OCI layout DIRECTORY[@DIGEST]")],
    destination: Annotated[str, typer.Argument(help="REGISTRY/PATH[:TAG]")],
) -> None:
    """Put a bundle into a registry and print its reference, pinned by digest. Credentials come from Docker's config.json."""

    async def work() -> None:
        image = _made(source)
        for each in unpinned(unpack(image)):
            typer.echo(_unpinned(each), err=True)
        typer.echo(await push(image, Reference.read(destination), Credentials.of_docker()))

    finish(work())


@bundles.command()
def inspect(source: SourceArgument) -> None:
    """Show what is in a bundle, as YAML."""

    async def work() -> None:
        image = await _fetched(source)
        objects = unpack(image)
        typer.echo(f"# {image.digest}, {len(objects)} objects")
        typer.echo(yaml.safe_dump_all(objects, sort_keys=False, width=WIDE), nl=False)

    finish(work())


@bundles.command()
def verify(source: SourceArgument) -> None:
    """Check a bundle as Tekton would, and more: digests, annotations, kinds, one pipeline named workflow. Nothing is run."""

    async def work() -> None:
        image = await _fetched(source)
        objects = unpack(image)
        typer.echo(f"{image.digest} is good: {', '.join(sorted(_called(each) for each in objects))}")
        for each in unpinned(objects):
            typer.echo(f"but {_unpinned(each)}")

    finish(work())


def _unpinned(image: str) -> str:
    return f"the image {image} is not pinned by digest (…@sha256:…): what runs in your cluster could change unseen"


def _called(obj: Obj) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


async def _fetched(source: str) -> Image:
    """Return a bundle from a directory, where there is one of that name, else from its registry; raise BadBundle."""
    return _from_layout(source) or await pull(Reference.read(source), Credentials.of_docker())


def _made(source: str) -> Image:
    """Return the bundle of a file of objects or of a layout directory; raise BadBundle."""
    if Path(source).is_file():
        return pack(read_objects(Path(source)))
    if image := _from_layout(source):
        return image
    raise BadBundle(f"there is no file or directory {source}")


def _from_layout(source: str) -> Image | None:
    path, _, digest = source.partition("@")
    if Path(path).is_dir():
        return load(Path(path), digest)
    if path.startswith(PATHS):
        raise BadBundle(f"there is no file or directory {path}")
    return None


@workflows.command(name="list")
def list_workflows() -> None:
    """List the shipped workflows: what each does, to what, and how risky it is."""
    rows = [
        (spec.workflow_id, spec.version, spec.action_type, ", ".join(spec.labels.component), spec.risk_level.value, spec.description)
        for spec in (each.spec for each in shipped_workflows())
    ]
    tables.show(Console(highlight=False), ("WORKFLOW", "VERSION", "ACTION", "FOR", "RISK", "WHAT IT DOES"), rows)


@workflows.command()
def show(
    workflow_id: Annotated[str, typer.Argument(help="as kubernaut catalog list names it")],
    pipeline: Annotated[
        bool, typer.Option("--pipeline", help="the Tekton Pipeline that it runs, ready for kubernaut bundle build")
    ] = False,
    image: Annotated[str, typer.Option("--image", help="the image of the Pipeline's step; default: the catalogue's")] = "",
) -> None:
    """Show one shipped workflow as YAML."""
    if workflow_id not in catalog.workflow_ids():
        fail(f"there is no workflow {workflow_id!r}; kubernaut catalog list names them")
    obj = (
        catalog.pipeline(workflow_id, image)
        if pipeline
        else next(each for each in shipped_workflows() if each.spec.workflow_id == workflow_id).wire()
    )
    for each in unpinned([obj]):
        typer.echo(f"# {_unpinned(each)}: give --image")
    typer.echo(yaml.safe_dump(obj, sort_keys=False, width=WIDE), nl=False)


@workflows.command()
def check(files: Annotated[list[Path], typer.Argument(help="YAML files of RemediationWorkflows, directories of them, or -")]) -> None:
    """Check workflows of your own before you apply them: schema, parameters, preview. Exit code 1 when one is at fault."""

    async def work() -> int:
        wrong = 0
        for document in read_all(files):
            found = list(_faults_of(document.obj))
            wrong += bool(found)
            typer.echo("\n".join(f"{document.place}: {fault}" for fault in found) or f"{document.place}: {_called(document.obj)} is good")
        return 1 if wrong else 0

    finish(work())


@workflows.command()
def publish(
    destination: Annotated[str, typer.Argument(help="REGISTRY/PATH below which each workflow's bundle goes, or an OCI layout directory")],
    image: Annotated[str, typer.Option("--image", help="what the steps run in: an image with sh, awk and kubectl, pinned by digest")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="of the RemediationWorkflows")] = manifests.SYSTEM_NAMESPACE,
) -> None:
    """Push the shipped workflows' bundles; print the workflows and their service accounts and roles, ready for kubectl apply."""
    if "@sha256:" not in image:
        fail(f"--image {image} is not pinned by digest (…@sha256:…): what runs in your cluster could change unseen", 2)

    async def work() -> None:
        references = {each: await _published(each, destination, image) for each in catalog.workflow_ids()}
        typer.echo(yaml.safe_dump_all(list(_manifests(references, namespace)), sort_keys=False, width=WIDE), nl=False)

    finish(work())


async def _published(workflow_id: str, destination: str, image: str) -> str:
    made = pack([catalog.pipeline(workflow_id, image)])
    layout = _directory(destination)
    if layout is not None:
        return store(made, layout, f"{_LOCAL}/{workflow_id}")
    return await push(made, Reference.read(f"{destination}/{workflow_id}"), Credentials.of_docker())


def _directory(text: str) -> Path | None:
    """Return the directory that a destination names: one that is there, or what can be no registry's name."""
    return Path(text) if Path(text).is_dir() or text.startswith(PATHS) else None


def _manifests(references: dict[str, str], namespace: str) -> Iterator[Obj]:
    yield from catalog.identities(manifests.WORKFLOW_NAMESPACE)
    for workflow in catalog.load(references):
        workflow.metadata.namespace = namespace
        yield {key: value for key, value in workflow.wire().items() if key != "status"}


def _faults_of(obj: Obj) -> Iterator[str]:
    if obj.get("kind") != RemediationWorkflow.card.kind:
        yield f"{obj.get('kind')} is no {RemediationWorkflow.card.kind}"
        return
    try:
        yield from faults(RemediationWorkflow.model_validate(obj))
    except ValidationError as error:
        for fault in error.errors():
            yield f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def shipped_workflows() -> list[RemediationWorkflow]:
    """Return the shipped workflows; their bundles' digests follow from the image that their steps run in."""
    return catalog.load({each: f"{_LOCAL}/{each}@{pack([catalog.pipeline(each)]).digest}" for each in catalog.workflow_ids()})
