"""Base job templates: what a pool sets, what a deployment and a run may override.

The shape is Prefect 3's: ``variables`` (JSON Schema) and ``job_configuration`` with
``{{ placeholders }}``. https://docs.prefect.io/v3/concepts/work-pools#base-job-template
"""

import hashlib
import re
from typing import Any, cast

import msgspec

from stoker.domain.deployments import Code, Deployment
from stoker.domain.environment import text_values
from stoker.domain.errors import Invalid
from stoker.domain.limits import RUN_KEYS, VARIABLES, limits_of
from stoker.domain.pools import WorkPool

Json = dict[str, Any]

PLACEHOLDER = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")

CODE_KEYS = frozenset({"env", "working_dir", "python", "own_user"})
"""Parts of a job configuration that belong to the code."""

PROCESS_TEMPLATE: Json = {
    "variables": {
        "type": "object",
        "properties": {
            "env": {
                "type": "object",
                "title": "Environment variables",
                "description": "Set before the code is imported; null: not set at all.",
                "default": {},
                "additionalProperties": {"type": ["string", "null"]},
            },
            "working_dir": {
                "type": "string",
                "title": "Working directory",
                "description": "Where runs start; the project folder by default.",
                "default": "",
            },
            "python": {
                "type": "string",
                "title": "Python interpreter",
                "description": "Runs the code; the host's own interpreter by default.",
                "default": "",
            },
            "own_user": {
                "type": "boolean",
                "title": "User id of its own",
                "description": "Each run has a user id of its own, where its host runs as root.",
                "default": True,
            },
            **VARIABLES,
        },
    },
    "job_configuration": {
        "env": "{{ env }}",
        "working_dir": "{{ working_dir }}",
        "python": "{{ python }}",
        "own_user": "{{ own_user }}",
        **{name: f"{{{{ {name} }}}}" for name in VARIABLES},
    },
}

DEFAULT_TEMPLATES: dict[str, Json] = {"process": PROCESS_TEMPLATE}
"""The default base job template of each pool type."""


def resolve(template: Json, job_variables: Json) -> Json:
    """Fill a template's job configuration: its defaults, overridden by ``job_variables``.

    ``env`` merges, where null stands for a variable that is not set; everything else replaces.

    Raises:
        Invalid: ``job_variables`` names a variable that the template does not have, or gives it
            a value of another type; or the template is none; or no process can have the
            environment, interpreter, folder or limits that come of it.

    Example:
        >>> resolve(PROCESS_TEMPLATE, {"env": {"A": "1"}})["env"]
        {'A': '1'}
    """
    properties = _properties(template)
    unknown = sorted(job_variables.keys() - properties.keys())
    if unknown:
        raise Invalid(
            f"the pool's base job template has no variable {', '.join(map(repr, unknown))}; "
            f"it has: {', '.join(properties) or 'none'}"
        )
    values: Json = {name: schema.get("default") for name, schema in properties.items()}
    for name, value in job_variables.items():
        _check_type(name, value, properties[name])
        values[name] = value
        if name == "env":
            # What a run sets it gets, whatever the template makes of it.
            _check_env(value)
            values[name] = {**(properties[name].get("default") or {}), **value}
    configuration = cast(Json, _fill(template.get("job_configuration", {}), values))
    _check_code(configuration)
    limits_of(configuration)
    return configuration


def infrastructure_of(configuration: Json) -> Json:
    """Return the part of a job configuration that makes the lane: what hosts are launched with."""
    others = CODE_KEYS | RUN_KEYS
    return {name: value for name, value in configuration.items() if name not in others}


def with_defaults(template: Json, defaults: Json) -> Json:
    """Return a template whose variables have other defaults.

    Raises:
        Invalid: It has no such variable, or of another type.

    Example:
        >>> changed = with_defaults(PROCESS_TEMPLATE, {"max_memory": 512})
        >>> resolve(changed, {})["max_memory"]
        512
    """
    resolve(template, defaults)
    properties = {
        name: {**schema, "default": defaults[name]} if name in defaults else schema
        for name, schema in _properties(template).items()
    }
    return {**template, "variables": {**template["variables"], "properties": properties}}


