"""Settings: ``STOKER_*`` environment, then ``stoker.toml`` or ``pyproject.toml``, then defaults.

The fields of `Settings` are the one table of what can be set: type, default, what is allowed
and what it is for. ``stoker config view`` and the settings page of the docs are made from it.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct

from stoker.domain.addresses import ADDRESSES, addresses_of
from stoker.domain.database_urls import masked
from stoker.domain.errors import Invalid


def _allowed(text: str, **limits: Any) -> Meta:
    return Meta(extra={"allowed": text}, **limits)


def _doc(text: str) -> Meta:
    return Meta(description=text)


Folder = Annotated[Path, _allowed("a folder")]
Urls = Annotated[
    str,
    _allowed("an address like http://127.0.0.1:4200, or several with commas", pattern=ADDRESSES),
]
Url = Annotated[
    str, _allowed("an address like http://127.0.0.1:4200", pattern=r"^https?://[^/\s]+(/.*)?$")
]
Text = Annotated[str, _allowed("text", min_length=1)]
DatabaseUrl = Annotated[
    str,
    _allowed(
        "empty, sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        pattern=r"^(|sqlite:///.+|postgres(ql)?://.*)$",
    ),
]
Port = Annotated[int, _allowed("a port, 0 to 65535 (0: any free one)", ge=0, le=65535)]
Seconds = Annotated[float, _allowed("a number of seconds above 0", gt=0)]
Megabytes = Annotated[float, _allowed("a number of megabytes above 0", gt=0)]
Days = Annotated[float, _allowed("a number of days above 0, or none", gt=0)]
LogFormat = Literal["text", "json"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Synchronous = Literal["FULL", "NORMAL", "OFF"]


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be set, each with its default.

    Each is set by the environment variable ``STOKER_`` and its name in capitals, or under its
    name in ``stoker.toml`` or in ``[tool.stoker]`` of ``pyproject.toml``.
    """

    home: Annotated[
        Folder,
        _doc("Folder of all state: database, results, spools, lock file."),
    ] = Path("~/.stoker")
    api_url: Annotated[
        Urls | None,
        _doc("The server to use, or several, comma separated; by default the one on this home."),
    ] = None
    api_key: Annotated[
        Text | None,
        _doc("The key that the server asks for; it must have one to bind beyond loopback."),
    ] = None
    database_url: Annotated[
        DatabaseUrl,
        _doc(
            "The server's database: empty for a SQLite file in the home, sqlite:///PATH, or "
            "postgresql:// with any option of libpq."
        ),
    ] = ""
    ui_url: Annotated[
        Url | None,
        _doc("Where people see runs; links in notifications lead there, else into the API."),
    ] = None
    server_host: Annotated[Text, _doc("Address that the server binds.")] = "127.0.0.1"
    server_port: Annotated[Port, _doc("Port that the server binds.")] = 4200
    log_level: Annotated[
        Level, _allowed("DEBUG, INFO, WARNING, ERROR or CRITICAL"), _doc("Least level logged.")
    ] = "INFO"
    log_format: Annotated[
        LogFormat,
        _allowed("text or json"),
        _doc("How server, worker and hosts write their logs; json is one object a line."),
    ] = "text"
    retention_runs: Annotated[
        Days | None,
        _doc("Days after their end when runs are deleted, with their logs; none keeps them."),
    ] = 90.0
    retention_logs: Annotated[
        Days | None, _doc("Days after which log lines are deleted; none keeps them.")
    ] = 30.0
    retention_events: Annotated[
        Days | None, _doc("Days after which events are deleted; none keeps them.")
    ] = 30.0
    heartbeat: Annotated[
        Seconds, _doc("Seconds between two heartbeats of a host, worker or script.")
    ] = 5.0
    lease: Annotated[
        Seconds, _doc("Seconds without a heartbeat after which a host is unreachable.")
    ] = 30.0
    sweep: Annotated[
        Seconds, _doc("Seconds between two looks of the server for lapsed leases.")
    ] = 5.0
    launch_timeout: Annotated[
        Seconds, _doc("Seconds that a launched host may take to register.")
    ] = 60.0
    ack_timeout: Annotated[
        Seconds, _doc("Seconds that a host may take to acknowledge a run before it is asked.")
    ] = 5.0
    spool_limit: Annotated[
        Megabytes,
        _doc("MB of reports that a host keeps on disk with no server; above it its runs wait."),
    ] = 256.0
    shutdown_grace: Annotated[
        Seconds, _doc("Seconds that runs get to end at a shutdown of their host.")
    ] = 10.0
    cancel_grace: Annotated[
        Seconds, _doc("Seconds that a run gets to end when it is cancelled or suspended.")
    ] = 3.0
    late_after: Annotated[
        Seconds, _doc("Seconds that a run waits for a slot before it is Late.")
    ] = 15.0
    request_timeout: Annotated[
        Seconds, _doc("Seconds that a client waits for the server's answer to a request.")
    ] = 30.0
    sqlite_synchronous: Annotated[
        Synchronous,
        _allowed("FULL, NORMAL or OFF"),
        _doc("How SQLite syncs a commit; below FULL a power cut may lose the last ones."),
    ] = "FULL"


class Field(Struct, frozen=True, kw_only=True):
    """One row of the table of settings.

    Attributes:
        name: Its name in files and in `Settings`.
        variable: Its environment variable.
        default: Its default.
        allowed: Which values it takes.
        doc: What it is for.
    """

    name: str
    variable: str
    default: Any
    allowed: str
    doc: str


