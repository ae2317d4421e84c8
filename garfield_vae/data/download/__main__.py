"""The command `python3 -m garfield_vae.data.download`."""

from pathlib import Path

from garfield_vae.cli.download_options import ABOUT as GROUPS
from garfield_vae.cli.download_options import DownloadOptions
from garfield_vae.cli.flags import add_options, new_parser, typed
from garfield_vae.data.download.sites import Comic
from garfield_vae.util.errors import INTERRUPTED, run_script

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
    parser = new_parser("python3 -m garfield_vae.data.download", ABOUT, epilog=EXAMPLES)
    parser.add_argument(
        "--data_dir",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where the comic's folder is (default: %(default)s)",
    )
    add_options(parser, DownloadOptions, about=GROUPS)
    arguments = parser.parse_args(argv)
    options = DownloadOptions(**typed(arguments, DownloadOptions))

    # Only now, so that --help and a wrong flag are answered at once.
    from garfield_vae.data.download.complete import download
    from garfield_vae.util.console import tell

    report = download(arguments.data_dir / Comic.parse(options.comic).slug, options)
    tell(str(report))
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.enough else 1


if __name__ == "__main__":
    run_script(main)
