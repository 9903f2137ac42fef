"""What an operator says of HolmesGPT: when it is asked, which model answers, what it may cost, and how long it is waited for."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from kubernaut.api.durations import Length

Url = Annotated[str, StringConstraints(pattern=r"^(https?://[^\s]+)?$", max_length=2048)]
LATEST = timedelta(minutes=9)
"""An analysis ends after ten minutes where nothing else is said: HolmesGPT has to be through before."""


class When(StrEnum):
    """When HolmesGPT is asked."""

    NEVER = "never"
    UNKNOWN = "unknown"
    """When the rules know no cause."""
    UNSURE = "unsure"
    """Also when the rules are less sure than `unsure_below`."""
    ALWAYS = "always"
    """A second opinion on every cause."""


class Limits(BaseModel):
    """What may be spent; None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int | None = Field(default=None, ge=0)
    """Calls of the model."""
    tokens: int | None = Field(default=None, ge=0)
    money: float | None = Field(default=None, ge=0)
    """In the currency of the prices."""


class Budgets(BaseModel):
    """What may be spent on a case, in an hour, and for a namespace in an hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Limits = Limits(calls=30, tokens=200_000, money=1.0)
    hour: Limits = Limits(calls=600, tokens=3_000_000, money=15.0)
    namespace: Limits = Limits(calls=200, tokens=1_000_000, money=5.0)


class Prices(BaseModel):
    """What a million tokens cost; zero for a model of one's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: float = Field(default=0.0, ge=0)
    answered: float = Field(default=0.0, ge=0)


class Ladder(BaseModel):
    """How long after a failure the model is asked again: the first pause, twice that, ... up to the longest, until the total is used up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Length = Field(default=timedelta(seconds=5), gt=timedelta())
    longest: Length = Field(default=timedelta(seconds=30), gt=timedelta())
    total: Length = Field(default=timedelta(minutes=5), ge=timedelta())

    def pauses(self) -> list[timedelta]:
        """Return the pauses in their order; their sum is within the total."""
        found: list[timedelta] = []
        pause = self.first
        while sum(found, timedelta()) + pause <= self.total:
            found.append(pause)
            pause = min(pause * 2, self.longest)
        return found


class BreakerSettings(BaseModel):
    """When HolmesGPT is left alone for a while."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=5, ge=1)
    """In a row; then it rests for `rest`."""
    rest: Length = Field(default=timedelta(minutes=5), gt=timedelta())
    probes: int = Field(default=3, ge=1)
    """How many questions at a time it is tried with after its rest, and how many must succeed."""
    many_failures: int = Field(default=10, ge=1)
    """In a row; then it rests for `long_rest`."""
    long_rest: Length = Field(default=timedelta(minutes=15), gt=timedelta())
    failed_share: float = Field(default=0.2, gt=0, le=1)
    """More than this share of the last five minutes' calls (ten at least) is as bad as failures in a row."""


class HolmesGPTSettings(BaseModel):
    """Settings of HolmesGPT."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: When = When.NEVER
    unsure_below: float = Field(default=0.8, ge=0, le=1)
    python: str = ""
    """The Python of HolmesGPT's own virtual environment; `tools/holmesgpt_env.sh` makes one and prints it."""
    endpoint: Url = ""
    """Base URL of an OpenAI-compatible API, such as `http://ollama.ai.svc:11434/v1`."""
    model: Annotated[str, StringConstraints(max_length=253)] = ""
    api_key_file: str = ""
    """File of the key for that API, read anew for each call; HolmesGPT's process never sees it."""
    kubeconfig: str = ""
    """Kubeconfig of an account that may read and nothing else, for HolmesGPT's kubectl; without it HolmesGPT has no tools."""
    path: str = "/usr/local/bin:/usr/bin:/bin"
    """Where its process finds bash, jq and kubectl."""
    toolsets: Annotated[tuple[str, ...], Field(max_length=20)] = ("kubernetes/core", "kubernetes/logs")
    """All others are off."""
    at_once: int = Field(default=2, ge=1, le=16)
    """Investigations at a time."""
    corrections: int = Field(default=3, ge=0, le=3)
    """How often an answer that does not hold is sent back."""
    second_look: bool = True
    """Whether a fix that HolmesGPT chose must also be one that the model chooses when it is shown no text of the cluster."""
    steps: int = Field(default=12, ge=1, le=30)
    """Rounds of tool calls in one answer."""
    context_tokens: int = Field(default=64_000, ge=8_000)
    answer_tokens: int = Field(default=4_000, ge=256)
    start_timeout: Length = Field(default=timedelta(minutes=3), gt=timedelta())
    call_timeout: Length = Field(default=timedelta(seconds=60), gt=timedelta())
    """For one answer of the model."""
    timeout: Length = Field(default=timedelta(minutes=8), gt=timedelta(), le=LATEST)
    """For a whole investigation, with its retries."""
    look_again: Length = Field(default=timedelta(seconds=2), gt=timedelta())
    """How often a waiting analysis looks whether the answer is there."""
    kept: Length = Field(default=timedelta(hours=1), ge=timedelta())
    """How long an answer holds for the same evidence."""
    confidence_limit: float = Field(default=0.79, ge=0, le=1)
    """The most that is believed of a model: with the shipped approval policy a person is always asked."""
    retries: Ladder = Ladder()
    breaker: BreakerSettings = BreakerSettings()
    budgets: Budgets = Budgets()
    prices: Prices = Prices()

    @model_validator(mode="after")
    def _usable(self) -> "HolmesGPTSettings":
        """Refuse to ask HolmesGPT without what it needs; everything that is missing is told at once."""
        needed = {"python": self.python, "endpoint": self.endpoint, "model": self.model}
        missing = [name for name, value in needed.items() if not value]
        if self.asked is not When.NEVER and missing:
            raise ValueError(f"HolmesGPT is to be asked ({self.asked.value}), and {', '.join(missing)} is not set")
        return self
