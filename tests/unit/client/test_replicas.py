"""Several servers that stand for each other."""

import pytest

from stoker.client.connection import Unanswered, Unreachable
from stoker.client.http import _error
from stoker.client.replicas import Replicas
from stoker.domain.errors import OutcomeUnknown, Unavailable


class Servers:
    """Answers by address; an exception is raised."""

    def __init__(self, **answers):
        self.answers = {f"http://{name}": answer for name, answer in answers.items()}
        self.asked = []

    def send(self, transport, method, path, body=None, *, hold=0.0, repeatable=False):
        self.asked.append(transport.url)
        answer = self.answers[transport.url]
        if isinstance(answer, Exception):
            raise answer
        return answer, b""


@pytest.fixture
def replicas(monkeypatch):
    def make(**answers):
        servers = Servers(**answers)
        monkeypatch.setattr("stoker.client.connection.Transport.send", _sender(servers))
        return servers, Replicas(",".join(servers.answers))

    return make


def _sender(servers):
    def send(self, *args, **kwargs):
        return servers.send(self, *args, **kwargs)

    return send


def test_the_next_server_is_asked_and_stayed_with(replicas):
    servers, client = replicas(a=Unreachable("a"), b=200)
    assert client.send("POST", "/") == (200, b"")
    assert client.send("POST", "/") == (200, b"")
    assert servers.asked == ["http://a", "http://b", "http://b"]


def test_a_server_that_ends_has_done_nothing(replicas):
    servers, client = replicas(a=503, b=200)
    assert client.send("POST", "/")[0] == 200
    assert servers.asked == ["http://a", "http://b"]


def test_what_a_server_does_not_know_to_be_done_is_repeated_only_where_it_does_no_harm(replicas):
    servers, client = replicas(a=504, b=200)
    assert client.send("POST", "/")[0] == 504
    assert servers.asked == ["http://a"]
    servers, client = replicas(a=504, b=200)
    assert client.send("POST", "/", repeatable=True)[0] == 200
    assert client.send("POST", "/")[0] == 200
    assert servers.asked == ["http://a", "http://b", "http://b"]


def test_what_may_have_arrived_is_repeated_only_where_it_does_no_harm(replicas):
    servers, client = replicas(a=Unanswered("a"), b=200)
    with pytest.raises(Unanswered):
        client.send("POST", "/")
    assert servers.asked == ["http://a"]
    servers, client = replicas(a=Unanswered("a"), b=200)
    assert client.send("POST", "/", repeatable=True)[0] == 200
    servers, client = replicas(a=Unanswered("a"), b=200)
    assert client.send("GET", "/")[0] == 200


def test_where_none_answers_the_last_word_is_said(replicas):
    _, client = replicas(a=Unreachable("a"), b=Unreachable("b"))
    with pytest.raises(Unreachable, match="b"):
        client.send("GET", "/")
    _, client = replicas(a=503, b=Unreachable("b"))
    assert client.send("GET", "/")[0] == 503


def test_what_is_not_known_is_told_apart_from_what_was_not_done():
    body = b'{"error": "OutcomeUnknown", "detail": "look"}'
    assert type(_error("POST /", 504, body)) is OutcomeUnknown
    assert type(_error("POST /", 503, body.replace(b"OutcomeUnknown", b""))) is Unavailable
