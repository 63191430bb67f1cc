"""The slots of concurrency limits that a script has or waits for, as its backend keeps them."""

from stoker.client.calls.runs import WINDOW
from stoker.client.http import Api
from stoker.domain.requests import AcquireSlots, Slots


class ScriptClaims:
    """Requests for slots that are open, and those that are to be given back.

    Its callers see to it that only one of them at a time changes it.

    Args:
        api: The server.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: set[str] = set()
        self._over: list[str] = []

    def __bool__(self) -> bool:
        """Whether the server has to hear that the script is alive."""
        return bool(self._open)

    @property
    def returning(self) -> bool:
        """Whether something is to be given back."""
        return bool(self._over)

    def begin(self, request: AcquireSlots) -> None:
        """A request is about to be made."""
        self._open.add(request.id)

    def ask(self, host_id: str, request: AcquireSlots, left: float) -> Slots:
        """Make a request, held by the server for as long as it may; may be called many times.

        Raises:
            StokerError: As the server says.
        """
        return self._api.acquire_slots(host_id, request, min(WINDOW, left))

    def settle(self, request: AcquireSlots, slots: Slots | None) -> None:
        """A request was answered; None for an error."""
        if slots is None or not (slots.granted and slots.limited and not request.decays):
            self._open.discard(request.id)

    def give_back(self, request_id: str) -> None:
        """Note what is to be given back."""
        self._open.discard(request_id)
        self._over.append(request_id)

    def send(self, host_id: str) -> None:
        """Give back what is noted.

        Raises:
            StokerError: The server cannot be reached now; the rest is kept.
        """
        while self._over:
            self._api.give_back_slots(host_id, self._over[0])
            del self._over[0]
