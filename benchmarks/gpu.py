"""What a GPU makes of this project: one table, in one call.

    python benchmarks/gpu.py                        the table of README (an H100), in six minutes

Draws strips, then measures on the first CUDA device:

    ceilings     a large copy in memory, and a large matrix product in bfloat16
    a step       of the published command: milliseconds, operations, and the fewest bytes it can
                 move, against the two ceilings; and the five kernels that take longest
    training     the published command for --minutes, with the error on test strips; wider networks
                 for as long
    prior        trained for half of --minutes; drawing and decoding 10,000 strips
    precision    the same 60 steps in 32 and in 16 bits
    resuming     two epochs, and one and then another: the same weights?

--quick is for trying the benchmark itself.
"""

import argparse
import contextlib
import datetime
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import train_torch
from benchmarks.quality import reconstruction_row
from garfield_vae.checkpoints import load_run, read_checkpoint
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.drawn import FIRST_DAY, draw_folder
from garfield_vae.data.panels import to_unit
from garfield_vae.data.sources import present_strips
from garfield_vae.latent.codec import decode, reconstruct
from garfield_vae.latent.files import encoded_strips
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.model.rejection import CANDIDATES
from garfield_vae.prior_checkpoints import PRIOR_ENTRY, load_prior, read_prior_checkpoint
from garfield_vae.run_folder import choose_device
from garfield_vae.training.augment import augment
from garfield_vae.training.cuda_graph import graphed
from garfield_vae.training.module import StripModule, parameter_groups
from garfield_vae.training.optimizer import MuonAdamW
from garfield_vae.util.metrics_table import read_metrics

PUBLISHED = ["--beta", "0.0001", "--z_dim", "1024", "--batch_size", "64", "--num_blocks", "2"]
EPOCHS = 400  # of the published command
PARTS = 16  # folders that strips are drawn into, each by a process of its own


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=11_000, help="strips to draw")
    parser.add_argument("--minutes", type=float, default=0.7, help="of each training")
    parser.add_argument("--widths", default="6,32", help="c_hidden of the trainings")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.count, options.minutes, options.widths = 1500, 0.2, "6"
    if not torch.cuda.is_available():
        sys.exit("error: there is no CUDA device here")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)

    ceilings = measure_ceilings()
    with tempfile.TemporaryDirectory(prefix="gpu-") as name:
        work = Path(name)
        os.chdir(work)  # the store of the strips is built there
        strips = draw(work / "drawn", options.count)
        measure_step(ceilings)
        runs = [
            train(work, strips, int(width), options.minutes) for width in options.widths.split(",")
        ]
        measure_prior(work, runs[0], options.minutes / 2, 1000 if options.quick else 10_000)
        compare_precisions(work, strips / "00")
        resume(work, strips / "00")


def say(name: str, text: str) -> None:
    print(f"{name:24}{text}", flush=True)


# ------------------------------------------------------------------------------------------ timing


