"""Binds a port while it is imported: only one of its processes can live at a time."""

import os
import socket

from stoker import flow

print("importing with_port")
os.environ["SET_AT_IMPORT"] = "yes"
SERVER = socket.create_server(("127.0.0.1", int(os.environ.get("FORKING_TEST_PORT", "0"))))


@flow(log_prints=True)
def with_port() -> list[str]:
    print("running with_port")
    links = [os.readlink(path) for path in descriptors() if os.path.lexists(path)]
    return sorted(link.partition(":")[0] for link in links)


def descriptors() -> list[str]:
    return [f"/proc/self/fd/{fd}" for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2]
