"""What is checked of every request before its route reads it.

Fields that nobody knows are refused: a typing error is not passed over in silence. (Records that
the store keeps may have fields of a newer version, requests may not.) So are query parameters of
no route, since a filter that is not heeded lists too much, and texts and numbers that
not every store keeps.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter
from msgspec import Struct
from msgspec.inspect import (
    DictType,
    Field,
    IntType,
    ListType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

from stoker.domain.errors import Invalid

LARGEST = 2**63 - 1
"""The largest integer that a database keeps."""

AnyRequest = Request[Any, Any, Any]


async def check_request(request: AnyRequest) -> None:
    """Look through a request: Litestar's ``before_request``.

    Raises:
        Invalid: Names the field that is wrong, and what is allowed.
        HTTPException: The body is no JSON.
    """
    scope = request.scope
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise Invalid("an address may hold no NUL character (%00)")
    if scope["query_string"]:
        _check_query(request)
    data = request.route_handler.parsed_fn_signature.parameters.get("data")
    shape = _shape(data.annotation) if data is not None else None
    if shape is not None:
        _check_type(request)
        for problem in _problems(await _body(request, shape), shape):
            raise Invalid(problem)


def _check_query(request: AnyRequest) -> None:
    known = _queries(request.route_handler)
    for name in request.query_params:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there is none here"
            raise Invalid(f"{name[:100]}: there is no such query parameter; {there}")


@cache
def _queries(handler: BaseRouteHandler) -> list[str]:
    """The names of a route's query parameters."""
    found: list[str] = []
    for name, parameter in handler.parsed_fn_signature.parameters.items():
        if isinstance(parameter.kwarg_definition, QueryParameter):
            found.append(parameter.kwarg_definition.name or name)
    return sorted(found)


def _check_type(request: AnyRequest) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(
            status_code=415, detail=f"a body has to be of type application/json, not {kind[:100]}"
        )


async def _body(request: AnyRequest, shape: StructType) -> object:
    body = await request.body()
    if not body:
        raise Invalid(f"the body is empty; it has to be a JSON object with {_known(shape)}")
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise HTTPException(status_code=400, detail="the body is no UTF-8 text") from None
    except (msgspec.DecodeError, RecursionError):
        # Whoever reads it says what is wrong with it.
        return None


@cache
def _shape(kind: Any) -> StructType | None:
    found = type_info(kind) if isinstance(kind, type) and issubclass(kind, Struct) else None
    return found if isinstance(found, StructType) else None


def _problems(value: object, kind: Type, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a value, and what is allowed."""
    match kind:
        case StructType() if isinstance(value, dict):
            fields = _fields(kind.cls)
            for name, inner in cast(dict[str, Any], value).items():
                field = fields.get(name)
                if field is not None:
                    yield from _problems(inner, field.type, _join(path, name))
                elif name != kind.tag_field:
                    yield f"{_join(path, name)}: there is no such field; there are {_known(kind)}"
        case ListType() if isinstance(value, list):
            for number, inner in enumerate(cast(list[Any], value)):
                yield from _problems(inner, kind.item_type, _join(path, str(number)))
        case DictType() if isinstance(value, dict):
            for name, inner in cast(dict[str, Any], value).items():
                yield from _problems(inner, kind.value_type, _join(path, name))
        case StrType() if isinstance(value, str) and "\0" in value:
            yield f"{path}: a text may hold no NUL character (\\u0000)"
        case IntType() if isinstance(value, int) and abs(value) > LARGEST:
            yield f"{path}: an integer is {LARGEST} at the most"
        case UnionType():
            structs = [one for one in kind.types if isinstance(one, StructType)]
            for one in kind.types:
                if len(structs) == 1 or not isinstance(one, StructType):
                    yield from _problems(value, one, path)
        case _:
            pass


def _join(path: str, name: str) -> str:
    return f"{path}.{name[:100]}" if path else name[:100]


def _known(kind: StructType) -> str:
    return ", ".join(sorted(_fields(kind.cls)))


@cache
def _fields(kind: type) -> dict[str, Field]:
    found = type_info(kind)
    assert isinstance(found, StructType)
    return {field.encode_name: field for field in found.fields}
