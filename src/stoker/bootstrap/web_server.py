"""The HTTP server that the API runs in."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from stoker.api.app import create_app
from stoker.api.context import Context
from stoker.api.timing import Timed
from stoker.settings import Settings


def web_server(context: Context, settings: Settings) -> "WebServer":
    """Make the HTTP server of a server's endpoints."""
    app = create_app(context, settings.api_key)
    return WebServer(
        uvicorn.Config(
            Timed(app, context.metrics.answered),
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=256 * 1024 * 1024,
            ws_per_message_deflate=False,
            lifespan="on",
            access_log=False,
            log_level=settings.log_level.lower(),
            log_config=None,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=75,
        )
    )


class WebServer(uvicorn.Server):
    """uvicorn's server, which ends on a signal without passing it on.

    Its own raises the signal once more at the end: the store would never be closed.
    """

    def stop(self) -> None:
        """Finish what is under way; at the second call stop at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the app in any case: cancelled, it would write a traceback into the log."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the loop."""
        yield
