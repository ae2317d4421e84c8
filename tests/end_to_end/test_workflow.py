"""The workflows of GitHub Actions: they run the project's checks, leave out what exists, and deploy
a page that the project can make."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

import process_model

ROOT = Path(__file__).parents[2]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in (ROOT / ".github/workflows").glob("*.yml")
}
WORKFLOW = WORKFLOWS["ci"]
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


def test_the_page_that_is_uploaded_is_the_pretrained_models():
    steps = WORKFLOWS["page"]["jobs"]["page"]["steps"]
    (make,) = (step["run"] for step in steps if "process_model.py" in step.get("run", ""))
    (upload,) = (step for step in steps if "upload-pages-artifact" in step.get("uses", ""))
    # tests/test_pretrained.py makes it.
    options = process_model.read_command_line(
        shlex.split(make.removeprefix("python process_model.py "))
    )
    assert options.experiment_dir == "pretrained"
    assert Path(options.export_page) == Path(upload["with"]["path"]) / "index.html"


def test_a_page_may_be_deployed_and_nothing_else():
    job = WORKFLOWS["page"]["jobs"]["page"]
    assert job["permissions"] == {"pages": "write", "id-token": "write", "contents": "read"}
    assert job["environment"]["name"] == "github-pages"
    assert any(step.get("uses", "").startswith("actions/deploy-pages@") for step in job["steps"])


def test_every_workflow_uses_one_version_of_an_action():
    used = {
        step["uses"]
        for workflow in WORKFLOWS.values()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    }
    assert len({name.partition("@")[0] for name in used}) == len(used)
