"""The workflow of GitHub Actions: what it leaves out exists, and is what another system lacks."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
SYSTEMS = {
    row["os"]: row["without"]
    for row in WORKFLOW["jobs"]["other-systems"]["strategy"]["matrix"]["include"]
}
ONLY = {  # what tests do that a system has not
    "macos-latest": r"/proc/self|RLIMIT_DATA|commands_with_little_memory",
    "windows-latest": r"^import resource|import resource, sys|os\.fork|SIGKILL|umask|mkfifo"
    r"|send_signal|commands_with_little_memory",
}


def left_out(system: str) -> set[str]:
    """The test files and tests that the workflow does not run there."""
    return {word for word in shlex.split(SYSTEMS[system]) if not word.startswith("--")}


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_left_out_exists(system):
    for name in left_out(system):
        path, _, test = name.partition("::")
        assert (
            f"def {test}(" in (ROOT / path).read_text("utf-8") if test else (ROOT / path).is_file()
        )


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_that_system_has_not_is_left_out_there(system):
    found = {name.partition("::")[0] for name in left_out(system)}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text("utf-8")
        if path.name != Path(__file__).name and re.search(ONLY[system], text, re.MULTILINE):
            assert path.relative_to(ROOT).as_posix() in found


def test_the_whole_check_and_the_lower_bounds_and_the_audit_are_run():
    steps = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    for command in (".ci/run", ".ci/lower-bounds", "pip-audit --strict"):
        assert any(command in step for step in steps), command
