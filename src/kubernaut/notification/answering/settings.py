"""What an operator may set about answers given by link or button: who is who, where the pages are reached, what seals the links."""

from collections import Counter
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from kubernaut.service import RateSettings

Group = Annotated[str, StringConstraints(min_length=1, max_length=253)]
RATE: Final = RateSettings(per_source=10, burst=30, per_replica=100)


class Person(BaseModel):
    """Somebody who may answer, as the cluster knows them, and where they are told from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field(min_length=1, max_length=253, pattern=r"^\S+$")
    """The user name that the API server knows them by: the decision is theirs, with their rights."""
    groups: Annotated[tuple[Group, ...], Field(max_length=20)] = ()
    """The groups of theirs by which they decide."""
    email: str = Field(default="", pattern=r"^([^@\s<>,;]+@[^@\s<>,;]+)?$", max_length=254)
    """Their own mail address: an approval message to it has a link that is theirs alone."""
    slack: str = Field(default="", pattern=r"^([UW][A-Z0-9]+)?$", max_length=30)
    """Their Slack member id."""
    console: bool = False
    """Whether they read this process's console and file: the links there are theirs. For a system on one's own machine."""

    @field_validator("user")
    @classmethod
    def _human(cls, user: str) -> str:
        if user.startswith("system:"):
            raise ValueError("answers are given by people: what begins with `system:` is none")
        return user


class AnswerSettings(BaseModel):
    """Approvals answered by a link in a mail, or by a button in Slack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8087, ge=0, le=65_535)
    url: str = Field(default="", max_length=500)
    """Where people's devices reach this, such as `https://kubernaut.example.com`; empty: its own address, if that is a loopback one."""
    key_file: Path
    """What seals links and buttons: Fernet keys, one a line; the first seals, all open. Made when it is not there; replicas share one."""
    people: Annotated[tuple[Person, ...], Field(max_length=1000)] = ()
    """Who may answer so."""
    rate: RateSettings = RATE
    """How often."""

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        split = urlsplit(url)
        if url and not (split.hostname and (split.scheme == "https" or (split.scheme == "http" and is_loopback(split.hostname)))):
            raise ValueError("give an https:// URL: whoever reads a link on its way could answer with it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        places = [*(each.email.lower() for each in self.people), *(each.slack for each in self.people)]
        twice = [place for place, count in Counter(filter(None, places)).items() if count > 1]
        if twice:
            raise ValueError(f"an address belongs to one person: {', '.join(twice)} is given twice")
        if sum(each.console for each in self.people) > 1:
            raise ValueError("the console belongs to one person")
        return self

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if any(each.email for each in self.people) and not self.url and not is_loopback(self.host):
            raise ValueError("give url: links in mails lead there")
        return self


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
