"""Files are whole or not there, whatever happens while they are written."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest

from garfield_vae.util import files
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import CannotWrite, locked, replacing


def test_a_file_is_made_with_its_folders(tmp_path):
    with replacing(tmp_path / "a" / "b.txt", "w") as file:
        file.write("größer")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "größer"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def fail_halfway():
        with replacing(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]
    assert path.read_bytes() == b"old"


def test_of_too_many_open_files_it_is_said_that_more_can_be_allowed():
    with pytest.raises(CannotWrite, match="allow more open files"):
        raise CannotWrite(errno.EMFILE, os.strerror(errno.EMFILE), "a")


def test_a_failed_write_leaves_no_folder_that_was_made_for_it(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a" / "b" / "x.bin"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_a_folder_in_which_there_is_something_else(tmp_path):
    with suppress(ZeroDivisionError), replacing(tmp_path / "a" / "b" / "x.bin"):
        (tmp_path / "a" / "diary.txt").write_text("mine")
        raise ZeroDivisionError
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["a", "diary.txt"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    script = f"""
        import os, pathlib, signal
        from garfield_vae.util.files import replacing
        with replacing(pathlib.Path({str(path)!r})) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_a_file_can_be_read_by_whom_the_umask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "x") as file:
            file.write(b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_folder_is_locked_by_one_at_a_time_and_then_by_the_next(tmp_path):
    for _ in range(2):
        with locked(tmp_path, "taken"), pytest.raises(UserError, match="taken"):
            locked(tmp_path, "taken").__enter__()


def test_a_file_system_without_locks_is_used_without_and_one_that_refuses_the_file_is_named(
    tmp_path, monkeypatch
):
    def fail(error):
        def acquire(lock):
            raise error

        monkeypatch.setattr(files.FileLock, "acquire", acquire)

    fail(NotImplementedError())
    with locked(tmp_path, "taken"):
        pass
    fail(OSError(errno.EROFS, "Read-only file system"))
    with pytest.raises(CannotWrite, match=f"{tmp_path} cannot be written"):
        locked(tmp_path, "taken").__enter__()
