"""How a script ends, whatever it prints on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(main: str, encoding: str) -> subprocess.CompletedProcess:
    """Runs `main`, the body of a function, as a script whose output has this encoding."""
    code = f"from garfield_vae.util.errors import UserError, run_script\ndef main(): {main}\n"
    return subprocess.run(
        [sys.executable, "-c", code + "run_script(main)"],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_a_sign_that_the_console_has_not_ends_no_run(encoding):
    ended = script("print('−1 ≤ x ≤ 1'); return 0", encoding)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b"?1 ")


def test_a_fault_of_the_persons_is_one_line_and_status_2():
    ended = script("raise UserError('the disk is full − make room')", "ascii")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.splitlines() == [b"error: the disk is full ? make room"]


def test_ctrl_c_is_status_130_and_no_word():
    ended = script("raise KeyboardInterrupt", "utf-8")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_a_bug_keeps_its_traceback():
    ended = script("1 / 0", "utf-8")
    assert ended.returncode == 1
    assert b"ZeroDivisionError" in ended.stderr
