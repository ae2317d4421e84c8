"""The workflow of GitHub Actions: it runs the project's checks, and leaves out what exists."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
STEPS = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SYSTEMS = {
    row["os"]: row["without"]
    for row in WORKFLOW["jobs"]["other-systems"]["strategy"]["matrix"]["include"]
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_left_out_there_exists(system):
    for name in (word for word in shlex.split(SYSTEMS[system]) if not word.startswith("--")):
        path, _, test = name.partition("::")
        assert (ROOT / path).is_file(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text("utf-8"), name


def test_every_check_of_the_project_is_run():
    checks = {f".ci/{path.name}" for path in (ROOT / ".ci").iterdir()}
    assert checks <= set(STEPS)
    assert any("pip-audit --strict" in step for step in STEPS)


def test_every_test_file_that_is_named_to_the_oldest_versions_exists():
    for name in re.findall(r"tests/[\w/]+(?:\.py)?", (ROOT / ".ci/lower-bounds").read_text()):
        assert (ROOT / name).exists(), name
