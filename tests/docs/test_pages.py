"""What the pages name exists."""

import re
from pathlib import Path

import pytest

from stoker.domain.environment import FAMILIES, NAMES
from stoker.domain.pools import WarmKnobs
from stoker.testing.ecs import FAULTS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!http)([^)#]+)")
SOURCE = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.py)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_named_in_the_architecture_exist():
    named = SOURCE.findall((ROOT / "docs/architecture.md").read_text())
    assert len(named) > 10
    for name in named:
        assert (ROOT / "src/stoker" / name).exists(), name


def test_every_folder_is_in_the_architecture():
    text = (ROOT / "docs/architecture.md").read_text()
    for folder in (ROOT / "src/stoker").iterdir():
        if (folder / "__init__.py").exists() and folder.name != "testing":
            assert f"`{folder.name}/`" in text, folder.name


def test_every_knob_is_in_the_guide():
    text = (ROOT / "docs/guide.md").read_text()
    for knob in WarmKnobs.__struct_fields__:
        assert f"| `{knob}` |" in text, knob


def test_every_variable_that_acts_at_the_start_is_in_the_guide():
    text = (ROOT / "docs/guide.md").read_text()
    for name in (*(f"{family}*" for family in FAMILIES), *NAMES):
        assert f"`{name}`" in text, name


def test_every_fault_is_in_the_guide():
    text = (ROOT / "docs/guides/testing-ecs.md").read_text()
    for fault in FAULTS:
        assert f"`{fault}`" in text, fault
