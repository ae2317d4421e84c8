"""Flags: what they take, what they refuse, and that none of it loads anything heavy."""

import argparse
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from garfield_vae.cli.flags import (
    add_options,
    decimal,
    option,
    path,
    reachable,
    recorded_path,
    refuse_idle_flags,
    share,
    typed,
    whole,
)
from garfield_vae.cli.loading import loading
from garfield_vae.cli.options import TrainOptions, strip_source
from garfield_vae.cli.process_options import ProcessOptions, kept_panels
from garfield_vae.data.download.sites import SITES
from garfield_vae.model.guidance import GUIDANCE
from garfield_vae.model.inference import FIT_STEPS
from garfield_vae.model.prior import STEPS
from garfield_vae.model.rejection import CANDIDATES
from garfield_vae.util.errors import UserError

ROOT = Path(__file__).parents[2]
HEAVY = "torch numpy pytorch_lightning scipy sklearn PIL requests bs4 flask matplotlib tensorboard"


@pytest.mark.parametrize("script", ["process_model.py", "train_torch.py"])
@pytest.mark.parametrize("flags", [["--help"], ["--no_such_flag"], ["--seed", "x"]])
def test_help_and_a_wrong_flag_load_nothing_heavy(script, flags):
    program = f"""
import runpy, sys
sys.argv = {[script, *flags]!r}
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as ended:
    print(ended.code, file=sys.stderr)
print([name for name in {HEAVY!r}.split() if name in sys.modules])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr.splitlines()[-1] == ("0" if flags == ["--help"] else "2")


def test_ctrl_c_is_quiet_whatever_a_library_makes_of_it_while_it_is_imported(tmp_path):
    (tmp_path / "library.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    open(os.devnull).read()\n"
        "except BaseException as error:\n    raise ImportError('a part is missing') from error\n"
    )
    program = "from garfield_vae.cli.loading import loading\nwith loading():\n    import library"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_user_without_a_home_is_not_told_of_one_by_the_chart_library():
    program = "from garfield_vae.cli.loading import loading\nwith loading():\n"
    program += "    import matplotlib\n    matplotlib.get_cachedir()"
    homeless = {n: v for n, v in os.environ.items() if n != "MPLCONFIGDIR" and n[:3] != "XDG"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, env=homeless | {"HOME": "/dev/null"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_after_loading_ctrl_c_is_what_it_was():
    with loading():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (whole(1, 9), {"1": 1, "9": 9}, ["0", "10", "1.0", "", "x", "9" * 5000]),
        (decimal(0, 2), {"0": 0.0, "2": 2.0, "1e-3": 1e-3}, ["-1", "2.1", "nan", "inf", "x"]),
        (decimal(0, 2, open_end=True), {"1e-9": 1e-9}, ["0", "-0.0", "nan"]),
        (decimal(0), {"1e300": 1e300}, ["inf", "1e309", "nan", "-1e-9"]),
        (share, {"0": 0.0, "1": 1.0}, ["1.01", "-0.1"]),
        (path, {"a b": "a b", "caf\udce9": "caf\udce9"}, ["", " ", "\n"]),
        (recorded_path, {"a b": "a b", "Füße": "Füße"}, ["", "caf\udce9"]),
        (
            reachable(path),
            {"/nowhere/at/all": "/nowhere/at/all", __file__ + "/x": __file__ + "/x"},
            ["", "x" * 300, "x/" * 4096],
        ),
        (
            strip_source,
            {"web": "web", "drawn": "drawn", "arcamax,uclick": "arcamax,uclick"},
            ["Drawn", "", "web,drawn", "uclick,uclick", "uclick,", "uclick,nosuch"],
        ),
    ],
)
def test_what_a_flag_reads_and_what_it_refuses(read, good, bad):
    for text, value in good.items():
        assert read(text) == value
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError) as refused:
            read(text)
        assert len(str(refused.value)) < 200


def test_a_source_that_is_not_known_is_answered_by_all_that_are():
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        strip_source("Drawn")
    for name in ("web", "drawn", "folder", *SITES):
        assert name in str(refused.value)


@dataclass(frozen=True)
class Options:
    plain: int = option(1, "some", "always has an effect", type=whole(0, 5))
    fine: int = option(1, "some", "with --big only", needs=("--big", "--huge"), type=whole(0, 5))


def test_only_what_was_typed_is_given_even_where_it_is_the_default():
    parser = argparse.ArgumentParser()
    add_options(parser, Options, without=("plain",))
    assert typed(parser.parse_args([]), Options) == {}
    assert typed(parser.parse_args(["--fine", "1"]), Options) == {"fine": 1}


def test_a_flag_without_an_effect_is_refused_by_name():
    refuse_idle_flags(["plain", "fine"], Options, ["--huge", "--small"])
    refuse_idle_flags(["plain"], Options, ["--small"])
    with pytest.raises(UserError) as refused:
        refuse_idle_flags(["plain", "fine"], Options, ["--small", "--tiny"])
    sentence = "--fine has no effect on --small and --tiny, only on --big or --huge: leave it out"
    assert str(refused.value) == sentence
    refuse_idle_flags(["fine"], Options, ["--small"], besides=["--big"])
    with pytest.raises(UserError, match="no effect on --small, only on --big or --huge"):
        refuse_idle_flags(["fine"], Options, ["--small"], besides=["--tiny"])


def test_a_limit_is_said_to_its_last_digit():
    for most, said in ((2**63 - 1, "9,223,372,036,854,775,807"), (999_999_999, "999,999,999")):
        with pytest.raises(argparse.ArgumentTypeError, match=f"at most {said}, got {most + 1}"):
            whole(0, most)(str(most + 1))


def test_kept_panels_come_in_any_order():
    for text, panels in (("2,1", "1,2"), (" 3, 1 ", "1,3"), ("2,2", "2"), ("3", "3")):
        assert kept_panels(text) == panels
    for text in ("1,2,3", "", "0", "4", "1,", "1-2", "1;2"):
        with pytest.raises(argparse.ArgumentTypeError, match="one or two of the panels 1, 2 and 3"):
            kept_panels(text)


@pytest.mark.parametrize("options", [TrainOptions, ProcessOptions])
def test_every_default_is_what_its_own_flag_would_read(options):
    for item in fields(options):
        read = item.metadata["argument"].get("type")
        if read and item.default not in (None, ""):
            assert read(str(item.default)) == item.default, item.name


@pytest.mark.parametrize("options", [TrainOptions, ProcessOptions])
def test_every_number_has_a_bound(options):
    for item in fields(options):
        read = item.metadata["argument"].get("type")
        if isinstance(item.default, int | float) and not isinstance(item.default, bool):
            with pytest.raises(argparse.ArgumentTypeError, match="at most"):
                read(str(10**30))


def test_the_defaults_of_sampling_and_fitting_are_those_of_the_model_itself():
    # Written down twice, since the flags are read before torch is loaded.
    flags = ProcessOptions
    assert (flags.steps, flags.guidance, flags.candidates) == (STEPS, GUIDANCE, CANDIDATES)
    assert flags.fit_steps == FIT_STEPS
