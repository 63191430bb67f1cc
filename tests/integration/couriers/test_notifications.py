"""Notifications through Apprise, to its ``json://`` service on loopback."""

import asyncio
import json
import threading

import pytest

from stoker.couriers import notifications
from stoker.couriers.courier import OutsideCourier
from stoker.domain.automation.actions import SendNotification
from stoker.ports.courier import Undelivered

# Apprise's own, at its first import of its plugins.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def send(action: SendNotification) -> str:
    return asyncio.run(OutsideCourier("stoker").notify(action, "Subject", "Body\nof two lines"))


def test_a_notification_arrives(receiver):
    action = SendNotification(urls=[f"json://127.0.0.1:{receiver.port}/in"])
    assert send(action) == "sent to 1"
    ((path, _, body),) = receiver.got
    assert path.rstrip("/") == "/in"
    said = json.loads(body)
    assert (said["title"], said["message"]) == ("Subject", "Body\nof two lines")


def test_a_refusal_says_why_without_the_address(receiver):
    receiver.says(500)
    action = SendNotification(urls=[f"json://ada:swordfish@127.0.0.1:{receiver.port}/hidden-path"])
    with pytest.raises(Undelivered, match="json: ") as caught:
        send(action)
    assert "swordfish" not in str(caught.value)
    assert "hidden-path" not in str(caught.value)


def test_all_addresses_are_tried_and_each_failure_said(receiver):
    action = SendNotification(
        urls=["nonsense://x", f"json://127.0.0.1:{receiver.port}", "json://127.0.0.1:1"]
    )
    with pytest.raises(Undelivered, match=r"nonsense: Apprise does not know.*json: "):
        send(action)
    assert len(receiver.got) == 1


def test_a_service_that_does_not_answer_is_not_waited_for(receiver):
    release = threading.Event()
    receiver.answer = lambda handler: release.wait(10)
    action = SendNotification(urls=[f"json://127.0.0.1:{receiver.port}"], timeout=0.5)

    async def main() -> None:
        with pytest.raises(Undelivered, match=r"not sent within 0\.5 s"):
            await OutsideCourier("stoker").notify(action, "s", "b")
        release.set()

    asyncio.run(main())


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(notifications, "find_spec", lambda name: None)
    with pytest.raises(Undelivered, match=r"stoker\[notifications\]") as caught:
        send(SendNotification(urls=["json://127.0.0.1:1"]))
    assert caught.value.for_good
