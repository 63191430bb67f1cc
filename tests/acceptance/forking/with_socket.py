"""Connects while it is imported; each run needs a connection of its own."""

import socket

from stoker import flow

OURS, THEIRS = socket.socketpair()


@flow
def with_socket() -> str:
    OURS.sendall(b"own")
    return THEIRS.recv(10).decode()
