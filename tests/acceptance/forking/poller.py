"""A helper of a user's that starts a thread."""

import threading

TICKS: list[int] = []


def poll() -> None:
    while True:
        TICKS.append(1)
        WAKE.wait(0.01)


WAKE = threading.Event()
threading.Thread(target=poll, name="poller", daemon=True).start()