def milliseconds(work: Callable[[], object], repeats: int = 20) -> float:
    """The median time of `work` on the GPU, after three calls that are not counted."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return float(np.median(times))


def measure_ceilings() -> tuple[float, float]:
    """Bytes a second that a copy moves, read and written; operations a second of a product."""
    source, target = (torch.empty(2**31, dtype=torch.uint8, device="cuda") for _ in range(2))
    source.random_()
    moved = 2 * len(source) / milliseconds(lambda: target.copy_(source)) * 1000
    size = 8192
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    operations = 2 * size**3 / milliseconds(lambda: a @ b) * 1000
    say("ceilings", f"{moved / 1e12:.2f} TB/s, {operations / 1e12:.0f} TFLOP/s (bfloat16)")
    return moved, operations


# ------------------------------------------------------------------------------------------ strips


def draw(folder: Path, count: int) -> Path:
    began = time.monotonic()
    share = -(-count // PARTS)
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(draw_part, [folder] * PARTS, range(PARTS), [share] * PARTS):
            pass
    say("drawing", f"{share * PARTS:,} strips in {time.monotonic() - began:.0f} s")
    return folder


def draw_part(folder: Path, part: int, share: int) -> None:
    first = FIRST_DAY + datetime.timedelta(weeks=part * -(-share // 6))  # whole weeks of six days
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        draw_folder(folder / f"{part:02}", share, seed=0, first=first)


# ------------------------------------------------------------------------------------------- a step


def measure_step(ceilings: tuple[float, float]) -> None:
    """One step of the published command by itself, without Lightning around it."""
    options = TrainOptions(c_hidden=6, num_blocks=2, z_dim=1024, batch_size=64, beta=0.0001)
    torch.manual_seed(0)
    module = StripModule(options).cuda()
    vae = module.vae
    store = torch.randint(0, 256, (2000, 3, 3, 176, 200), dtype=torch.uint8, device="cuda")
    groups = parameter_groups(vae, module.peak_learning_rate(), 0.01)
    optimizer = MuonAdamW(groups, torch.bfloat16, betas=(0.9, 0.99), fused=True)
    batch = options.batch_size

    def data() -> torch.Tensor:
        rows = torch.randint(0, len(store), (batch,)).cuda(non_blocking=True)
        return augment(to_unit(store.index_select(0, rows)), 0.1)

    def step(network: Callable) -> None:
        with torch.autocast("cuda", torch.bfloat16):
            strips = data()
            reconstruction, mean, log_std = network(strips)
            loss = (reconstruction.float() - strips).square().mean()
            loss = loss + options.beta * 0.5 * (mean.square() - 2 * log_std).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        module.averaged.update(vae)

    with torch.autocast("cuda", torch.bfloat16):
        recorded = graphed(vae, data())
    plain, whole = milliseconds(lambda: step(vae)), milliseconds(lambda: step(recorded))
    operations, least = count_operations(lambda: step(vae)), count_bytes(vae, data(), batch)
    moved, rate = ceilings
    say("a step", f"{whole:.2f} ms with CUDA graphs, {plain:.2f} ms without, {batch} strips")
    say("", f"{operations / 1e9:.0f} GFLOP: {operations / whole / rate * 1000:.1%} of the product")
    say("", f"{least / 1e9:.2f} GB at least: {least / whole / moved * 1000:.1%} of the copy")
    for name, share, each in longest_kernels(lambda: step(recorded)):
        say("", f"{share:6.1%} {each:7.3f} ms  {name[:88]}")


def count_operations(work: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def count_bytes(vae: torch.nn.Module, strips: torch.Tensor, batch: int) -> int:
    """The fewest bytes of a step: each layer's output, in 16 bits, is written and read on the way
    there, and read, and its gradient written and read, on the way back; each weight, in 32 bits,
    with its gradient, the optimizer's averages and its average is read and written once."""
    outputs = []
    hooks = [
        part.register_forward_hook(lambda _, __, made: outputs.append(made.numel()))
        for part in vae.modules()
        if not list(part.children())
    ]
    with torch.no_grad():
        vae(strips)
    for hook in hooks:
        hook.remove()
    weights = sum(p.numel() for p in vae.parameters())
    return 5 * 2 * sum(outputs) + 4 * 2 * 5 * weights + 9 * 176 * 200 * batch * (1 + 4 * 3)


def longest_kernels(work: Callable[[], object]) -> list[tuple[str, float, float]]:
    """The five kernels that take longest: name, share of all kernels' time, milliseconds a step."""
    repeats = 10
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(repeats):
            work()
        torch.cuda.synchronize()
    kernels = [(e.key, e.self_device_time_total) for e in profiled.key_averages()]
    total = sum(spent for _, spent in kernels)
    kernels.sort(key=lambda kernel: -kernel[1])
    return [(name, spent / total, spent / repeats / 1000) for name, spent in kernels[:5]]


# ---------------------------------------------------------------------------------------- training


