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
        (
            "Generic GCS error: GCP credential error: Unable to open service account file from a: "
            "No such file (os error 2)\n\nDebug source:",
            "gs://b/",
            "cannot open service account file from a: No such file: check GOOGLE_APPLICATION",
        ),
        (
            "Generic GCS error: Unable to decode service account file: missing field `type`",
            "gs://b/",
            "cannot decode service account file: missing field `type`: check GOOGLE_APPLICATION",
        ),
        (
            "Generic AwsLcCryptoProvider error: Error reading pem file: no items found",
            "gs://b/",
            "Error reading pem file: no items found: check GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            "Generic GCS error: Error performing token request: Error performing POST "
            'https://accounts.google.com/o/oauth2/token status code: 400 Bad: {"invalid_grant"}',
            "gs://b/",
            "gives no token (HTTP 400): check GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            "Generic GCS error: Error performing token request: Error performing GET "
            "http://10.0.0.1/computeMetadata/v1/instance status code: 404 Not Found",
            "gs://b/",
            "no credentials for gs:// were found",
        ),
        ("HTTP error: error sending request", "s3://b/", "cannot be reached"),
        ("something else\n\nDebug source:\n...", "s3://b/", "something else"),
    ],
)
def test_what_went_wrong_and_what_to_do(text: str, place: str, words: str) -> None:
    found = explained(text, place)
    assert words in found
    assert "\n" not in found
