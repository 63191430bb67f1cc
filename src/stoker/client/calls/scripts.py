"""What processes say that run flows themselves."""

from stoker.client.calls.calling import Calls, part, with_query
from stoker.domain.requests import AcquireSlots, Slots
from stoker.wire.http import ScriptHello, ScriptSlots


class ScriptCalls(Calls):
    """Part of `stoker.client.http.Api`."""

    def acquire_slots(self, host_id: str, request: AcquireSlots, hold: float) -> Slots:
        """Take slots for a script; the server holds the request for ``hold`` seconds at most."""
        body = ScriptSlots(host_id=host_id, request=request, hold=hold)
        return self._call(Slots, "POST", "/api/slots", body, hold=hold)

    def give_back_slots(self, host_id: str, request_id: str) -> None:
        """Give a script's slots back."""
        self._send("DELETE", with_query(f"/api/slots/{part(request_id)}", [("host_id", host_id)]))

    def script_hello(self, hello: ScriptHello) -> None:
        """Register a script as the host of its own runs."""
        self._send("POST", "/api/scripts", hello, again=True)

    def script_heartbeat(self, host_id: str) -> None:
        """Say that the script is alive."""
        self._send("POST", f"/api/scripts/{part(host_id)}/heartbeat", again=True)

    def script_bye(self, host_id: str) -> None:
        """Say that the script has no run any more and leaves."""
        self._send("DELETE", f"/api/scripts/{part(host_id)}")

    def report(self, frames: list[bytes]) -> None:
        """Send frames, each already encoded as JSON (see `Frame`)."""
        body = b'{"frames":[' + b",".join(frames) + b"]}"
        self._send("POST", "/api/reports", body, again=True)
