"""The query of a request, read as kube-apiserver reads it."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from kubernaut.localcluster import errors

_MANAGER_MAX = 128
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_POLICIES = {"", "Foreground", "Background", "Orphan"}


class Parameters:
    """The query parameters of one request."""

    def __init__(self, query: str) -> None:
        """Keep the first value of each name."""
        self._values: Mapping[str, list[str]] = parse_qs(query, keep_blank_values=True)

    def text(self, name: str) -> str:
        """Return a parameter, empty where absent."""
        return self._values.get(name, [""])[0]

    def has(self, name: str) -> bool:
        """Say whether a parameter is given at all."""
        return name in self._values

    def flag(self, name: str) -> bool:
        """Return a boolean; as in Go's conversion, all but `false` and `0` is true."""
        return name in self._values and self.text(name).lower() not in {"false", "0"}

    def number(self, name: str) -> int | None:
        """Return a whole number, None where absent; raise ApiError 400 for anything else."""
        text = self.text(name)
        if not text:
            return None
        if not text.lstrip("-").isdigit():
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)

    def dry_run(self, options: str) -> bool:
        """Return whether nothing is to be stored; raise ApiError 422 for another value than All."""
        given = self._values.get("dryRun", [])
        if any(value != "All" for value in given):
            shown = "[" + " ".join(errors.encode_go(value) for value in given) + "]"
            raise errors.invalid_options(
                options, "dryRun", "FieldValueNotSupported", f'Unsupported value: {shown}: supported values: "All"'
            )
        return bool(given)

    def manager(self, options: str) -> str:
        """Return fieldManager; raise ApiError 422 where it is too long."""
        name = self.text("fieldManager")
        if len(name.encode()) > _MANAGER_MAX:
            text = f"Too long: may not be more than {_MANAGER_MAX} bytes"
            raise errors.invalid_options(options, "fieldManager", "FieldValueTooLong", text)
        return name

    def validation(self, options: str) -> str:
        """Return fieldValidation, Warn where absent; raise ApiError 422 for an unknown one."""
        asked = self.text("fieldValidation")
        if asked not in _VALIDATIONS:
            known = ", ".join(f'"{value}"' for value in _VALIDATIONS)
            text = f'Unsupported value: "{asked}": supported values: {known}'
            raise errors.invalid_options(options, "fieldValidation", "FieldValueNotSupported", text)
        return asked or "Warn"


def check_propagation(policy: str, *, orphan_given: bool) -> None:
    """Refuse an unknown propagation policy, or one beside the older orphanDependents, with ApiError 422."""
    if policy and orphan_given:
        text = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        raise errors.invalid_options("DeleteOptions", "propagationPolicy", "FieldValueInvalid", text)
    if policy not in _POLICIES:
        text = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        raise errors.invalid_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", text)
