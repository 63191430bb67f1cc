"""Actions: what is refused, and that no secret is shown."""

import msgspec
import pytest

from stoker.domain.automation.actions import (
    MASK,
    Action,
    CallWebhook,
    PauseWorkPool,
    RunDeployment,
    SendNotification,
    check_action,
    masked,
    without_secrets,
)
from stoker.domain.errors import Invalid

HOOK = CallWebhook(
    url="https://hooks.example.org/T000/hidden?token=veiled",
    secret="whsec_s3cret",
    headers={"Authorization": "Bearer covert"},
    payload={"text": "plain", "auth": [{"api_key": "undercover"}], "tokens": ["masked one", 12345]},
)
RUN = RunDeployment(
    deployment="etl/nightly",
    parameters={"db": {"password": "unspoken", "host": "db.example.org"}},
    job_variables={"env": {"PGPASSWORD": "stealthy", "MY_TOKEN": None}},
)
SECRETS = (
    *("hidden", "veiled", "s3cret", "covert", "swordfish"),
    *("undercover", "masked one", "12345", "unspoken", "stealthy"),
)
NOTICE = SendNotification(urls=["mailtos://ada:swordfish@example.org?to=ops@example.org"])


@pytest.mark.parametrize("action", [HOOK, NOTICE, RUN])
def test_no_secret_is_shown(action):
    for shown in (
        msgspec.json.encode(masked(action)).decode(),
        without_secrets(f"it failed: {msgspec.json.encode(action).decode()}", action),
    ):
        for secret in SECRETS:
            assert secret not in shown
        assert MASK in shown


def test_where_it_goes_is_shown():
    hook, notice = masked(HOOK), masked(NOTICE)
    assert isinstance(hook, CallWebhook)
    assert hook.url == "https://hooks.example.org/****"
    assert isinstance(notice, SendNotification)
    assert notice.urls == ["mailtos://****"]
    assert hook.payload == {"text": "plain", "auth": [{"api_key": MASK}], "tokens": MASK}
    run = masked(RUN)
    assert isinstance(run, RunDeployment)
    assert run.parameters["db"] == {"password": MASK, "host": "db.example.org"}
    assert run.job_variables["env"] == {"PGPASSWORD": MASK, "MY_TOKEN": None}


@pytest.mark.parametrize(
    ("field", "action"),
    [
        ("url", CallWebhook(url="ftp://example.org/")),
        ("url", CallWebhook(url="file:///etc/passwd")),
        ("url", CallWebhook(url="https://")),
        ("url", CallWebhook(url="https://a:99999/")),
        ("url", CallWebhook(url="https://user:pass@example.org/")),
        ("url", CallWebhook(url="https://example.org/a b")),
        ("url", CallWebhook(url="https://example.org/\r\nX: y")),
        ("url", CallWebhook(url="https://example.org/****")),
        ("secret", CallWebhook(url="https://example.org/", secret="")),
        ("secret", CallWebhook(url="https://example.org/", secret=MASK)),
        ("headers", CallWebhook(url="https://example.org/", headers={"a b": "c"})),
        ("headers", CallWebhook(url="https://example.org/", headers={"Host": "c"})),
        ("headers", CallWebhook(url="https://example.org/", headers={"Webhook-Id": "c"})),
        ("headers.X", CallWebhook(url="https://example.org/", headers={"X": "a\r\nY: b"})),
        ("headers.X", CallWebhook(url="https://example.org/", headers={"X": MASK})),
        ("payload", CallWebhook(url="https://example.org/", payload=[{"token": MASK}])),
        ("parameters", RunDeployment(deployment="f/d", parameters={"password": MASK})),
        ("job_variables", RunDeployment(deployment="f/d", job_variables={"a": {"secret": MASK}})),
        ("timeout", CallWebhook(url="https://example.org/", timeout=0)),
        ("timeout", CallWebhook(url="https://example.org/", timeout=121)),
        ("urls", SendNotification(urls=[])),
        ("urls", SendNotification(urls=["nonsense"])),
        ("urls", SendNotification(urls=["slack://****"])),
        ("body", SendNotification(urls=["json://a"], body="x" * 20_001)),
        ("deployment", RunDeployment(deployment="")),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_field(field, action):
    with pytest.raises(Invalid, match=rf"actions\[0\]\.{field}: "):
        check_action("actions[0]", action)


def test_an_action_is_told_by_its_type():
    found = msgspec.convert({"type": "pause-work-pool", "pool": "p"}, Action)
    assert found == PauseWorkPool(pool="p")
