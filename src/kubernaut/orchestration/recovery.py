"""Whether a failed fix may be followed by another attempt: three checks, in the documented order. Pure."""

from kubernaut.orchestration.facts import Child, Prospects


def refusal(failed: Child, prospects: Prospects) -> tuple[str, str] | None:
    """Say why there is no further attempt, as a reason and a sentence; None when there may be one."""
    if prospects.attempt >= prospects.limit:
        return "max_recovery_attempts_exceeded", f"{_tries(prospects.attempt + 1)} failed, and no more are made"
    if (failed.step, failed.reason) in prospects.failures:
        return "repeated_failure_pattern", "it failed at the same step and in the same way as an attempt before"
    if prospects.ended >= prospects.sample and prospects.terminated >= prospects.rate * prospects.ended:
        share = f"{prospects.terminated} of {prospects.ended} fixes in the cluster failed in the last hour"
        return "termination_rate_exceeded", f"{share}: no further attempt is made while that is so"
    return None


def _tries(count: int) -> str:
    return "the only attempt" if count == 1 else f"all {count} attempts"
