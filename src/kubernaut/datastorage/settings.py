"""What an operator may set about data storage."""

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.service import AccessSettings, RateSettings


class DataStorageSettings(BaseModel):
    """The data storage part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8085, ge=0, le=65_535)
    namespace: str = "kubernaut-system"
    """Where the role is that callers need, with access.authorize."""
    database: str = "sqlite+aiosqlite:///kubernaut.db"
    """SQLAlchemy URL: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`."""
    migrate: bool = True
    """Whether a start brings the schema up to date; if not, kubernaut migrate does."""
    signing_key: str = ""
    """PEM file of the Ed25519 key that signs checkpoints and exports, made when missing. Empty: beside an SQLite file, else none."""
    checkpoint_every: int = Field(default=1000, ge=1, le=1_000_000)
    """After how many events the chain's state is signed."""
    retention_days: int = Field(default=2555, ge=31)
    """How long events stay; whole months go, those with a case under legal hold stay."""
    body_limit: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Bytes."""
    max_concurrent_requests: int = Field(default=200, ge=1, le=10_000)
    access: AccessSettings = Field(default_factory=AccessSettings)
    """Who may write and read."""
    rate: RateSettings = Field(default_factory=lambda: RateSettings(per_source=500, burst=1000, per_replica=1000))
    """How often."""
