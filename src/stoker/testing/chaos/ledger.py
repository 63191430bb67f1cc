"""Reading the ledger that the flows write."""

from pathlib import Path

import msgspec

from stoker.testing.chaos.history import Entry

_decode = msgspec.json.Decoder(Entry).decode


class LedgerReader:
    """Reads a ledger on and on.

    Args:
        path: The file.

    Attributes:
        entries: All so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.entries: list[Entry] = []
        self._executing: dict[tuple[int, int], Entry] = {}

    def read(self) -> None:
        """Read what is new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        for line in data[:whole].splitlines():
            entry = _decode(line)
            self.entries.append(entry)
            process = entry.pid, entry.started
            if entry.what in ("end", "broken off"):
                self._executing.pop(process, None)
            elif entry.what == "start":
                self._executing[process] = entry

    def executing(self) -> dict[int, Entry]:
        """By pid, the starts of the calls that have not ended, as far as the ledger says."""
        return {pid: entry for (pid, _), entry in self._executing.items()}

    @property
    def processes(self) -> set[tuple[int, int]]:
        """Pid and start of every process that has written."""
        return {(entry.pid, entry.started) for entry in self.entries}