def changed_defaults(kind: str, template: Json) -> Json:
    """Return the defaults of a template's variables that are not those of the pool type's own.

    Example:
        >>> changed_defaults("process", with_defaults(PROCESS_TEMPLATE, {"max_memory": 512}))
        {'max_memory': 512}
    """
    usual = _properties(DEFAULT_TEMPLATES.get(kind, {}))
    return {
        name: schema.get("default")
        for name, schema in _properties(template).items()
        if schema.get("default") != usual.get(name, {}).get("default")
    }


class _Variables(msgspec.Struct, frozen=True):
    properties: dict[str, Json] = msgspec.field(default_factory=dict[str, Json])


class _Template(msgspec.Struct, frozen=True):
    variables: _Variables = _Variables()
    job_configuration: Json = msgspec.field(default_factory=dict[str, Any])


def _properties(template: Json) -> dict[str, Json]:
    try:
        shape = msgspec.convert(template, _Template)
    except msgspec.ValidationError as error:
        raise Invalid(f"this is no base job template: {error}") from None
    return shape.variables.properties


TYPES: dict[object, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
"""The types of JSON Schema. https://json-schema.org/understanding-json-schema/reference/type"""


def _check_type(name: str, value: object, schema: Json) -> None:
    wanted = "object" if name == "env" else schema.get("type")
    types = TYPES.get(wanted) if isinstance(wanted, str) else None
    if types is None:
        return
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise Invalid(f"the variable {name!r} must be of type {wanted}, not {value!r}")


def _check_code(configuration: Json) -> None:
    """Refuse what ``execve`` would, where whoever wrote it is told."""
    env: object = configuration.get("env")
    if env is not None and not isinstance(env, dict):
        raise Invalid(f"env must be of type object, not {env!r}")
    _check_env(cast(Json | None, env))
    for key in ("python", "working_dir"):
        if "\0" in str(configuration.get(key) or ""):
            raise Invalid(f"{key} has a NUL in it")


def _check_env(env: Json | None) -> None:
    for name, value in (env or {}).items():
        if not name or "=" in name or "\0" in name:
            raise Invalid(
                f"{name!r} cannot name an environment variable: it must have a name without "
                "'=' and NUL"
            )
        if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
            raise Invalid(
                f"the environment variable {name!r} must be text, a number, or null for none at "
                f"all, not {value!r}"
            )
        if "\0" in str(value):
            raise Invalid(f"the environment variable {name!r} has a NUL in its value")


def _fill(part: object, values: Json) -> object:
    if isinstance(part, dict):
        items = cast(Json, part).items()
        return {key: _fill(value, values) for key, value in items}
    if isinstance(part, list):
        return [_fill(value, values) for value in cast(list[object], part)]
    if isinstance(part, str):
        whole = PLACEHOLDER.fullmatch(part.strip())
        if whole:
            return values.get(whole[1])
        return PLACEHOLDER.sub(lambda found: str(values.get(found[1], "")), part)
    return part


def lane_of(pool: WorkPool, configuration: Json, isolation: str = "fork") -> str:
    """Return the lane key: a content hash of the infrastructure, and of what is shared there."""
    infrastructure = infrastructure_of(configuration)
    shared = [] if isolation == "fork" else [isolation]
    text = msgspec.json.encode([pool.type, infrastructure, *shared], order="deterministic")
    return hashlib.sha256(text).hexdigest()[:16]


def code_of(deployment: Deployment, configuration: Json) -> Code:
    """Return what a zygote imports for a deployment."""
    return Code(
        path=deployment.path,
        file=deployment.entrypoint.rpartition(":")[0],
        env=text_values(configuration.get("env")),
        python=configuration.get("python") or "",
        working_dir=configuration.get("working_dir") or "",
        own_user=configuration.get("own_user") is not False,
    )
