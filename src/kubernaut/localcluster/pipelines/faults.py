"""What ends a run for good: the reason and message its condition gets, in Tekton's words."""


class RunFailed(Exception):  # noqa: N818 - an outcome
    """A PipelineRun or TaskRun cannot go on; `error` is the bare cause that Tekton reports in an InternalError event."""

    def __init__(self, reason: str, message: str, error: str = "") -> None:
        """Keep the condition's reason and message."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.error = error


class Unresolved(Exception):  # noqa: N818 - an outcome
    """A reference to a Pipeline or Task cannot be resolved; the text is Tekton's, from `error requesting remote resource` on."""


class Unsupported(Exception):  # noqa: N818 - an outcome
    """A feature of Tekton that needs a real cluster."""
