"""How fast are strips drawn, and written as GIF?

Drawing and GIF are CPU time on one core, in memory; the folder is wall-clock time on the disk of
temporary files, where every strip is flushed before it gets its name.

python benchmarks/drawing.py [--count 600]
"""

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from garfield_vae.data.drawn import FIRST_DAY, dailies, draw_folder, draw_strip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=600, help="strips (default: 600)")
    count = max(1, parser.parse_args().count)
    for day in dailies(
        FIRST_DAY, 50
    ):  # the lettering of frequent lines is kept from strip to strip
        draw_strip(1, day)

    start = time.process_time()
    strips = [draw_strip(0, day)[0] for day in dailies(FIRST_DAY, count)]
    drawing = time.process_time() - start

    start, size = time.process_time(), 0
    for strip in strips:
        file = io.BytesIO()
        strip.save(file, "GIF", optimize=False)
        size += file.tell()
    encoding = time.process_time() - start

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        draw_folder(Path(folder), count)
        whole = time.perf_counter() - start

    print("| step | ms a strip | strips/s |")
    print("|---|---|---|")
    both = drawing + encoding
    rows = {"drawing": drawing, "GIF": encoding, "drawing and GIF": both, "draw_folder": whole}
    for name, spent in rows.items():
        print(f"| {name} | {1000 * spent / count:.2f} | {count / spent:.0f} |")
    print(
        f"\n{count} strips of {strips[0].width}×{strips[0].height}, {size / count:.0f} bytes each"
    )


if __name__ == "__main__":
    main()
