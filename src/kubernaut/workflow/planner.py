"""Plans the steps of a workflow definition into operations: a dependency graph put into one stable order; pure."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from kubernaut.api.plan import Operation

MAX_STEPS = 50


class PlanFault(ValueError):  # noqa: N818  (says what the steps are)
    """The steps cannot be put into an order."""


def plan(steps: Sequence[Operation]) -> list[Operation]:
    """Return the steps in the order they are to be carried out: after what they depend on, else by number.

    Raise PlanFault for no or too many steps, a number used twice, a dependency on itself, on an unknown step, or in a circle.
    """
    by_number = _numbered(steps)
    for step in steps:
        _check_dependencies(step, by_number)
    order = _ordered(by_number)
    if len(order) < len(steps):
        circle = sorted(set(by_number) - {step.step_number for step in order})
        raise PlanFault(f"steps {_listed(circle)} wait for one another")
    return order


def _numbered(steps: Sequence[Operation]) -> dict[int, Operation]:
    if not 0 < len(steps) <= MAX_STEPS:
        raise PlanFault(f"a workflow has 1 to {MAX_STEPS} steps, not {len(steps)}")
    by_number = {step.step_number: step for step in steps}
    if len(by_number) < len(steps):
        numbers = [step.step_number for step in steps]
        raise PlanFault(f"step numbers are used twice: {_listed(sorted({number for number in numbers if numbers.count(number) > 1}))}")
    return by_number


def _check_dependencies(step: Operation, known: dict[int, Operation]) -> None:
    if step.step_number in step.depends_on:
        raise PlanFault(f"step {step.step_number} depends on itself")
    if unknown := sorted(set(step.depends_on) - set(known)):
        raise PlanFault(f"step {step.step_number} depends on unknown steps {_listed(unknown)}")


def _ordered(steps: dict[int, Operation]) -> list[Operation]:
    """Kahn's algorithm with the lowest ready number first; steps in a circle never get ready."""
    missing = {number: set(step.depends_on) for number, step in steps.items()}
    ready = [number for number, waits in missing.items() if not waits]
    heapify(ready)
    order = []
    while ready:
        done = heappop(ready)
        order.append(steps[done])
        for number in _freed(missing, done):
            heappush(ready, number)
    return order


def _freed(missing: dict[int, set[int]], done: int) -> list[int]:
    waiting = [number for number, waits in missing.items() if done in waits]
    for number in waiting:
        missing[number].discard(done)
    return [number for number in waiting if not missing[number]]


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
