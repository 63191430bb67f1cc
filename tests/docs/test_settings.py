"""The table of settings on its page is the one of the code.

`python tests/docs/test_settings.py` prints it.
"""

from pathlib import Path

from stoker import settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def table() -> str:
    """Write out the table of all settings."""
    rows = ["| variable | default | allowed | what it is for |", "|---|---|---|---|"]
    for field in settings.fields():
        unset = field.default is None or field.default == ""
        default = "" if unset else f"`{_shown(field.default)}`"
        rows.append(f"| `{field.variable}` | {default} | {field.allowed} | {field.doc} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_every_setting_is_on_the_page_as_it_is_in_the_code() -> None:
    assert table() in PAGE.read_text(), f"run `python {Path(__file__).name}` for the new one"


if __name__ == "__main__":
    print(table())
