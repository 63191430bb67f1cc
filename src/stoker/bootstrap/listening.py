"""The socket that a server listens on, and who may reach it."""

import ipaddress
import resource
import socket
from contextlib import suppress

from stoker.domain.errors import Invalid, Unavailable
from stoker.settings import Settings


def need_key(settings: Settings) -> None:
    """Raise `Invalid` where other machines can reach the server, and no key keeps them out."""
    if settings.api_key is None and not _is_loopback(settings.server_host):
        raise Invalid(
            f"{settings.server_host} can be reached from other machines: set STOKER_API_KEY to a "
            "secret before the server binds it, or bind 127.0.0.1"
        )


def raise_file_limit() -> None:
    """Allow as many descriptors as the system does: every client, host and worker takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes any free one.

    Raises:
        Unavailable: It cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port "
            "or STOKER_SERVER_PORT (0 takes any free one)"
        ) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL that a program on this machine reaches a listening socket by."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
