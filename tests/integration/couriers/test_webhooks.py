"""Webhooks against real receivers on loopback."""

import asyncio
import base64
import hashlib
import hmac
import threading

import pytest

from stoker.couriers.webhooks import MAX_SAID, post
from stoker.domain.automation.actions import CallWebhook
from stoker.ports.courier import Undelivered

BODY = b'{"n":1}'


def send(action: CallWebhook, body: bytes = BODY) -> str:
    return asyncio.run(post(action, body, id="f1.0", at=1_700_000_000.9))


def test_a_webhook_is_signed_so_that_its_receiver_can_verify_it(receiver):
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
    action = CallWebhook(url=f"{receiver.url}/in?x=1", secret=secret, headers={"X-Team": "ops"})
    assert send(action).startswith("204")
    ((path, headers, body),) = receiver.got
    assert (path, body) == ("/in?x=1", BODY)
    assert headers["webhook-id"] == headers["idempotency-key"] == "f1.0"
    assert headers["content-type"] == "application/json"
    assert headers["x-team"] == "ops"
    # As https://www.standardwebhooks.com has its receivers do.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"0123456789abcdef", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert headers["webhook-timestamp"] == "1700000000"


def test_without_a_secret_there_is_no_signature(receiver):
    send(CallWebhook(url=receiver.url))
    assert receiver.got[0][0] == "/"
    assert "webhook-signature" not in receiver.got[0][1]


def test_a_refusal_says_why_without_what_is_secret(receiver):
    receiver.says(400, b"no: s3cret is wrong\n" + b"x" * 10_000)
    with pytest.raises(Undelivered) as caught:
        send(CallWebhook(url=receiver.url, secret="s3cret"))
    assert "answered 400" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 2 * MAX_SAID
    assert not caught.value.for_good


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver, status):
    receiver.says(status, Location=f"{receiver.url}/elsewhere")
    with pytest.raises(Undelivered, match="redirects are not followed"):
        send(CallWebhook(url=receiver.url))
    assert len(receiver.got) == 1


def test_who_does_not_listen_any_more_is_not_asked_again(receiver):
    receiver.says(410)
    with pytest.raises(Undelivered) as caught:
        send(CallWebhook(url=receiver.url))
    assert caught.value.for_good


def test_a_receiver_that_does_not_answer_is_not_waited_for(receiver):
    release = threading.Event()
    receiver.answer = lambda handler: release.wait(10)
    with pytest.raises(Undelivered, match=r"no answer within 0\.2 s"):
        send(CallWebhook(url=receiver.url, timeout=0.2))
    release.set()


def test_a_receiver_that_answers_byte_by_byte_is_not_waited_for(receiver):
    release = threading.Event()

    def drip(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not release.wait(0.02):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    receiver.answer = drip
    with pytest.raises(Undelivered, match=r"no answer within 0\.3 s"):
        send(CallWebhook(url=receiver.url, timeout=0.3))
    release.set()


def test_an_answer_without_end_is_not_read(receiver):
    def flood(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 500 Oops\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    receiver.answer = flood
    with pytest.raises(Undelivered, match="answered 500 Oops: x"):
        send(CallWebhook(url=receiver.url, timeout=5))


def test_a_head_without_end_is_not_read(receiver):
    def flood(handler) -> None:
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    receiver.answer = flood
    with pytest.raises(Undelivered, match="no answer"):
        send(CallWebhook(url=receiver.url, timeout=5))


def test_where_nobody_listens_is_said(receiver):
    receiver.close()
    with pytest.raises(Undelivered, match="no answer: ") as caught:
        send(CallWebhook(url=receiver.url))
    assert not caught.value.for_good


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "http:///x"])
def test_other_kinds_of_addresses_are_refused(url):
    with pytest.raises(Undelivered, match="http:// or https://") as caught:
        send(CallWebhook(url=url))
    assert caught.value.for_good
