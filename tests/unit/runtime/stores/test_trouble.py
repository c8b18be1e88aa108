from __future__ import annotations

import pytest

from runtime.stores.trouble import explained

STATUS = "Error performing PUT http://host/b/k - Server returned non-2xx status code: {}: {}"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (STATUS.format("403 Forbidden", "<Code>AccessDenied</Code>"), "s3://b/", "(AccessDenied)"),
        (STATUS.format("401 Unauthorized", ""), "gs://b/", "GOOGLE_APPLICATION_CREDENTIALS"),
        (STATUS.format("404 Not Found", "<Code>NoSuchBucket</Code>"), "s3://b/", "no such bucket"),
        (STATUS.format("301 Moved", "<Code>PermanentRedirect</Code>"), "s3://b/", "AWS_REGION"),
        (STATUS.format("503 Slow", "<Code>SlowDown</Code>"), "s3://b/", "overloaded (SlowDown)"),
        (STATUS.format("429 Too Many", ""), "az://b/", "overloaded (HTTP 429)"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", "s3://b/", "were found"),
        ("Generic MicrosoftAzure error: Account must be specified", "az://b/", "AZURE_STORAGE"),
        (
            "Generic MicrosoftAzure error: Invalid Access Key: Invalid symbol 61",
            "az://b/",
            "damaged",
        ),
        ("HTTP error: error sending request", "s3://b/", "cannot be reached"),
        ("something else\n\nDebug source:\n...", "s3://b/", "something else"),
    ],
)
def test_what_went_wrong_and_what_to_do(text: str, place: str, words: str) -> None:
    found = explained(text, place)
    assert words in found
    assert "\n" not in found
