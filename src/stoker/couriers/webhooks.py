"""Webhooks: one signed POST, with nothing of the answer trusted."""

import asyncio
import ssl
from urllib.parse import urlsplit

from stoker.couriers.signing import signature
from stoker.domain.automation.actions import CallWebhook, check_url, without_secrets
from stoker.domain.errors import Invalid
from stoker.ports.courier import Undelivered

MAX_HEAD = 32_768
"""Bytes of an answer's head at the most."""

MAX_SAID = 300
"""Bytes of an answer's body that are read, to say why it refuses."""


async def post(
    action: CallWebhook, body: bytes, *, id: str, at: float, agent: str = "stoker"
) -> str:
    """Send a webhook; return the answer's status line.

    One connection, used once. Redirects are not followed: they would carry the message, and
    its signature, to where nobody has sent it.

    Raises:
        Undelivered: The answer is not a 2xx, or there is none in time.
    """
    try:
        async with asyncio.timeout(action.timeout):
            status, reason, said = await _exchange(action, _request(action, body, id, at, agent))
    except TimeoutError:
        raise Undelivered(f"no answer within {action.timeout:g} s") from None
    except Invalid as error:
        raise Undelivered(str(error), for_good=True) from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        reason = without_secrets(str(error) or type(error).__name__, action)
        raise Undelivered(f"no answer: {reason}") from None
    if 200 <= status < 300:
        return f"{status} {reason}".strip()
    if 300 <= status < 400:
        raise Undelivered(f"answered {status}: redirects are not followed", for_good=True)
    text = without_secrets(said.decode(errors="replace").strip(), action)
    # 410 is how Standard Webhooks says that nobody listens there any more.
    raise Undelivered(f"answered {status} {reason}: {text}".rstrip(": "), for_good=status == 410)


def _request(action: CallWebhook, body: bytes, id: str, at: float, agent: str) -> bytes:
    check_url("url", action.url)
    parts = urlsplit(action.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Host": parts.netloc,
        "User-Agent": agent,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "webhook-id": id,
        "webhook-timestamp": str(int(at)),
        "Idempotency-Key": id,
        **action.headers,
    }
    if action.secret is not None:
        headers["webhook-signature"] = signature(action.secret, id, int(at), body)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


async def _exchange(action: CallWebhook, request: bytes) -> tuple[int, str, bytes]:
    parts = urlsplit(action.url)
    secure = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname,
        parts.port or (443 if secure else 80),
        ssl=ssl.create_default_context() if secure else None,
        limit=MAX_HEAD,
    )
    try:
        writer.write(request)
        await writer.drain()
        status, reason = await _head(reader)
        said = b"" if status < 400 else await reader.read(MAX_SAID)
    finally:
        # Whatever else it has to say is not waited for.
        writer.transport.abort()
    return status, reason, said


async def _head(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Read the head of an answer; those before the final one (1xx) are passed over."""
    for _ in range(5):
        head = await reader.readuntil(b"\r\n\r\n")
        version, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        code, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not (len(code) == 3 and code.isdecimal()):
            raise ValueError("what answers there does not speak HTTP/1.1")
        if int(code) >= 200:
            return int(code), "".join(filter(str.isprintable, reason))[:100]
    raise ValueError("what answers there does not come to an end")
