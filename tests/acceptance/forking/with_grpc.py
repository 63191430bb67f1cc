"""Serves and calls in the run; the import alone starts nothing."""

from concurrent import futures

import grpc

from stoker import flow


class Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


def call() -> str:
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary("/echo/Echo")(b"hello", timeout=20)
    server.stop(None)
    return answer.decode()


@flow
def with_grpc() -> str:
    return call()
