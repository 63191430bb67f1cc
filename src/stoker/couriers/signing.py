"""Signatures of webhooks, as Standard Webhooks has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"


def signature(secret: str, id: str, at: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``.

    Args:
        secret: The key: base64 after ``whsec_``, else the text itself.
        id: The header ``webhook-id``.
        at: The header ``webhook-timestamp``, seconds since the epoch.
        body: The body as it is sent.

    Example:
        >>> signature("s3cret", "1", 1_700_000_000, b"{}")
        'v1,tNGIVHTqNSQI3OJgO6W/pdr2d5g7JQTGYhkOYaUMyAA='
    """
    content = b".".join((id.encode(), str(at).encode(), body))
    digest = hmac.digest(_key(secret), content, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
