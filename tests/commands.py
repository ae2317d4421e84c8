"""The project's commands as a person types them, many times a second and with little memory.

A process of its own imports both scripts once and forks for each command, which is then bounded by
the system: one that asks for more memory than ROOM, beyond what the imports took, fails.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOM = 256 * 2**20  # bytes

SERVER = """
import json, os, resource, signal, sys, traceback
import process_model, train_torch
# The scripts load these late; here they are loaded once for all commands.
import garfield_vae.evaluation.evaluate, garfield_vae.explorer, garfield_vae.gallery
import garfield_vae.export.folder, garfield_vae.training.trainer
import garfield_vae.training.prior_run
from garfield_vae.util.errors import run_script
mains = {"train_torch.py": train_torch.main, "process_model.py": process_model.main}
for line in sys.stdin:
    script, flags, folder, room = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(300)  # one that waits for ever fails
            os.chdir(folder)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            for number, name in ((1, sys.argv[1]), (2, sys.argv[2])):
                os.dup2(os.open(name, os.O_WRONLY | os.O_TRUNC), number)
            words = open("/proc/self/status").read().split()
            has = int(words[words.index("VmData:") + 1]) * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (has + room, has + room))
            sys.argv = [script, *flags]
            run_script(mains[script])
        except SystemExit as ended:
            os._exit(ended.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (negative: the signal) and what it printed."""

    status: int
    out: str
    err: str


class Commands:
    def __init__(self, process: subprocess.Popen, out: Path, err: Path):
        self.process, self.out, self.err = process, out, err

    def __call__(self, folder: Path, script: str, *flags: str, room: int = ROOM) -> Ended:
        """Runs a script in `folder`."""
        self.process.stdin.write(json.dumps([script, flags, str(folder), room]) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return Ended(status, self.out.read_text("utf-8"), self.err.read_text("utf-8"))


@contextmanager
def commands_with_little_memory(place: Path) -> Iterator[Commands]:
    """`place`: a folder for what the commands print."""
    out, err = place / "out", place / "err"
    for path in (out, err):
        path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(out), str(err)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Commands(process, out, err)
        process.stdin.close()
