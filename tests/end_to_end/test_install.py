"""`pip install .`: the package from its wheel, away from the sources."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import process_model

ROOT = Path(__file__).parents[2]
SOURCES = (
    *("garfield_vae", "pyproject.toml", "README.md", "LICENSE"),
    *("requirements.txt", "requirements-export.txt"),
)

# What a program that installed the package does: load a model, reconstruct, make and serve a page.
PROGRAM = """
import sys
from pathlib import Path
import garfield_vae
from garfield_vae.checkpoints import exported_space, load_model
from garfield_vae.evaluation import report
from garfield_vae.explorer import Explorer
from garfield_vae.explorer.export_page import export_page

assert Path(garfield_vae.__file__).is_relative_to(sys.argv[1]), garfield_vae.__file__
loaded = garfield_vae.load(sys.argv[2])
loaded.reconstruct(sys.argv[3]).save("reconstruction.png")
explorer = Explorer(loaded.model, exported_space(loaded), Path("kept"), sliders=2)
export_page(explorer, Path("page.html"))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder of packages with this one in it, from its wheel."""
    place = tmp_path_factory.mktemp("install")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:  # copied, because a build leaves files beside its sources
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / "source" / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, place / "source" / name)
    offline = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    for command in (
        ["wheel", "--no-build-isolation", "--wheel-dir", place / "wheels", place / "source"],
        ["install", "--target", place / "packages", "--find-links", place / "wheels"],
    ):
        if command[0] == "install":
            command.append("garfield-vae")
        subprocess.run([sys.executable, "-m", "pip", *command, *offline], check=True)
    return place / "packages"


def test_it_holds_every_file_of_the_package(installed):
    def files(folder: Path) -> set[str]:
        found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        return {name for name in found if (folder / name).is_file() and "__pycache__" not in name}

    assert files(installed / "garfield_vae") == files(ROOT / "garfield_vae")


IMPORTED_AS = {
    **{"beautifulsoup4": "bs4", "Pillow": "PIL", "scikit-learn": "sklearn"},
    **{"pytorch-lightning": "pytorch_lightning", "Flask": "flask", "Jinja2": "jinja2"},
    **{"Protego": "protego", "Werkzeug": "werkzeug"},
}


def declared(name: str) -> set[str]:
    """The packages in a file of requirements."""
    return set(re.findall(r"^([\w-]+)>=", (ROOT / name).read_text("utf-8"), re.MULTILINE))


# Imported by what the product imports: torch.utils.tensorboard, and torch.onnx.
INDIRECT = {"tensorboard", "onnx", "onnxscript"}


def test_what_the_product_imports_is_declared_and_nothing_else():
    imported = set()
    for path in (*(ROOT / "garfield_vae").rglob("*.py"), *ROOT.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    required = declared("requirements.txt") | declared("requirements-export.txt")
    known = {IMPORTED_AS.get(name, name) for name in required}
    assert imported - {"garfield_vae"} - sys.stdlib_module_names == known - INDIRECT


def test_the_readme_says_what_every_required_package_is_for():
    table = (ROOT / "README.md").read_text("utf-8").partition("## Dependencies")[2]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", table, re.MULTILINE)[1:]
    assert {name for row in rows for name in row.split(", ")} == declared("requirements.txt")


def test_it_brings_nothing_else(installed):
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"garfield_vae"}


@pytest.mark.parametrize("model", ["model", "pretrained"])
def test_the_installed_package_loads_a_model_and_makes_a_page(
    installed, trained_run, strips, tmp_path, monkeypatch, model
):
    monkeypatch.chdir(trained_run.parent.parent)  # where its panel store is
    monkeypatch.setattr("garfield_vae.export.onnx_files.NEEDED", ("no_such_package",))  # it is slow
    flags = ["--experiment_dir", str(trained_run), "--export", str(tmp_path / "model")]
    assert process_model.main(flags) == 0
    environment = os.environ | {"PYTHONPATH": str(installed)}
    strip = str(next(strips.rglob("*.gif")))
    program = [sys.executable, "-c", PROGRAM, str(installed), model, strip]
    subprocess.run(program, cwd=tmp_path, env=environment, check=True)
    assert "<html" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "reconstruction.png").stat().st_size > 0
