"""Events of users, patterns, and texts with placeholders."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.automation.filling import fill, fill_text
from stoker.domain.errors import Invalid
from stoker.domain.events import MAX_PAYLOAD, EmitEvent, Resource, check_emitted
from stoker.domain.patterns import fits, wanted

TEXT = st.text("ab.*", max_size=8)


@given(st.text("ab.", max_size=12), TEXT)
def test_a_pattern_fits_as_the_regular_expression_that_it_means(text, pattern):
    meant = ".*".join(map(re.escape, pattern.split("*")))
    assert fits(text, pattern) == (re.fullmatch(meant, text, re.DOTALL) is not None)


def test_a_pattern_takes_no_time_that_grows_with_its_stars():
    assert not fits("a" * 100_000, "*a" * 200 + "b")


@pytest.mark.parametrize(
    ("values", "patterns", "every", "expected"),
    [
        (["prod"], ["prod"], True, True),
        (["prod"], ["prod", "eu"], True, False),
        (["prod"], ["prod", "eu"], False, True),
        (["prod"], ["!p*"], False, False),
        ([], ["!p*"], False, True),
        ([], ["*"], False, False),
        (["x"], [], True, True),
    ],
)
def test_labels(values, patterns, every, expected):
    assert wanted(values, patterns, every=every) is expected


@pytest.mark.parametrize(
    ("field", "emitted"),
    [
        ("event", EmitEvent(event="", resource=Resource("file", "a"))),
        ("event", EmitEvent(event="a b", resource=Resource("file", "a"))),
        ("event", EmitEvent(event="flow-run.Failed", resource=Resource("file", "a"))),
        ("event", EmitEvent(event="flow-run", resource=Resource("file", "a"))),
        ("resource.kind", EmitEvent(event="x", resource=Resource("flow-run", "a"))),
        ("resource.kind", EmitEvent(event="x", resource=Resource("", "a"))),
        ("resource.id", EmitEvent(event="x", resource=Resource("file", ""))),
        ("resource.id", EmitEvent(event="x", resource=Resource("file", "a\x00"))),
        ("resource.id", EmitEvent(event="x", resource=Resource("file", "a" * 1001))),
        ("resource.name", EmitEvent(event="x", resource=Resource("file", "a", "a" * 1001))),
        ("tags[1]", EmitEvent(event="x", resource=Resource("file", "a"), tags=["a", ""])),
        ("tags", EmitEvent(event="x", resource=Resource("file", "a"), tags=["a"] * 101)),
        (
            "payload",
            EmitEvent(event="x", resource=Resource("f", "a"), payload={"a": "b" * MAX_PAYLOAD}),
        ),
    ],
)
def test_what_is_no_event_of_a_user_is_refused_by_its_field(field, emitted):
    with pytest.raises(Invalid, match=re.escape(field) + ": "):
        check_emitted(emitted)


def test_a_name_may_begin_like_a_kind_of_stokers_own():
    check_emitted(EmitEvent(event="hosting.done", resource=Resource("file", "a")))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ n }}", 3),
        (" {{n}} ", 3),
        ("n is {{ n }}", "n is 3"),
        ("{{ list.1 }}", "b"),
        ("{{ list.2 }}", None),
        ("{{ list.99999999999 }}", None),
        ("{{ n.x }}", None),
        ("in {{ list }}: {{ yes }}", "in a, b: true"),
        ({"a": ["{{ n }}", 1, None]}, {"a": [3, 1, None]}),
        ("{{ text }}", "{{ n }}"),
        ("{ n }", "{ n }"),
    ],
)
def test_templates(template, expected):
    values = {"n": 3, "list": ["a", "b"], "yes": True, "text": "{{ n }}"}
    assert fill(template, values) == expected


def test_what_is_filled_in_is_not_filled_again():
    assert fill_text("{{ a }}!", {"a": "{{ b }}", "b": "secret"}) == "{{ b }}!"
