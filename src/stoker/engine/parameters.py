"""Parameters of flows: bound to the signature, validated by pydantic, and written down."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from stoker.domain.deployments import Parameter
from stoker.domain.errors import Invalid

SHOWN_LIMIT = 64 * 1024
"""Bytes of JSON above which a parameter's value is only described in the run's record."""

_ATOMS = frozenset({str, int, float, bool, type(None)})
_KINDS = inspect.Parameter

Check = Callable[[Any], Any]


class ParameterError(Invalid):
    """A flow was called with the wrong parameters; the message names each."""


class Signature:
    """The parameters of one user's function.

    ``pydantic`` is loaded when the first value is validated, and only where the function has
    a parameter with a type hint.
    """

    __slots__ = ("_checks", "_function", "_signature", "name")

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function = function
        self.name = name
        self._signature: inspect.Signature | None = None
        self._checks: dict[str, Check] | None = None

    @property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        if self._signature is None:
            self._signature = inspect.signature(self._function)
        return self._signature

    @property
    def takes_nothing(self) -> bool:
        """Whether the function has no parameters."""
        return not self.signature.parameters

    @property
    def has_hints(self) -> bool:
        """Whether there is anything to validate."""
        return any(
            parameter.annotation is not _KINDS.empty
            for parameter in self.signature.parameters.values()
        )

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters by name, with their defaults.

        Raises:
            ParameterError: One is missing, unknown, or given twice.
        """
        if not args and not kwargs and self.takes_nothing:
            return {}
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise self._refused(error) from None
        bound.apply_defaults()
        return bound.arguments

    def refusal(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ParameterError | None:
        """Return the error that a call with these arguments is; None where they fit.

        Of a decorated function it is the decorator's own function that takes them.
        """
        function = self._function
        try:
            if hasattr(function, "__wrapped__"):
                inspect.signature(function, follow_wrapped=False).bind(*args, **kwargs)
            else:
                self.signature.bind(*args, **kwargs)
        except TypeError as error:
            return self._refused(error)
        except ValueError:
            # Some functions in C have no signature to look at.
            return None
        return None

    def _refused(self, error: TypeError) -> ParameterError:
        takes = ", ".join(self.signature.parameters) or "none"
        return ParameterError(f"{self.name}: {error}; it takes: {takes}")

    def arguments(self, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return bound parameters as positional and keyword arguments."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            if name not in parameters:
                continue
            value = parameters[name]
            if parameter.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD):
                args.append(value)
            elif parameter.kind is _KINDS.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is _KINDS.VAR_KEYWORD:
                kwargs.update(value)
            else:
                kwargs[name] = value
        return tuple(args), kwargs

    def prepare(self) -> None:
        """Build the validators now, so that the first call need not."""
        if self._checks is None:
            self._checks = _checks(self._function, self.signature) if self.has_hints else {}

    def validate(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters as their type hints say, converted where that loses nothing.

        Raises:
            ParameterError: A value does not fit its type hint; all such are named.
        """
        if not parameters:
            return parameters
        self.prepare()
        checks = self._checks
        if not checks:
            return parameters
        from pydantic import ValidationError

        valid: dict[str, Any] = {}
        problems: list[str] = []
        for name, value in parameters.items():
            check = checks.get(name)
            if check is None or (value is None and self.signature.parameters[name].default is None):
                # That None stands for "not given" is a custom which no type hint need say.
                valid[name] = value
                continue
            try:
                valid[name] = check(value)
            except ValidationError as error:
                problems += _problems(name, error, self.hint(name))
        if problems:
            raise ParameterError(f"{self.name}: {'; '.join(problems)}")
        return valid

    def validate_given(self, given: Mapping[str, Any]) -> None:
        """Check some of the parameters, by name; those that ``**kwargs`` take have no check.

        Raises:
            ParameterError: A value does not fit its type hint; all such are named.
        """
        known = self.signature.parameters
        variable = (_KINDS.VAR_KEYWORD, _KINDS.VAR_POSITIONAL)
        self.validate(
            {
                name: value
                for name, value in given.items()
                if name in known and known[name].kind not in variable
            }
        )

    def hint(self, name: str) -> str:
        """Return a parameter's type hint as text; empty without one."""
        annotation = self.signature.parameters[name].annotation
        if annotation is _KINDS.empty:
            return ""
        return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def described(self) -> list[Parameter] | None:
        """Return the signature for a deployment's record; None where it takes any name.

        Raises:
            ParameterError: It has a parameter that cannot be given by name.
        """
        described: list[Parameter] = []
        any_name = False
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is _KINDS.VAR_KEYWORD:
                any_name = True
                continue
            required = parameter.default is _KINDS.empty
            if parameter.kind is _KINDS.VAR_POSITIONAL:
                continue
            if parameter.kind is _KINDS.POSITIONAL_ONLY and required:
                raise ParameterError(
                    f"{self.name}: parameter {name!r} is positional only, but the parameters "
                    "of deployed runs are given by name"
                )
            described.append(Parameter(name=name, required=required, type=self.hint(name)))
        return None if any_name else described


def _checks(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Check]:
    scope: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    checks: dict[str, Check] = {}
    for name, parameter in signature.parameters.items():
        if parameter.annotation is _KINDS.empty:
            continue
        try:
            hint = _evaluated(parameter.annotation, scope)
            if parameter.kind is _KINDS.VAR_POSITIONAL:
                hint = tuple[hint, ...]
            elif parameter.kind is _KINDS.VAR_KEYWORD:
                hint = dict[str, hint]
            if hint is not Any and hint is not object:
                checks[name] = _validator(hint)
        except NameError:
            # Imported for type checkers alone, most often.
            continue
        except Exception as error:
            raise ParameterError(
                f"the type hint of parameter {name!r} cannot be used: {error}"
            ) from error
    return checks


def _evaluated(annotation: Any, scope: dict[str, Any]) -> Any:
    holder = type("holder", (), {"__annotations__": {"hint": annotation}})
    return typing.get_type_hints(holder, scope, include_extras=True)["hint"]


def _validator(hint: Any) -> Check:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        adapter = TypeAdapter[Any](hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        adapter = TypeAdapter[Any](hint)
    return adapter.validate_python


def _problems(name: str, error: Any, hint: str) -> list[str]:
    problems: list[str] = []
    for detail in error.errors(include_url=False, include_context=False):
        place = name + "".join(f"[{part!r}]" for part in detail["loc"])
        given = _short(detail["input"])
        problems.append(f"parameter {place!r} ({hint}): {detail['msg']}, not {given}")
    return problems


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."


def written(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON values for a run's record; what is none is described."""
    return {name: _written(value) for name, value in parameters.items()}


def _written(value: Any) -> Any:
    kind = cast(type[Any], type(value))
    if kind in _ATOMS and (kind is not str or len(value) <= SHOWN_LIMIT):
        return value
    try:
        text = msgspec.json.encode(value, enc_hook=_json_value)
        if len(text) <= SHOWN_LIMIT:
            return msgspec.json.decode(text)
    except Exception:
        return f"<{kind.__qualname__}>"
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"<{kind.__qualname__}{size}>"


def sendable(parameters: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return parameters as JSON values, to be sent to a run in another process.

    Pydantic models, dataclasses, dates, enums and the like become what JSON has.

    Raises:
        ParameterError: A value is nothing that JSON can carry.
    """
    sent: dict[str, Any] = {}
    for name, value in parameters.items():
        if type(value) in _ATOMS:
            sent[name] = value
            continue
        try:
            sent[name] = msgspec.json.decode(msgspec.json.encode(value, enc_hook=_json_value))
        except Exception as error:
            raise ParameterError(
                f"{where}: parameter {name!r} is a {type(value).__qualname__} and cannot be "
                f"sent as JSON ({error}); pass a path, an id or plain values instead"
            ) from error
    return sent


def _json_value(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        # A scalar of numpy.
        return cast(Any, item())
    raise NotImplementedError(f"{type(value).__qualname__} is no JSON value")
