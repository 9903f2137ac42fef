"""What may be asked: the parameters of each question, by which they are checked and described."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.audit import Moment, TargetPath, Text63, Text255, Text1024
from kubernaut.datastorage.export import Selection
from kubernaut.datastorage.history import HISTORY_LIMIT
from kubernaut.datastorage.query import EXACT, PAGE_LIMIT, Question

Cursor = Annotated[str, Field(max_length=256)]


class Params(BaseModel):
    """Base of all parameters: unknown ones are a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class EventParams(Params):
    """Which events."""

    event_type: Text255 = ""
    event_category: Text255 = ""
    event_action: Text255 = ""
    event_outcome: Text255 = ""
    correlation_id: Text255 = ""
    """The case: the remediation's name."""
    resource_type: Text255 = ""
    resource_name: Text255 = ""
    namespace: Text63 = ""
    target: TargetPath = ""
    """What the case is about: `namespace/kind/name`, the kind beginning in lower case."""
    actor_id: Text255 = ""
    text: Text1024 = ""
    """Part of the message, in any case."""
    since: Moment | None = None
    until: Moment | None = None
    """Before this time."""
    cursor: Cursor = ""
    """The last page's `next_cursor`."""
    limit: int = Field(default=50, ge=1, le=PAGE_LIMIT)

    def question(self) -> Question:
        """Return what is asked of the trail."""
        equal = {name: value for name in EXACT if (value := getattr(self, name))}
        return Question(equal, since=self.since, until=self.until, text=self.text)


class HistoryParams(Params):
    """Which target's history."""

    targetKind: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-zA-Z0-9]+$")]  # noqa: N815  (as the wire says it)
    targetName: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[!-~]+$")]  # noqa: N815
    targetNamespace: Text63 = ""  # noqa: N815
    """Left out for cluster-scoped kinds."""
    since: Moment | None = None
    limit: int = Field(default=20, ge=1, le=HISTORY_LIMIT)

    def target(self) -> str:
        """Return the target's path."""
        kind = self.targetKind[0].lower() + self.targetKind[1:]
        return "/".join(part for part in (self.targetNamespace, kind, self.targetName) if part)


class SinceParams(Params):
    """From when on."""

    since: Moment | None = None


class ExportParams(Params):
    """What to export: days of storing, both included, or one case; nothing is everything."""

    first_day: date | None = None
    last_day: date | None = None
    correlation_id: Text255 = ""

    def selection(self) -> Selection:
        """Return what is selected."""
        return Selection(self.first_day, self.last_day, self.correlation_id)


class NoParams(Params):
    """Nothing may be asked."""
