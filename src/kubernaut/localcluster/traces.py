"""How a fault of ours is logged: where it came from and what it says, never what variables held, among which are tokens and secrets."""

import traceback

MOST = 4000
"""Characters of a trace that are kept: its end, which names the fault."""


def told(error: BaseException) -> str:
    """Return the trace of a fault as text, without the values of variables, whatever the log's own rendering would add."""
    return "".join(traceback.format_exception(error))[-MOST:]
