"""The keys that seal links and buttons: read from their file each time, and made there at the first start."""

import os
from pathlib import Path
from typing import Final

import structlog
from cryptography.fernet import Fernet, MultiFernet

from kubernaut.api.base import Unusable

PRIVATE: Final = 0o600
LIMIT: Final = 4096

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class BadKeys(Unusable):
    """A key file that cannot be used."""


class Keys:
    """The keys of a file as they are now: a rotated one needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the file, readable by its owner alone, when it is not there; raise BadKeys when it cannot be used."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        except FileExistsError:
            self.read()
            return
        except OSError as error:
            raise BadKeys(f"the key {self._path} cannot be made: {error.strerror}; set notification.answers.key_file to a file") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
        log.info("a key that seals links and buttons was made", file=str(self._path))

    def read(self) -> MultiFernet:
        """Return the keys; raise BadKeys."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(LIMIT).split()
            return MultiFernet([Fernet(line) for line in lines])
        except OSError as error:
            raise BadKeys(f"the key {self._path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            hint = "openssl rand -base64 32 | tr '+/' '-_'"
            raise BadKeys(f"{self._path} must hold 32 random bytes in URL-safe base64, one key a line: {hint}") from error
