"""The diagram of a run's states in its guide is the one table of the code.

`python tests/docs/test_run_states.py` prints it.
"""

from pathlib import Path

from stoker.domain.states import StateType
from stoker.domain.transitions import SUSPENDED, TABLE

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "runs.md"


def diagram() -> str:
    """Draw the table: an arrow for each pair of states, with the commands that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (source, command), (target, _) in [*TABLE.items(), *SUSPENDED.items()]:
        commands = arrows.setdefault((source, target), [])
        if command not in commands:
            commands.append(command)
    # A call that ends may have completed, failed, or ended otherwise.
    for (source, target), commands in list(arrows.items()):
        if target == StateType.COMPLETED and "finish" in commands:
            failed = arrows.setdefault((source, StateType.FAILED), [])
            if "finish" not in failed:
                failed.append("finish")
    lines = [f"    {a} --> {b}: {', '.join(commands)}" for (a, b), commands in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> SCHEDULED", *lines, "```"])


def test_the_diagram_is_current() -> None:
    assert diagram() in GUIDE.read_text(), f"run `python {Path(__file__).name}` for the new one"


if __name__ == "__main__":
    print(diagram())
