"""The command `python3 -m garfield_vae.data.download`."""

import argparse
from pathlib import Path

from garfield_vae.data.download.folder import download
from garfield_vae.data.download.options import DownloadOptions, add_download_arguments
from garfield_vae.data.download.sources import Comic
from garfield_vae.util.errors import INTERRUPTED

ABOUT = """\
Downloads a comic's dailies into data/<comic>/strips/, one picture a day, slowly and only what is
not there yet. It can be stopped at any moment; the same command goes on."""

EXAMPLES = """\
examples:
  python3 -m garfield_vae.data.download                           everything since 1978 (10 h)
  python3 -m garfield_vae.data.download --start 1985-01-01 --end 1985-12-31
  python3 -m garfield_vae.data.download --source gocomics arcamax --start 2026-10-01
  python3 -m garfield_vae.data.download --verify                         look at every file again"""


def main(argv: list[str] | None = None) -> int:
    """The exit status: 0 with the asked share of the strips there, 1 with less. For run_script."""
    parser = argparse.ArgumentParser(
        prog="python3 -m garfield_vae.data.download",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data_dir",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where the comic's folder is (default: %(default)s)",
    )
    add_download_arguments(parser)
    args = parser.parse_args(argv)
    options = DownloadOptions.from_args(args)
    report = download(args.data_dir / Comic.parse(options.comic).slug, options)
    print(report)
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.enough else 1
