"""What an operator may set about data storage."""

from pydantic import BaseModel, ConfigDict, Field


class DataStorageSettings(BaseModel):
    """The data storage part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8085, ge=0, le=65_535)
    database: str = "sqlite+aiosqlite:///kubernaut.db"
    """SQLAlchemy URL: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`."""
    body_limit: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Bytes."""
    max_concurrent_requests: int = Field(default=200, ge=1, le=10_000)
