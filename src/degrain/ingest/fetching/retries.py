"""How patiently a source is asked again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import tenacity

from degrain.ingest.fetching.remote import SourceFailed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """How often and how long to try one source.

    Attributes:
        attempts: Connections in a row that bring nothing new before the source is given up.
        first_wait: Seconds before the second attempt; doubled for each further one, plus a random part.
        longest_wait: Seconds; a server that asks for a longer pause is given up.
        connect_timeout: Seconds.
        read_timeout: Seconds without a single byte.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    connect_timeout: float = 8.0
    read_timeout: float = 60.0


PATIENT = Policy()


class Again(SourceFailed):
    """The source failed in a way that may pass.

    Attributes:
        pause: Seconds that it asked to wait, if it did.
    """

    def __init__(self, reason: str, status: int | None = None, pause: float | None = None) -> None:
        super().__init__(reason, status)
        self.pause = pause


def retrying(policy: Policy, source: str) -> tenacity.Retrying:
    """Return a caller that repeats a step while it raises `Again`; the last one is raised on.

    Args:
        policy: How often and how long.
        source: What the log calls it.
    """
    backoff = tenacity.wait_exponential(policy.first_wait, policy.longest_wait) + tenacity.wait_random(
        0, policy.first_wait
    )

    def wait(state: tenacity.RetryCallState) -> float:
        asked = _failure(state).pause
        return backoff(state) if asked is None else asked

    def tell(state: tenacity.RetryCallState) -> None:
        log.info("%s: %s; asking again in %.0f s", source, _failure(state), state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Again),
        stop=tenacity.stop_after_attempt(policy.attempts),
        wait=wait,
        before_sleep=tell,
        reraise=True,
    )


def _failure(state: tenacity.RetryCallState) -> Again:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, Again):
        raise TypeError(failure)
    return failure


def pause(retry_after: str) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3), or None."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
