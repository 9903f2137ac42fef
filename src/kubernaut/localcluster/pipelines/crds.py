"""The definitions of Tekton's kinds, as a real cluster serves them."""

import gzip
from functools import cache
from importlib.resources import files

import orjson

from kubernaut.localcluster.errors import Obj


@cache
def tekton_crds() -> list[Obj]:
    """Return the CustomResourceDefinitions of Pipeline, PipelineRun, Task, TaskRun (tekton.dev/v1) and ResolutionRequest (v1beta1).

    They are those of Tekton Pipelines 1.15 in their storage versions: between v1beta1 and v1 Tekton converts by a webhook,
    which the embedded cluster has not. The objects are shared: never change them.
    """
    packed = files("kubernaut.localcluster").joinpath("data/tekton-crds.json.gz").read_bytes()
    found: list[Obj] = orjson.loads(gzip.decompress(packed))
    return found
