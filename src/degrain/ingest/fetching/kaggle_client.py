"""A data set's whole zip from Kaggle, and a submission to a competition, by Kaggle's own client.

The client logs in, asks for the data set and follows to the storage that holds the zip. From there on the bytes come by
our own download: the client's begins anew when a retry meets an error, takes weak ETags for proof, checks neither room
nor content, and has no time limit for the first answer.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from degrain.errors import DownloadError
from degrain.ingest.fetching import answers, http
from degrain.ingest.fetching.http import Address
from degrain.ingest.fetching.partial import Part
from degrain.ingest.fetching.remote import SourceFailed
from degrain.ingest.fetching.retries import Again, Policy, retrying
from degrain.machine import variables

log = logging.getLogger(__name__)

TOKENS = "https://www.kaggle.com/settings (API, Generate New Token)"

# Storage answers these to an address whose signature has run out.
EXPIRED = (400, 401, 403)

# Of the client's own connection: they would contradict ours.
NOT_OURS = {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}


def page(dataset: str) -> str:
    """Return the web page of "owner/dataset", where its licence is accepted."""
    return f"https://www.kaggle.com/datasets/{dataset}"


def download(dataset: str, part: Part, expected: int | None, policy: Policy) -> bool:
    """Download a data set's zip, packed as it is; otherwise like `http.download`.

    Args:
        dataset: "owner/dataset".
        part: What an earlier run left of it, if anything.
        expected: Size in bytes, if it is known.
        policy: How patiently.

    Raises:
        SourceFailed: There are no credentials, or Kaggle does not give the data set; the text says what to do.
    """
    if variables.kaggle_credentials() is None:
        raise SourceFailed(_unknown("asks", f"accept the licence, if there is one, at {page(dataset)}"))
    while True:
        before = part.size()
        address = retrying(policy, page(dataset))(lambda: _locate(dataset, policy))
        try:
            return http.download(address, part, expected, policy)
        except SourceFailed as failure:
            # NOTE: addresses are signed for a limited time, and a large download can outlast it.
            if failure.status not in EXPIRED or part.size() <= before:
                raise


def version(dataset: str, policy: Policy) -> str:
    """Return the address of a data set's present version, without what signs one request.

    Args:
        dataset: "owner/dataset".
        policy: How patiently Kaggle is asked.

    Raises:
        SourceFailed: Kaggle refuses.
        Again: It cannot be reached.
    """
    return httpx.URL(_locate(dataset, policy).url).copy_with(query=None).path


def check_known(competition: str) -> None:
    """See that Kaggle will know who submits, before hours go into what is to be submitted.

    Raises:
        DownloadError: There are no credentials; the text says what to do.
    """
    if variables.kaggle_credentials() is None:
        raise DownloadError(_unknown("submits", f"join the competition at {rules_of(competition)}"))


def rules_of(competition: str) -> str:
    """Return the web page of a competition, where its rules are accepted."""
    return f"https://www.kaggle.com/competitions/{competition}"


def submit(table: Path, competition: str, message: str) -> str:
    """Hand a table in to a competition.

    Args:
        table: The file.
        competition: Its name in the address of its page.
        message: What the list of submissions will say of it.

    Returns:
        Kaggle's answer.

    Raises:
        DownloadError: There are no credentials, or Kaggle does not take it; the text says what to do.
    """
    import requests

    check_known(competition)
    try:
        with _heard():
            # NOTE: the import logs in over the network.
            import kaggle

            answer = kaggle.api.competition_submit(str(table), message, competition, quiet=True)
    except requests.HTTPError as error:
        status = None if error.response is None else error.response.status_code
        advice: dict[int | None, str] = {
            401: f"it does not accept the credentials: get a new token at {TOKENS}",
            403: f"join the competition, signed in as the owner of the token, at {rules_of(competition)}",
            404: f"there is no competition {competition}",
        }
        raise DownloadError(f"Kaggle did not take {table}: {advice.get(status, f'status {status}')}") from error
    except (OSError, ValueError) as error:
        raise DownloadError(f"Kaggle did not take {table}: {type(error).__name__}; try again") from error
    if answer.message == kaggle.api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
        raise DownloadError(f"Kaggle's storage did not take {table}; try again")
    return str(answer.message)


def _locate(dataset: str, policy: Policy) -> Address:
    """Let the client ask for a data set, and return where its last request was led, with all that went with it."""
    import requests

    try:
        response = _ask(dataset, policy)
    except requests.HTTPError as error:
        raise _advice(error, dataset) from error
    except requests.RequestException as error:
        raise Again(f"Kaggle cannot be reached ({type(error).__name__})") from error
    except OSError as error:
        raise SourceFailed(f"the kaggle client cannot start: {error}") from error
    final = response.request
    headers = {name: value for name, value in final.headers.items() if name.lower() not in NOT_OURS}
    body = final.body.encode() if isinstance(final.body, str) else final.body
    return Address(final.url, page(dataset), final.method, headers, body)


def _ask(dataset: str, policy: Policy) -> Any:
    owner, _, name = dataset.partition("/")
    with _heard():
        # NOTE: the import logs in over the network.
        import kaggle
        from kagglesdk.datasets.types.dataset_api_service import (
            ApiDownloadDatasetRequest,
        )

        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug = owner, name
        with kaggle.api.build_kaggle_client() as client:
            session = client.http_client()._session
            # NOTE: without this a silent server keeps the client waiting for ever.
            session.send = functools.partial(session.send, timeout=(policy.connect_timeout, policy.read_timeout))
            response = client.datasets.dataset_api_client.download_dataset(request)
            response.close()
            return response


def _unknown(asking: str, further: str) -> str:
    return (
        f"Kaggle wants to know who {asking}: get a token at {TOKENS}, put it into KAGGLE_API_TOKEN or "
        f"~/.kaggle/access_token, and {further}"
    )


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Keep what the client prints for the debug log."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            log.debug("kaggle: %s", line)


def _advice(error: Any, dataset: str) -> SourceFailed:
    status = error.response.status_code
    if status == 401:
        used = variables.kaggle_credentials()
        return SourceFailed(f"Kaggle does not accept the credentials in {used}: get a new token at {TOKENS}", status)
    if status == 403:
        return SourceFailed(
            f"Kaggle does not let this account have it: open {page(dataset)}, signed in as the owner of the token, and "
            "accept the licence",
            status,
        )
    if status == 404:
        return SourceFailed(f"Kaggle has no data set {dataset}, or keeps it private: see {page(dataset)}", status)
    passing = status in answers.PASSING or status >= 500
    # NOTE: the client's own text of a status holds the signed address; what Kaggle itself says has status 200.
    reason = f"Kaggle answers: {error if status < 400 else status}"
    return Again(reason, status) if passing else SourceFailed(reason, status)
