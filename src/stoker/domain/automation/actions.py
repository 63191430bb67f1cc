"""What an automation does when it fires. Prefect 3's names where it has one.

https://docs.prefect.io/v3/concepts/automations#actions
"""

from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from stoker.domain.automation.hiding import MASK, hidden, secret_texts, was_hidden
from stoker.domain.errors import Invalid

MAX_TEMPLATE = 20_000
"""Characters of a template at the most."""


class RunDeployment(Struct, tag_field="type", tag="run-deployment", kw_only=True):
    """Start a run of a deployment, once for each firing.

    Attributes:
        deployment: ``"flow/name"`` or its id.
        parameters: Over the deployment's own; texts may have placeholders.
        job_variables: Over the deployment's.
        tags: Besides the deployment's.
    """

    deployment: str
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    job_variables: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: list[str] = field(default_factory=list[str])


class CancelFlowRun(Struct, tag_field="type", tag="cancel-flow-run", kw_only=True):
    """Cancel the flow run that the event concerns."""


class PauseWorkPool(Struct, tag_field="type", tag="pause-work-pool", kw_only=True):
    """Pause a work pool; the event's where none is named."""

    pool: str | None = None


class ResumeWorkPool(Struct, tag_field="type", tag="resume-work-pool", kw_only=True):
    """Let a work pool start runs again; the event's where none is named."""

    pool: str | None = None


class PauseWorkQueue(Struct, tag_field="type", tag="pause-work-queue", kw_only=True):
    """Pause a work queue; the event's where none is named."""

    pool: str | None = None
    queue: str | None = None


class ResumeWorkQueue(Struct, tag_field="type", tag="resume-work-queue", kw_only=True):
    """Let a work queue start runs again; the event's where none is named."""

    pool: str | None = None
    queue: str | None = None


class PauseDeployment(Struct, tag_field="type", tag="pause-deployment", kw_only=True):
    """Pause all schedules of a deployment; the event's where none is named."""

    deployment: str | None = None


class ResumeDeployment(Struct, tag_field="type", tag="resume-deployment", kw_only=True):
    """Let all schedules of a deployment fire again; the event's where none is named."""

    deployment: str | None = None


class PauseSchedule(Struct, tag_field="type", tag="pause-schedule", kw_only=True):
    """Pause one schedule, by its name, of a deployment; the event's where none is named."""

    schedule: str
    deployment: str | None = None


class ResumeSchedule(Struct, tag_field="type", tag="resume-schedule", kw_only=True):
    """Let one schedule of a deployment fire again; the event's where none is named."""

    schedule: str
    deployment: str | None = None


class PauseAutomation(Struct, tag_field="type", tag="pause-automation", kw_only=True):
    """Pause an automation; itself where none is named."""

    automation: str | None = None


class ResumeAutomation(Struct, tag_field="type", tag="resume-automation", kw_only=True):
    """Let an automation fire again."""

    automation: str


class CallWebhook(Struct, tag_field="type", tag="call-webhook", kw_only=True):
    """POST JSON to an address, signed.

    Attributes:
        url: ``http://`` or ``https://``.
        secret: Key of the HMAC-SHA256 signature; None for no signature.
        payload: What is sent, with placeholders; None for all that is known.
        headers: Besides the usual ones.
        timeout: Seconds for the whole exchange.
    """

    url: str
    secret: str | None = None
    payload: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    timeout: float = 10.0


class SendNotification(Struct, tag_field="type", tag="send-notification", kw_only=True):
    """Send a message to services that Apprise knows: Slack, email, PagerDuty and others.

    Attributes:
        urls: Their addresses as Apprise writes them, for example ``"slack://…"``.
        subject: With placeholders.
        body: With placeholders.
        timeout: Seconds for all of them together.
    """

    urls: list[str]
    subject: str = "{{ automation.name }}: {{ event.event }}"
    body: str = "{{ summary }}\n{{ link }}"
    timeout: float = 30.0


Internal = (
    RunDeployment
    | CancelFlowRun
    | PauseWorkPool
    | ResumeWorkPool
    | PauseWorkQueue
    | ResumeWorkQueue
    | PauseDeployment
    | ResumeDeployment
    | PauseSchedule
    | ResumeSchedule
    | PauseAutomation
    | ResumeAutomation
)
"""Done in a transaction of the store."""

Action = Internal | CallWebhook | SendNotification


def check_action(place: str, action: Action) -> None:
    """Refuse an action that cannot be done.

    Raises:
        Invalid: Names the field and what is allowed.

    Example:
        >>> check_action("actions[0]", CallWebhook(url="https://example.org/hook"))
    """
    match action:
        case CallWebhook():
            _check_webhook(place, action)
        case SendNotification():
            _check_notification(place, action)
        case RunDeployment():
            if not action.deployment:
                raise Invalid(f"{place}.deployment: the name of a deployment, FLOW/NAME")
            for name in ("parameters", "job_variables"):
                if was_hidden(getattr(action, name)):
                    raise Invalid(f"{place}.{name}: the secrets themselves, and not {MASK}")
        case _:
            pass


