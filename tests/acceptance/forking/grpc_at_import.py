"""Serves and calls from its import on: gRPC's threads are there from then on."""

from concurrent import futures

import grpc
from with_grpc import Echo

from stoker import flow

SERVER = grpc.server(futures.ThreadPoolExecutor(1), handlers=[Echo()])
CHANNEL = grpc.insecure_channel(f"127.0.0.1:{SERVER.add_insecure_port('127.0.0.1:0')}")
SERVER.start()
CALL = CHANNEL.unary_unary("/echo/Echo")
CALL(b"hello", timeout=20)


@flow
def grpc_at_import() -> str:
    return CALL(b"hello", timeout=20).decode()