def run(flags: list[str]) -> None:
    """train_torch.py, in this process, without its output."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = train_torch.main(flags)
    if status:
        sys.exit(f"error: train_torch.py {' '.join(flags)}: {said.getvalue()[-1000:]}")


def train(work: Path, strips: Path, width: int, minutes: float) -> Path:
    name = f"c{width}"
    began = time.monotonic()
    flags = ["--c_hidden", str(width), "--epochs", str(EPOCHS), "--minutes", str(minutes)]
    run([*data_flags(work, strips, name), *PUBLISHED, *flags])
    took = time.monotonic() - began
    rows = read_metrics(work / "logs" / name)
    epochs = len(rows)
    pace = float(np.median([float(row["train/strips_per_second"]) for row in rows]))
    loaded = load_run(work / "logs" / name, choose_device("auto"))
    store = present_strips(loaded.options)
    test = store.panels[store.split("test")[:300]]
    quality = reconstruction_row(test, reconstruct(loaded.model, test, steps=0))
    training = 60 * minutes
    say(
        f"c_hidden {width}",
        f"{pace:,.0f} strips/s, {epochs} epochs in {training:.0f} s of {took:.0f}, so {EPOCHS} in "
        f"{EPOCHS * training / epochs / 60:.0f} min; MSE {quality['MSE']:.4f}, "
        f"SSIM {quality['SSIM']:.3f}",
    )
    return work / "logs" / name


def data_flags(work: Path, strips: Path, name: str) -> list[str]:
    source = ["--source", "folder", "--data_dir", str(strips)]
    return [*source, "--log_dir", str(work / "logs"), "--run_name", name, "--prior_minutes", "0"]


# ------------------------------------------------------------------------------------- the prior


def measure_prior(work: Path, folder: Path, minutes: float, count: int) -> None:
    run(["--continue_from", str(folder), "--minutes", "0", "--prior_minutes", str(minutes)])
    device = choose_device("auto")
    loaded = load_run(folder, device)
    prior, loss = load_prior(loaded)
    checkpoint = read_prior_checkpoint(folder / "checkpoints" / "prior-last.ckpt")
    steps = checkpoint[PRIOR_ENTRY]["planned"]
    say("prior", f"{steps:,} steps in {minutes:g} minutes, validation loss {loss:.3f}")
    store = present_strips(loaded.options)
    space = encoded_strips(loaded.model, loaded.digest, folder, store).space
    for candidates in (1, CANDIDATES):
        sampler = PriorSampler(prior, space, candidates=candidates)
        sampler.sample(2, 0)
        began = time.monotonic()
        latents = np.concatenate([sampler.sample(1000, seed) for seed in range(count // 1000)])
        drawn = time.monotonic() - began
        decode(loaded.model, latents)
        say(
            "",
            f"{count:,} strips, {candidates} candidates: {drawn:.1f} s to draw, decoded "
            f"after {time.monotonic() - began:.1f} s",
        )


# ------------------------------------------------------------------------- precision and resuming


def compare_precisions(work: Path, strips: Path) -> None:
    errors = {}
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        name = f"precision-{precision}"
        flags = ["--c_hidden", "6", "--epochs", "3", "--precision", precision]
        run([*data_flags(work, strips, name), *PUBLISHED, *flags])
        last = read_metrics(work / "logs" / name)[-1]
        errors[precision] = float(last["validation/distortion"])
    text = ", ".join(f"{name} {error:.6f}" for name, error in errors.items())
    say("precision", f"held-out MSE after 3 epochs: {text}")


def resume(work: Path, strips: Path) -> None:
    flags = [*PUBLISHED, "--c_hidden", "6"]
    run([*data_flags(work, strips, "whole"), *flags, "--epochs", "2"])
    run([*data_flags(work, strips, "parts"), *flags, "--epochs", "1"])
    run(["--continue_from", str(work / "logs" / "parts"), "--epochs", "2", "--prior_minutes", "0"])
    run([*data_flags(work, strips, "again"), *flags, "--epochs", "2"])
    weights = {name: last_weights(work / "logs" / name) for name in ("whole", "parts", "again")}
    for name, what in (("again", "the same run twice"), ("parts", "one epoch and then another")):
        apart = (weights[name] - weights["whole"]).abs().max()
        say("resuming" if name == "parts" else "", f"{what}: weights differ by {apart:.1e}")


def last_weights(folder: Path) -> torch.Tensor:
    state = read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    return torch.cat([state[name].flatten() for name in state if name.startswith("vae.")])


if __name__ == "__main__":
    main()
