"""What every custom resource shares: the model base, metadata, references, conditions, the journal, and a kind's own card."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

GROUP = "kubernaut.ai"
VERSION = "v1alpha1"
CORRELATION_LABEL = "kubernaut.ai/correlation-id"
CANCEL_ANNOTATION = "kubernaut.ai/cancel"
"""On a remediation: a person wants it to end. On a stage object: what it does is to stop. The value says who and why."""

Obj = dict[str, Any]
"""A decoded Kubernetes object."""
EMPTY: tuple[Any, ...] = (None, "", [], {})
"""What is left out of the JSON form. No field of ours means anything else by them."""
EMPTIES: dict[str, Any] = {"list": [], "dict": {}}
"""What an absent list or mapping is, by the type that pydantic's schema names."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Duration = Annotated[str, StringConstraints(max_length=32, pattern=r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$")]
"""Go duration text, such as `10m0s` or `850ms`."""
Confidence = Annotated[float, Field(ge=0, le=1)]
Short = Annotated[str, StringConstraints(max_length=1024)]
Long = Annotated[str, StringConstraints(max_length=16_384)]
FreeForm = Annotated[dict[str, JsonValue], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object whose fields the API server stores as they come."""


class Unusable(ValueError):  # noqa: N818  (says what is so)
    """What the program was given cannot be used; the message tells a person why."""


class Foreseen(Exception):  # noqa: N818  (says what is so)
    """The world outside is not as it should be; the work is tried again, and people are told in a line, without the way there."""


class Model(BaseModel):
    """Base of every type on the wire: camelCase outside, snake_case inside, unknown fields tolerated."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        validate_default=True,
        extra="ignore",
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Have empty lists and mappings made anew where a field is absent: pydantic's deep copy of a default costs far more."""
        schema = handler(source)
        inner: Any = schema
        while inner["type"] != "model-fields" and "schema" in inner:
            inner = inner["schema"]
        for field in inner.get("fields", {}).values():
            holder = field["schema"]
            if holder["type"] == "default" and holder.get("default") == EMPTIES.get(holder["schema"]["type"], holder):
                holder["default_factory"] = type(holder.pop("default"))
        return schema

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        """A null is an absent field, as it is to the API server."""
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_serializer(mode="wrap")
    def _drop_empty(self, handler: SerializerFunctionWrapHandler) -> Obj:
        """Leave out what is empty and would be read back the same, so that people see only what is said."""
        return {key: value for key, value in handler(self).items() if value or value not in EMPTY}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy what can change: models, lists and mappings; pydantic's own copy asks of every word whether it has seen it before."""
        made = self.__copy__()
        for name, value in self.__dict__.items():
            made.__dict__[name] = _copied(value)
        return made

    def wire(self) -> Obj:
        """Return the JSON form: camelCase, absent where empty, RFC 3339 times."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _copied(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_copied(each) for each in value]
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return value.__deepcopy__() if isinstance(value, Model) else value


class FoldedEnum(StrEnum):
    """An enum stored in its one spelling and read in any case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        folded = str(value).casefold()
        return next((member for member in cls if member.value.casefold() == folded), None)


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One observed fact about an object, for people and for `kubectl wait`."""

    type: str
    """What the fact is about, in CamelCase."""
    status: ConditionStatus
    """Whether it holds."""
    reason: str = ""
    """Why, in one CamelCase word a program can compare."""
    message: Short = ""
    """Why, for a person. Stable between reconciles: no clock times, no random order."""
    last_transition_time: datetime | None = None
    """When the status last changed."""
    observed_generation: int = Field(default=0, ge=0)
    """The spec generation this was judged against."""


Conditions = Annotated[
    list[Condition],
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


class AuditOutcome(StrEnum):
    """How a recorded fact ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"


class JournalEntry(Model):
    """One fact about an object on its way to the audit trail."""

    ordinal: int = Field(ge=0)
    """Its place in the object's life; with the object's uid it is the audit event's id."""
    at: datetime
    """When it became so."""
    reason: str
    """What happened, in one CamelCase word; also the Kubernetes Event's reason."""
    message: Short = ""
    """The same for a person."""
    outcome: AuditOutcome = AuditOutcome.SUCCESS
    """Whether it is good news, bad news, or still open."""
    data: FreeForm = {}
    """What else is to be kept: small, without secrets."""


class Journal(Model):
    """Facts not yet acknowledged by data storage; kept in the object so that no crash loses one."""

    count: int = Field(default=0, ge=0)
    """How many facts were ever recorded: the next ordinal."""
    pending: Annotated[list[JournalEntry], Field(max_length=128)] = []
    """Facts that data storage has not acknowledged, oldest first."""


class OwnerReference(Model):
    """Who is to be gone before this object is collected."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Model):
    """The part of Kubernetes metadata we read and write."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    owner_references: list[OwnerReference] = []
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class NamedReference(Model):
    """Another object of a known kind."""

    name: str
    namespace: str = ""


class ObjectReference(Model):
    """Another object, after core/v1; `{name, namespace}` alone is a valid one."""

    api_version: str = ""
    kind: str = ""
    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    namespace: str = ""
    uid: str = ""


class ResourceIdentifier(Model):
    """An object named the way people and alerts name it."""

    kind: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Z][a-zA-Z0-9]*$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    namespace: Annotated[str, StringConstraints(max_length=63)] = ""
    """Empty for cluster-scoped kinds."""
    api_version: str = ""
    """Such as `apps/v1`; empty where the source did not say."""

    def path(self) -> str:
        """Return `namespace/kind/name`, or `kind/name` when cluster-scoped; the kind starts in lower case."""
        kind = self.kind[0].lower() + self.kind[1:]
        return "/".join(part for part in (self.namespace, kind, self.name) if part)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind's card: what Kubernetes must know besides the schema."""

    kind: str
    plural: str
    short: tuple[str, ...] = ()
    group: str = GROUP
    version: str = VERSION
    namespaced: bool = True
    columns: tuple[tuple[str, str, str], ...] = ()
    """Printer columns: title, type, path below the object."""
    selectable: tuple[str, ...] = ()
    """Paths that field selectors may name."""

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Status(Model):
    """What every status of ours has; a subclass adds `phase` and its own fields."""

    written_by_others: ClassVar[frozenset[str]] = frozenset()
    """Fields, by JSON name, that somebody other than the kind's controller writes; the two do not get in each other's way."""
    decided_in: ClassVar[str] = "completionTime"
    """The field that says how it ends: who writes it must have seen everything that others have written."""
    observed_generation: int = Field(default=0, ge=0)
    """The spec generation this status speaks of."""
    message: Short = ""
    """Where it stands, for a person."""
    conditions: Conditions = []
    """Observed facts, for `kubectl wait`."""
    journal: Journal = Journal()
    """Facts on their way to the audit trail."""