def _check_webhook(place: str, action: CallWebhook) -> None:
    check_url(f"{place}.url", action.url)
    if action.secret is not None and (not action.secret or action.secret == MASK):
        raise Invalid(f"{place}.secret: the secret itself, which is not empty; or none")
    for name, value in action.headers.items():
        if not name.replace("-", "").isalnum() or not name.isascii():
            raise Invalid(f"{place}.headers: {name!r} is no header's name")
        if name.lower() in RESERVED or name.lower().startswith("webhook-"):
            raise Invalid(f"{place}.headers: {name} is set by Stoker itself")
        if value == MASK or not value.isprintable() or not value.isascii():
            raise Invalid(f"{place}.headers.{name}: printable ASCII, and not {MASK}")
    if was_hidden(action.payload):
        raise Invalid(f"{place}.payload: the secrets themselves, and not {MASK}")
    _check_timeout(place, action.timeout)


RESERVED = frozenset(
    {"host", "content-length", "content-type", "connection", "transfer-encoding", "user-agent"}
)


def _check_notification(place: str, action: SendNotification) -> None:
    if not 1 <= len(action.urls) <= 20:
        raise Invalid(f"{place}.urls: 1 to 20 addresses")
    for url in action.urls:
        scheme, colon, rest = url.partition("://")
        if not colon or not scheme.isalnum() or not rest or MASK in url:
            raise Invalid(f"{place}.urls: an address as Apprise writes them, for example slack://…")
    for name in ("subject", "body"):
        if len(getattr(action, name)) > MAX_TEMPLATE:
            raise Invalid(f"{place}.{name}: {MAX_TEMPLATE} characters at the most")
    _check_timeout(place, action.timeout)


def _check_timeout(place: str, timeout: float) -> None:
    if not 0 < timeout <= 120:
        raise Invalid(f"{place}.timeout: more than 0, and 120 seconds at the most")


def check_url(place: str, url: str) -> None:
    """Refuse an address that no webhook can have.

    Raises:
        Invalid: Names the field.
    """
    wrong = Invalid(f"{place}: an address that begins with http:// or https:// and a host")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise wrong
    if MASK in url or not url.isascii() or not url.isprintable() or " " in url:
        raise Invalid(f"{place}: printable ASCII without spaces, and not {MASK}")
    if parts.username is not None:
        raise Invalid(f"{place}: without a user and password; a header can carry them")


def masked(action: Action) -> Action:
    """Return an action as it may be shown: without secrets, or what may be one.

    Example:
        >>> masked(CallWebhook(url="https://hooks.example.org/T0/secret", secret="s")).url
        'https://hooks.example.org/****'
    """
    match action:
        case CallWebhook():
            return replace(
                action,
                url=_masked_url(action.url),
                secret=None if action.secret is None else MASK,
                headers=dict.fromkeys(action.headers, MASK),
                payload=hidden(action.payload),
            )
        case SendNotification():
            return replace(action, urls=[_masked_address(url) for url in action.urls])
        case RunDeployment():
            return replace(
                action,
                parameters=hidden(action.parameters),
                job_variables=hidden(action.job_variables),
            )
        case _:
            return action


def secrets_of(action: Action) -> list[str]:
    """Return the texts of an action that must not be shown; longer ones first."""
    match action:
        case CallWebhook():
            rest = action.url.removeprefix(_masked_url(action.url).removesuffix(MASK))
            found = [action.secret or "", *action.headers.values(), rest]
            found += secret_texts(action.payload)
        case RunDeployment():
            found = [*secret_texts(action.parameters), *secret_texts(action.job_variables)]
        case SendNotification():
            found = [url.partition("://")[2] for url in action.urls]
            found += [part for text in found for part in _parts(text)]
        case _:
            found = []
    return sorted({text for text in found if len(text) > 3}, key=len, reverse=True)


def without_secrets(text: str, action: Action) -> str:
    """Return a text, such as an error's, in which an action's secrets are masked."""
    for secret in secrets_of(action):
        text = text.replace(secret, MASK)
    return text


def _masked_url(url: str) -> str:
    parts = urlsplit(url)
    # A webhook's path is often its only secret.
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{MASK}"


def _masked_address(url: str) -> str:
    return f"{url.partition('://')[0]}://{MASK}"


def _parts(text: str) -> list[str]:
    for mark in "/?&=:@":
        text = text.replace(mark, " ")
    return [part for part in text.split() if len(part) > 7]