DEFAULT = "default"
"""Source of a setting that nobody set."""

RETENTION = frozenset({"retention_runs", "retention_logs", "retention_events"})
"""Settings that may be set to ``none``."""

SECRET = frozenset({"api_key", "database_url"})
"""Settings that hold a secret; see `shown`."""

HIDDEN = "********"
"""What is shown in place of a secret."""


def shown(name: str, value: object) -> str:
    """Return a setting as it may be shown: a key never, a URL without its password.

    Example:
        >>> shown("database_url", "postgresql://me:secret@db/stoker")
        'postgresql://me:***@db/stoker'
    """
    if name == "database_url":
        return masked(str(value))
    return HIDDEN if name in SECRET and value else str(value)


def fields() -> list[Field]:
    """Return the table of settings, for the CLI and the docs.

    Example:
        >>> fields()[0].variable
        'STOKER_HOME'
    """
    rows: list[Field] = []
    for known in msgspec.structs.fields(Settings):
        metas = _metas(Settings.__annotations__[known.name])
        allowed = [meta.extra["allowed"] for meta in metas if meta.extra]
        docs = [meta.description for meta in metas if meta.description]
        rows.append(
            Field(
                name=known.name,
                variable=f"STOKER_{known.name.upper()}",
                default=known.default,
                allowed=allowed[0],
                doc=docs[0],
            )
        )
    return rows


def _metas(hint: Any) -> list[Meta]:
    """All `Meta` of a type, those inside of an optional one included."""
    found = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta)]
    for inner in (getattr(hint, "__origin__", None), *getattr(hint, "__args__", ())):
        if inner is not None and inner is not hint:
            found += _metas(inner)
    return found


@cache
def load() -> Settings:
    """Return the settings; read once per process (``load.cache_clear()`` forgets them).

    Raises:
        Invalid: A value is wrong or a key unknown; says where and what is allowed.

    Example:
        >>> load().heartbeat
        5.0
    """
    return load_with_sources()[0]


def load_with_sources() -> tuple[Settings, dict[str, str]]:
    """Read the settings afresh; the second dictionary says where each came from.

    A source is an environment variable's name, a file's path, or ``"default"``. An empty
    variable counts as not set.

    Raises:
        Invalid: As `load`.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    file, table = _read_file()
    base = file.parent if file else Path()
    names = Settings.__struct_fields__
    for name in names:
        variable = f"STOKER_{name.upper()}"
        text = os.environ.get(variable)
        if text:
            values[name] = _convert(name, text, variable, Path())
            sources[name] = variable
        elif name in table:
            values[name] = _convert(name, table[name], f"{name} in {file}", base)
            sources[name] = str(file)
        else:
            sources[name] = DEFAULT
    unknown = sorted(table.keys() - set(names))
    if unknown:
        raise Invalid(
            f"{file} sets {', '.join(map(repr, unknown))}, which Stoker does not know; "
            f"it knows: {', '.join(names)}"
        )
    if "home" not in values:
        values["home"] = _convert("home", "~/.stoker", "STOKER_HOME", Path())
    settings = Settings(**cast(Any, values))
    if settings.lease <= settings.heartbeat:
        raise Invalid(
            f"lease ({settings.lease:g} s, {sources['lease']}) must be longer than heartbeat "
            f"({settings.heartbeat:g} s, {sources['heartbeat']})"
        )
    return settings, sources


def _convert(name: str, value: object, place: str, base: Path) -> object:
    """Check one value; a relative folder is taken from ``base``."""
    if isinstance(value, str):
        value = value.strip()
        if name in {"log_level", "sqlite_synchronous"}:
            value = value.upper()
        elif name == "log_format":
            value = value.lower()
        elif name in RETENTION and value.lower() == "none":
            return None
        elif name == "api_url":
            value = ",".join(addresses_of(value))
    try:
        if name == "home":
            text = msgspec.convert(value, Text)
            return (base / Path(text).expanduser()).absolute()
        strict = not isinstance(value, str)
        return msgspec.convert(value, Settings.__annotations__[name], strict=strict)
    except (msgspec.ValidationError, RuntimeError):
        allowed = next(field.allowed for field in fields() if field.name == name)
        given = "the value given" if name in SECRET else repr(value)
        raise Invalid(f"{place} must be {allowed}, not {given}") from None


def _read_file() -> tuple[Path | None, dict[str, Any]]:
    """Read the nearest file with settings, from the working directory up to a project root."""
    for folder in _project_folders():
        file = folder / "stoker.toml"
        text = _text_of(file)
        if text is not None:
            return file, _parse(file, text)
        file = folder / "pyproject.toml"
        text = _text_of(file)
        # Every way to write the table holds both words; the rest need no parser.
        if text is not None and "stoker" in text and "tool" in text:
            table = _parse(file, text).get("tool", {}).get("stoker")
            if table is not None:
                if not isinstance(table, dict):
                    raise Invalid(f"tool.stoker in {file} must be a table of settings")
                return file, cast(dict[str, Any], table)
    return None, {}


def _project_folders() -> list[Path]:
    """The working directory and its parents up to the project's root.

    That is the nearest with a ``.git``, else with a ``pyproject.toml``. Without one the parents
    do not count: a file in ``/tmp`` is nobody's project.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return []
    folders = [here, *here.parents]
    for marker in (".git", "pyproject.toml"):
        for index, folder in enumerate(folders):
            if os.path.exists(folder / marker):
                return folders[: index + 1]
    return [here]


def _text_of(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}") from None


def _parse(file: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{file} is not valid TOML: {error}") from None
