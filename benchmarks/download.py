"""How long does a day take the downloader, without a site's delay?

Downloads days from the tests' own site, which runs in another process on this machine, with no
delay, a thousand at a time into one folder. Wall time includes the site's work and the disk's
(every strip is synced); CPU time is this process's alone. Each thousand begins by checking the
strips that are there, so the last rows show the cost of a big folder.

    python benchmarks/download.py --days 14000
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from garfield_vae.cli.download_options import DownloadOptions  # noqa: E402
from garfield_vae.data.download import download  # noqa: E402

STEP = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=14000, help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    args = parser.parse_args()
    site = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/comic_site.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    base_url = site.stdout.readline().strip()
    print(f"{'days':>6}  {'wall ms/day':>11}  {'CPU ms/day':>10}  {'peak MiB':>8}")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for limit in range(STEP, args.days + 1, STEP):
            wall, cpu = time.perf_counter(), time.process_time()
            options = DownloadOptions(source="uclick", limit=limit, delay=0, base_url=base_url)
            report = download(Path(folder), options)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            per_day = 1000 / report.fetched
            print(f"{limit:6}  {wall * per_day:11.2f}  {cpu * per_day:10.2f}  {peak:8.0f}")
    site.stdin.close()
    site.wait()


if __name__ == "__main__":
    main()
