"""The messages of one case among themselves: which go first, and which began the thread. Pure."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from kubernaut.api.notification import DeliveryEvent, NotificationRequest
from kubernaut.notification.decide import SUCCESS, Target, is_open, last_of, of_event

BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
Places = Callable[[NotificationRequest], Iterable[Target]]


def held_by_others(request: NotificationRequest, siblings: Iterable[NotificationRequest], places: Places) -> frozenset[Target]:
    """Return the places where an earlier message of the case has still to be delivered."""
    found: set[Target] = set()
    for each in siblings:
        if age_of(each) < age_of(request) and each.status.completion_time is None and each.metadata.deletion_timestamp is None:
            told = of_event(each.status.delivery_attempts, DeliveryEvent.TOLD)
            found |= {target for target in places(each) if is_open(target, told, each.spec.retry_policy)}
    return frozenset(found)


def thread_of(request: NotificationRequest, siblings: Iterable[NotificationRequest], target: Target) -> str:
    """Return how the channel called the first message of the case at a place, if that was another one than this."""
    earlier = sorted((each for each in siblings if age_of(each) < age_of(request)), key=age_of)
    return next((receipt for each in earlier if (receipt := receipt_of(each, target))), "")


def receipt_of(request: NotificationRequest, target: Target) -> str:
    """Return how the channel called a message at a place."""
    last = last_of(target, of_event(request.status.delivery_attempts, DeliveryEvent.TOLD))
    return last.receipt if last is not None and last.status == SUCCESS else ""


def age_of(request: NotificationRequest) -> tuple[datetime, str]:
    """Return what orders messages: when they were made (whole seconds), then their names."""
    return request.metadata.creation_timestamp or BEFORE_ALL, request.metadata.name
