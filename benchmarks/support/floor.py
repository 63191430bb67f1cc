"""Floors: the least that the same machine needs for the same thing, without any orchestrator.

Run as a script it is one of the processes that are measured.
"""

import gc
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

IN_FLIGHT = 8
"""Processes at a time, where forks overlap."""


def hand_offs(n: int, warmup: int, folder: Path) -> list[int]:
    """Time an HTTP request until a waiting process has it, stored in between; in nanoseconds.

    One request after the other on a kept connection, in one segment each, to a blocking server,
    which commits a row to SQLite (WAL, synchronous=FULL) and writes the body into a socket pair.
    """
    command = [sys.executable, __file__, "serve", str(folder / "floor.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        body = json.dumps({"deployment": "clock/floor", "parameters": {}}).encode()
        message = (
            b"POST /api/flow-runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        samples: list[int] = []
        try:
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for _ in range(warmup + n):
                    started = time.monotonic_ns()
                    link.sendall(message)
                    samples.append(int(_read_message(link)) - started)
        finally:
            server.terminate()
    return samples[warmup:]


def _read_message(link: socket.socket) -> bytes:
    """Read one HTTP message with a Content-Length, and return its body; empty at the end."""
    data = b""
    while (split := data.find(b"\r\n\r\n")) < 0:
        part = link.recv(65536)
        if not part:
            return b""
        data += part
    head, body = data[:split], data[split + 4 :]
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += link.recv(65536)
    return body


def _serve(database: str) -> None:
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        while theirs.recv(65536):
            theirs.send(b"%d" % time.monotonic_ns())
        os._exit(0)
    theirs.close()
    store = sqlite3.connect(database, isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, body BLOB)")
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    link, _ = listener.accept()
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while body := _read_message(link):
        store.execute("INSERT INTO run (body) VALUES (?)", (body,))
        ours.send(body)
        stamp = ours.recv(64)
        link.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(stamp), stamp))


def forks(n: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return runs per second of bare fork and exit, pandas imported: one by one, and in flight."""
    command = [sys.executable, __file__, "forks", str(n), str(rounds)]
    answer = subprocess.run(command, check=True, capture_output=True)
    one_by_one, in_flight = json.loads(answer.stdout)
    return one_by_one, in_flight


def _fork_all(n: int, in_flight: int) -> float:
    started = time.monotonic()
    alive = 0
    for _ in range(n):
        if alive == in_flight:
            os.wait()
            alive -= 1
        if os.fork() == 0:
            os._exit(0)
        alive += 1
    for _ in range(alive):
        os.wait()
    return n / (time.monotonic() - started)


def _forks(n: int, rounds: int) -> None:
    import pandas  # noqa: F401 (its memory is what a fork has to copy the map of)

    gc.collect()
    gc.freeze()
    os.waitpid(os.fork() or os._exit(0), 0)
    rates = [[_fork_all(n, width) for _ in range(rounds)] for width in (1, IN_FLIGHT)]
    print(json.dumps(rates))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(sys.argv[2])
    else:
        _forks(int(sys.argv[2]), int(sys.argv[3]))
