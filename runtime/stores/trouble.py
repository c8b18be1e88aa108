"""Human-readable errors of stores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import StoreError

_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_REGION",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_METADATA_SERVERS = ("169.254.169.254", "metadata.google.internal", "/computeMetadata/")
_ACCOUNT_FILE = re.compile(r"Unable to (?:open|decode) service account file.*|.*pem file.*")


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise the errors of obstore in the block as ours.

    Args:
        place: the URL that it is about.

    Raises:
        StoreError: the store cannot be reached, or refuses.
        FileNotFoundError: the object is not there, though its bucket is.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        text = str(error)
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in text:
            raise
        raise StoreError(f"{place}: {explained(text, place)}") from error


def explained(text: str, place: str) -> str:
    """Return an explanation of an error, with the remedy.

    Args:
        text: of obstore's error.
        place: the URL that it is about.
    """
    scheme = place.partition("://")[0]
    variables = _CREDENTIALS[scheme]
    status = _STATUS.search(text)
    number = int(status[1]) if status else 0
    code = _CODE.search(text)
    said = f" ({code[1]})" if code else f" (HTTP {number})" if number else ""
    if any(server in text for server in _METADATA_SERVERS) or "must be specified" in text:
        return f"no credentials for {scheme}:// were found: set {variables} in the environment"
    if scheme == "gs" and (found := _ACCOUNT_FILE.search(text)):
        reason = found[0].rpartition("error: ")[2].replace("Unable to", "cannot")
        reason = re.sub(r" \(os error \d+\)", "", reason)
        return f"{reason}: check {variables} in the environment, and that file"
    if "Error performing token request" in text and number:
        return f"Google gives no token{said}: check {variables} in the environment, and that file"
    if "Invalid Access Key" in text:
        return f"the key for {scheme}:// is damaged: check {variables} in the environment"
    if number in (401, 403) or "lacked the necessary privileges" in text:
        return (
            f"the store refuses{said}: check {variables} in the environment, and what they permit"
        )
    if number == 404:
        return f"there is no such bucket or container{said}: check its name, or make it first"
    if number in (301, 307, 400) and scheme == "s3":
        return f"the store does not understand the request{said}: check AWS_REGION and the URL"
    if number == 429 or number >= 500:
        return f"the store is overloaded{said}, and was asked several times: try again later"
    if "error sending request" in text or "HTTP error" in text:
        return "the store cannot be reached: check the network and the endpoint's URL"
    first = text.partition("\n")[0]
    return f"{first}. Rename that object" if "invalid path" in first else first
