"""What of a Python environment changes when packages are installed, upgraded or removed in it."""

import os
import sys

from stoker.host.code import loader

PACKAGES = ("site-packages", "dist-packages")
"""Names of folders of installed packages."""
PATHS = (".pth", ".egg-link")
"""Files there that name other folders, and may be edited in place."""


def note_environment() -> None:
    """Record its state now, beside the project files, with which the agent compares it later.

    Installers add and remove an entry in the folder of packages for each version. Not seen is a
    file that somebody edits inside of an installed package.
    """
    found = {sys.executable}
    for folder in sys.path:
        if os.path.basename(folder) in PACKAGES and os.path.isdir(folder):
            found.add(folder)
            names = [name for name in os.listdir(folder) if name.endswith(PATHS)]
            found.update(os.path.join(folder, name) for name in names)
    for path in found:
        loader.read[path] = loader.stamp(path)
