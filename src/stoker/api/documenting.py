"""The OpenAPI document, with the one shape of all errors declared for every route."""

from typing import Any, cast

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Body of every answer with an error status.",
    "properties": {
        "error": {"type": "string", "description": "Kind of the error, for example NotFound."},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
    },
    "required": ["error", "detail"],
}

ERRORS = {
    "4XX": "What was asked for is wrong, not there, not allowed, or in conflict with what is.",
    "503": "The server cannot store or read now; try again.",
}
"""Statuses that every route may answer with."""


class Document(JsonRenderPlugin):
    """Renders the document; Litestar's own errors have another shape than this API's."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """See `JsonRenderPlugin.render`."""
        components = openapi_schema.setdefault("components", {}).setdefault("schemas", {})
        components["Problem"] = PROBLEM
        for operations in openapi_schema["paths"].values():
            for operation in operations.values():
                if isinstance(operation, dict) and "responses" in operation:
                    _declare(cast(dict[str, Any], operation["responses"]))
        base: Any = super()
        return base.render(request, openapi_schema)


def _declare(responses: dict[str, Any]) -> None:
    responses.pop("400", None)
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, description in ERRORS.items():
        responses[status] = {"description": description, "content": content}