class Resource(Model):
    """A custom resource; a subclass adds `card`, `spec` and `status`."""

    card: ClassVar[Kind]
    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name

    @property
    def correlation_id(self) -> str:
        """What ties all records of one case together: the label, else the remediation's name, else our own."""
        if label := self.metadata.labels.get(CORRELATION_LABEL):
            return label
        ref = getattr(getattr(self, "spec", None), "remediation_request_ref", None)
        return ref.name if ref is not None else self.metadata.name

    def reference(self) -> ObjectReference:
        """Return a full reference to this object."""
        meta = self.metadata
        return ObjectReference(
            api_version=self.card.api_version, kind=self.card.kind, name=meta.name, namespace=meta.namespace, uid=meta.uid
        )

    def wire(self) -> Obj:
        """Return the object as the API server takes it."""
        return {"apiVersion": self.card.api_version, "kind": self.card.kind, **super().wire()}


@dataclass(frozen=True)
class Rule:
    """A CEL rule the API server enforces on a type, with the sentence a refused user reads."""

    expression: str
    message: str


M = TypeVar("M", bound=type[Model])


def cel(*rules: Rule) -> Callable[[M], M]:
    """Attach CEL rules to a model."""

    def attach(model: M) -> M:
        entries: list[JsonValue] = [{"rule": rule.expression, "message": rule.message} for rule in rules]
        model.model_config["json_schema_extra"] = {"x-kubernetes-validations": entries}
        model.model_rebuild(force=True)
        return model

    return attach


def immutable_spec(kind: str) -> Rule:
    """Say that a spec is a snapshot: it never changes after creation."""
    return Rule("self == oldSelf", f"spec cannot be changed: create another {kind}")
