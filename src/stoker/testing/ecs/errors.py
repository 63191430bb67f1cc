"""What AWS answers in place of a result."""

from typing import Any


class AwsError(Exception):
    """An error of an AWS API.

    Args:
        code: Its name, such as ``ClientException``.
        message: What AWS says.
        status: The HTTP status.
        fields: What its shape has besides the message.
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def client_error(message: str) -> AwsError:
    """A ``ClientException``: the caller asks for what cannot be."""
    return AwsError("ClientException", message)


def invalid(message: str) -> AwsError:
    """An ``InvalidParameterException``: a parameter has a wrong value."""
    return AwsError("InvalidParameterException", message)


def throttled(message: str = "Rate exceeded") -> AwsError:
    """A ``ThrottlingException``; AWS answers it with status 400."""
    return AwsError("ThrottlingException", message)


def server_error(message: str = "Service Unavailable. Please try again later.") -> AwsError:
    """A ``ServerException``."""
    return AwsError("ServerException", message, status=500)


class AnswerLost(Exception):
    """The call was carried out, or was not, and its caller never hears of it."""
