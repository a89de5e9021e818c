"""Reading a server's answer: is it the file, does the rest of it belong to the same bytes, may one ask again?"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import httpx

from degrain.ingest.fetching.partial import State
from degrain.ingest.fetching.remote import SourceFailed
from degrain.ingest.fetching.retries import Again, Policy, pause

# Statuses that may pass, like the server's own errors (500 and above): timed out, too early, too many requests.
PASSING = (408, 425, 429)

_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)")
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)


def refusal(response: httpx.Response, policy: Policy) -> SourceFailed:
    """Say what an error status means: `Again` if it may pass, after the pause that the server asks for."""
    status = response.status_code
    reason = f"answers {status} {response.reason_phrase}".rstrip()
    if status not in PASSING and status < 500:
        return SourceFailed(reason, status)
    asked = pause(response.headers.get("Retry-After", ""))
    if asked is not None and asked > policy.longest_wait:
        return SourceFailed(f"{reason} and asks to come back in {asked:.0f} s", status)
    return Again(reason, status, asked)


def whole(response: httpx.Response, source: str) -> State:
    """Note what a 200 sends the first byte of."""
    length = None if "Transfer-Encoding" in response.headers else response.headers.get("Content-Length")
    return State(source, _etag(response), _last_modified(response), None if length is None else int(length))


def rest(response: httpx.Response, start: int, state: State) -> int | None:
    """Check that a 206 goes on exactly where a part ends, with the bytes of the same version.

    Args:
        response: The answer.
        start: The part's size, in bytes.
        state: What was noted when the part was begun.

    Returns:
        Size of the whole in bytes, if the server says.

    Raises:
        Again: The rest is not the rest of these bytes.
    """
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or found["first"] is None or int(found["first"]) != start:
        raise Again("sends other bytes than the ones asked for")
    total = None if found["total"] == "*" else int(found["total"])
    # NOTE: there are servers that know Range and not If-Range, and so would append one version to another.
    if changed(response, state) or (total is not None and state.total not in (None, total)):
        raise Again("has another version now")
    return state.total if total is None else total


def nothing_left(response: httpx.Response, start: int, state: State) -> bool:
    """Tell whether a 416 means that the part is already whole, as after a Content-Length that was too long."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return found is not None and found["total"] == str(start) and not changed(response, state)


def changed(response: httpx.Response, state: State) -> bool:
    """Tell whether an answer names another version than the one noted; one that names none does not."""
    name, noted = ("ETag", state.etag) if state.etag else ("Last-Modified", state.last_modified)
    now: str = response.headers.get(name, noted)
    return now != noted


def refuse_page(response: httpx.Response, beginning: bytes) -> None:
    """Refuse a web page in place of a file: networks that want a login first send theirs with status 200.

    Raises:
        SourceFailed: It is one, or nothing at all.
    """
    if not beginning:
        raise SourceFailed("sends an empty file")
    if response.headers.get("Content-Type", "").lower().startswith("text/html") or _PAGE.match(beginning):
        raise SourceFailed("sends a web page, not the file; open it in a browser: it may want a login")


def _etag(response: httpx.Response) -> str:
    """The ETag if it is strong: weak ones stand for bytes that are only as good as the same, and start with W/."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else ""


def _last_modified(response: httpx.Response) -> str:
    """Last-Modified if it is older than the answer: within one second a file can change twice (RFC 9110, 8.8.2.2)."""
    modified: str = response.headers.get("Last-Modified", "")
    try:
        age = parsedate_to_datetime(response.headers.get("Date", "")) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return ""
    return modified if age.total_seconds() >= 1 else ""
