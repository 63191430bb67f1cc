"""Imports a project's files from their sources, and records which version of each it read.

Cached bytecode is not used for them: Python takes it as fresh when a source's time of change, in
whole seconds, and size are the same, so that an edit within a second could run old code.
"""

import importlib
import importlib.util
import os
import site
import sys
import sysconfig
import time
from importlib.abc import PathEntryFinder
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import CodeType, ModuleType

from stoker.host.control import FileStamp

SETTLED = 0.05
"""Seconds after which a further change of a file is sure to change its time stamp, too.

Kernels stamp files by a clock that ticks every 1 to 10 ms."""

read: dict[str, FileStamp] = {}
"""Every project file that this process has loaded, by path."""

Stat = os.stat_result


def stamp(path: str) -> FileStamp:
    """Return a file's present stamp."""
    try:
        return _stamp(path, os.stat(path))
    except OSError:
        return FileStamp(path, 0, 0, 0, 0)


def _stamp(path: str, stat: Stat) -> FileStamp:
    return FileStamp(path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def read_settled(path: str) -> bytes:
    """Read a project file in one state, and record which.

    A file that was changed a moment ago is read a moment later: a second change might not show
    in its stamp otherwise.
    """
    while True:
        with open(path, "rb") as file:
            before = _stamp(path, os.fstat(file.fileno()))
            read[path] = before
            age = time.time() - max(before.mtime_ns, before.ctime_ns) / 1e9
            if 0 <= age < SETTLED:
                time.sleep(SETTLED - age)
            elif _stamp(path, os.fstat(file.fileno())) == before:
                data = file.read()
                if _stamp(path, os.fstat(file.fileno())) == before:
                    return data


class ProjectLoader(SourceFileLoader):
    """Loads one project file from its source."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile what the file holds now."""
        path = os.path.abspath(self.get_filename(fullname))
        return self.source_to_code(read_settled(path), path)


def library_folders() -> tuple[str, ...]:
    """Return the folders whose files are no project's: installed packages, Python, Stoker."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {sysconfig.get_path(name) for name in names}
    paths.update(site.getsitepackages())
    paths.add(site.getusersitepackages())
    paths.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(os.path.realpath(path) + os.sep for path in paths)


def install(project: str) -> None:
    """From now on, load project files through `ProjectLoader`.

    Args:
        project: The project folder. Files elsewhere count too, unless they are libraries.
    """
    project = os.path.realpath(project) + os.sep
    libraries = tuple(path for path in library_folders() if not project.startswith(path))
    finder = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (ProjectLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )

    def hook(path: str) -> PathEntryFinder:
        folder = os.path.realpath(path) + os.sep
        if folder.startswith(libraries) or "site-packages" in folder.removeprefix(project):
            raise ImportError(f"{path} holds libraries", path=path)
        return finder(path)

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()


def seek_in(path: str, file: str) -> None:
    """From now on, find modules in the project folder first, then in the file's own folder.

    Args:
        path: The project folder.
        file: The file, relative to it.
    """
    folders = [path, os.path.dirname(os.path.join(path, file))]
    if folders[1] == os.path.normpath(path):
        del folders[1]
    sys.path[:] = folders + [folder for folder in sys.path if folder not in folders]


def load(path: str, file: str) -> ModuleType:
    """Import a project's file, under the dotted name that its place in the project gives.

    Where that is no name, or one that is taken, it gets a name of its own.

    Args:
        path: The project folder.
        file: The file, relative to it.
    """
    location = os.path.join(path, file)
    read[location] = stamp(location)
    name = os.path.splitext(os.path.normpath(file))[0].replace(os.sep, ".")
    first = name.partition(".")[0]
    parts = name.split(".")
    if all(part.isidentifier() for part in parts) and first not in sys.stdlib_module_names:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin and os.path.realpath(spec.origin) == os.path.realpath(location):
            return importlib.import_module(name)
    name = "flow_file_" + "".join(c if c.isalnum() else "_" for c in name)
    spec = importlib.util.spec_from_file_location(
        name, location, loader=ProjectLoader(name, location)
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{location} is no Python file", path=location)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
