"""How a program is told to stop: in order by the first signal, at once by the second."""

import asyncio
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """What signals have asked for so far.

    Attributes:
        wanted: Set by the first one.
        at_once: Set by the second one.
    """

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.at_once = asyncio.Event()

    def ask(self) -> None:
        """Stop; at the second call at once."""
        (self.at_once if self.wanted.is_set() else self.wanted).set()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the first signal."""
        # Not `asyncio.wait_for`: it can lose a cancellation that comes together with the signal.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wanted.wait()

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """Listen to Ctrl-C, SIGTERM and the end of the terminal within the block.

        Raises:
            RuntimeError: This is not the main thread, which alone hears signals.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "this ends by a signal, which the main thread alone hears: call it there"
            )
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in SIGNALS}
        # Under nohup the end of the terminal is to be ignored.
        if before[signal.SIGHUP] is signal.SIG_IGN:
            del before[signal.SIGHUP]
        for number in before:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                if handler is not None:
                    signal.signal(number, handler)
