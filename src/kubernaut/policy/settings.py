"""Where an operator keeps a policy."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.durations import Length


class PolicySource(BaseModel):
    """Where a policy is read: a ConfigMap, or a file. Neither there: the shipped policy holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config_map: str = Field(default="", max_length=253)
    """Name of the ConfigMap; empty: none is looked for."""
    namespace: str = Field(default="", max_length=63)
    """Namespace of the ConfigMap; empty: where all objects of ours are."""
    key: str = Field(default="policy.yaml", min_length=1, max_length=253)
    """The ConfigMap's key that holds the text."""
    file: Path | None = None
    """A file that is read in place of the ConfigMap."""
    file_interval: Length = Field(default=timedelta(seconds=5), ge=timedelta(milliseconds=100), le=timedelta(hours=1))
    """How often the file is looked at for changes."""
