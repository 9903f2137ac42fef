"""Logs: one structured line a fact, bounded and without secrets."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, Literal

import stamina.instrumentation
import structlog
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from kubernaut.api.redact import TALLY, redact, redact_value

LINE_LIMIT = 4096
_PLAIN = (str, int, float, list, tuple, dict, type(None))
"""What is written as it is; anything else, such as an exception, is searched as it would be shown."""

LogFormat = Literal["json", "console"]
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def configure_logging(*, level: str = "info", form: LogFormat = "json") -> None:
    """Send all log lines to standard error, from now on."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _guarded,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Guarded("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)
    stamina.instrumentation.set_on_retry_hooks((_retrying,))


class Redactions(Collector):
    """Counts the secrets that this process has hidden, at whichever exit: messages, logs, Events, records, prompts, its own objects."""

    def collect(self) -> Iterator[Metric]:
        """Return the count as it is now."""
        says = "Secrets hidden before something left: messages, logs, Events, conditions, audit records, prompts"
        yield CounterMetricFamily("notification_sanitization_redactions", says, value=TALLY.hidden)


REGISTRY.register(Redactions())


class Guarded(logging.Formatter):
    """Writes what libraries log, under the same rules as our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, or a traceback, without secrets and bounded."""
        return redact(super().format(record)[: 2 * LINE_LIMIT])[:LINE_LIMIT]


def _retrying(details: stamina.instrumentation.RetryDetails) -> None:
    """Tell of one more try quietly: under a storm there are thousands, and whoever gives up says so."""
    log.debug("trying again", number=details.retry_num, wait_seconds=round(details.wait_for, 3), fault=repr(details.caused_by))


def _guarded(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out and keep each value short."""
    safe = {redact(key): redact_value(value if isinstance(value, _PLAIN) else repr(value), key=key) for key, value in event.items()}
    return {key: value[:LINE_LIMIT] + "…" if isinstance(value, str) and len(value) > LINE_LIMIT else value for key, value in safe.items()}
