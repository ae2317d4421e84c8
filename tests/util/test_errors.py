"""How a script ends, whatever it prints on."""

import os
import signal
import subprocess
import sys
import venv
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
def test_a_character_that_the_console_lacks_does_not_end_a_run(encoding):
    ended = script("print('−1 ≤ x ≤ 1'); return 0", encoding)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b"?1 ")


def test_a_user_error_is_one_line_and_status_2():
    ended = script("raise UserError('the disk is full − make room')", "ascii")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.splitlines() == [b"error: the disk is full ? make room"]


def test_ctrl_c_is_status_130_without_output():
    ended = script("raise KeyboardInterrupt", "utf-8")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_a_bug_keeps_its_traceback():
    ended = script("1 / 0", "utf-8")
    assert ended.returncode == 1
    assert b"ZeroDivisionError" in ended.stderr


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_asks_a_process_to_stop_unwinds_it(number, status):
    ended = script(
        f"""
    import os, signal
    try: os.kill(os.getpid(), signal.{number}); signal.pause()
    finally: print('tidied')""",
        "utf-8",
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, b"tidied\n", b"")


AT_EXIT = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.{number}); "


@pytest.mark.parametrize(
    ("last", "status", "errors"),
    [
        ("return 0", 0, b""),
        ("raise UserError('no')", 2, b"error: no\n"),
        ("raise KeyboardInterrupt", 130, b""),
    ],
)
def test_ctrl_c_is_quiet_while_python_ends(last, status, errors):
    ended = script(AT_EXIT.format(number="SIGINT") + last, "utf-8")
    assert (ended.returncode, ended.stderr) == (status, errors)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_python_that_hangs_while_it_ends_can_be_stopped(number):
    ended = script(AT_EXIT.format(number=number) + "return 0", "utf-8")
    assert (ended.returncode, ended.stderr) == (-getattr(signal, number), b"")


def test_under_nohup_a_closed_terminal_is_no_reason_to_stop():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which processes inherit
    try:
        ended = script("import os, signal; os.kill(os.getpid(), signal.SIGHUP); return 0", "utf-8")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("out", ["| true", "> /dev/full", ">&-", "2> /dev/full", "2>&-"])
@pytest.mark.parametrize("python", ["python", "python -u"])
def test_output_that_nobody_reads_ends_no_script(tmp_path, out, python):
    """Thousands of lines, so that more than a buffer is lost."""
    done = tmp_path / "done"
    code = (
        "from garfield_vae.util.errors import run_script; import sys, pathlib\n"
        "def main():\n"
        "    for _ in range(3000): print('a line', flush=True); print('a fault', file=sys.stderr)\n"
        f"    pathlib.Path({str(done)!r}).touch(); return 0\n"
        "run_script(main)"
    )
    (tmp_path / "script.py").write_text(code)
    shell = f"{python.replace('python', sys.executable)} {tmp_path / 'script.py'} {out}"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, done.exists()) == (0, True)
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_libraries_may_write_to_an_output_that_is_closed(tmp_path, closed):
    """A progress bar asks standard error whether it is a terminal, and writes to it if told to."""
    done = tmp_path / "done"
    (tmp_path / "script.py").write_text(
        "from garfield_vae.util.errors import run_script; import sys, pathlib, tqdm\n"
        "def main():\n"
        "    for _ in tqdm.tqdm(range(3), disable=None): tqdm.tqdm.write('a line')\n"
        "    for _ in tqdm.tqdm(range(3), disable=False): tqdm.tqdm.write('a', file=sys.stderr)\n"
        f"    pathlib.Path({str(done)!r}).touch(); return sys.stderr.isatty()\n"
        "run_script(main)"
    )
    ended = subprocess.run(
        ["bash", "-c", f"{sys.executable} {tmp_path / 'script.py'} {closed}"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, done.exists()) == (0, True), ended.stderr


SCRIPTS = ["train_torch.py", "process_model.py"]


@pytest.mark.parametrize("script_name", SCRIPTS)
def test_ctrl_c_is_quiet_in_a_scripts_own_first_imports(tmp_path, script_name):
    """The signal comes in the first module that the script imports for itself."""
    (tmp_path / "typing.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    (tmp_path / script_name).write_bytes((ROOT / script_name).read_bytes())
    ended = subprocess.run(
        [sys.executable, "-S", str(tmp_path / script_name), "--help"],
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.parametrize(
    "asked",
    [
        ["train_torch.py", "--demo"],
        ["process_model.py", "--experiment_dir", "pretrained"],
        ["-m", "garfield_vae.data.download"],
    ],
)
def test_a_python_without_the_packages_is_told_how_to_get_them(asked, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    ended = subprocess.run([python, *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    (said,) = ended.stderr.splitlines()
    assert f" is not installed for {python}: {python} -m pip install -r requirements.txt" in said


def test_a_missing_module_of_the_project_is_a_bug():
    ended = script("import garfield_vae.nowhere", "utf-8")
    assert ended.returncode == 1
    assert b"ModuleNotFoundError" in ended.stderr
