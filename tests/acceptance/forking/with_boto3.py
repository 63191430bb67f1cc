"""Makes a client while it is imported, and calls a server with it in the run."""

import boto3

from stoker import flow

CLIENT = boto3.client(
    "sqs",
    region_name="eu-central-1",
    endpoint_url="http://127.0.0.1:9",
    aws_access_key_id="nobody",
    aws_secret_access_key="nothing",
)


@flow
def with_boto3(endpoint: str) -> list[str]:
    CLIENT.meta.events.register(
        "before-send.sqs.ListQueues", lambda request, **_: setattr(request, "url", endpoint)
    )
    return CLIENT.list_queues()["QueueUrls"]
