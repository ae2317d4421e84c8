"""How should the latent prior be trained, and from how many strips does it learn? Lever by lever.

    python benchmarks/prior.py --list
    python benchmarks/prior.py --experiment_dir logs/RUN --seconds 150
    python benchmarks/prior.py --experiment_dir logs/RUN --levers "as shipped" --few 270,900

Trains priors on the latents of one run's VAE, by the product's own PriorModule and LatentData. A
lever is one change of what train_torch.py does: another size of the network, or another value or
part of the code. Each training is a process of its own with one thread. --seconds are of processor
time, so that other programs change no figure, but a training has 41 steps at least. With --few the
same on some of the training strips, to whose latents the Gaussian is fitted anew.

Losses are shares of the fitted Gaussian's own on the same latents: 1 is the untrained prior.
`validation` is the lowest of those measured every 200 steps and at the end, which is the checkpoint
that is kept; `at the end` and `training` (the same loss of training latents) show overfitting, and
`two known` is the loss of a third panel, given the others.
"""

import argparse
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, Trainer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.levers import QUIET_TRAINER, Lever, constants, read_command_line, run_alone
from garfield_vae.checkpoints import load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.latent.files import encoded_strips
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.velocity import PatchTransformer
from garfield_vae.run_folder import find_run_folder
from garfield_vae.training import averaged_module, prior_module
from garfield_vae.training.optimizer import MuonAdamW
from garfield_vae.training.prior_module import BATCH, LatentData, PriorModule
from garfield_vae.training.prior_run import VALIDATED_EVERY, latent_data, make_prior
from garfield_vae.training.trainer import choose_precision, quieten_lightning

JUDGED = 1000  # training latents, at most, of the column `training`
COLUMNS = ("validation", "after", "at the end", "training", "two known")

# -------------------------------------------------------------------------------------------------
# Levers


class OnlyAdamW(MuonAdamW):
    """AdamW for the hidden matrices too, with the weight decay that they have under Muon."""

    def __init__(self, groups: list[dict], dtype: torch.dtype, **adamw: Any):
        groups = [group | {"muon": False, "lr": 0.001} for group in groups]
        super().__init__(groups, dtype, **adamw)


def own_panel_alone(network: PatchTransformer, patches: Tensor) -> Tensor:
    """In place of `beside`: zeros for the other two panels."""
    return F.pad(patches, (0, (network.shape[0] - 1) * patches.shape[2]))


LEVERS: dict[str, Lever] = {  # the prior's sizes, or a change of code
    "as shipped": {},
    "AdamW in place of Muon": constants(prior_module, MuonAdamW=OnlyAdamW),
    "one token a panel": {"patch_height": 11, "patch_width": 13},  # of panels of 176×200 pixels
    "a token reads its own panel alone": constants(PatchTransformer, beside=own_panel_alone),
    "width 192": {"width": 192},
    "no strip is mirrored": constants(prior_module, MIRRORED=0.0),
    "dropout 0.1": {"dropout": 0.1},
    "weights not averaged": constants(averaged_module, AVERAGE_GAMMA=float("inf")),
}


# -------------------------------------------------------------------------------------------------
# Training and measuring


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment_dir", default="last", help="a run's folder (default: last)")
    parser.add_argument("--seconds", default="150", help="processor time of a training, or several")
    parser.add_argument("--few", default="", help="numbers of training strips; all if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = read_command_line(parser, LEVERS)
    if options.one:
        train_and_measure(options)
        return
    print(f"{'':36}{'strips':>7}{'seconds':>9}{'steps':>7}" + "".join(f"{c:>12}" for c in COLUMNS))
    for few in options.few.split(","):
        for lever in options.levers:
            for seconds in options.seconds.split(","):
                flags = {"experiment_dir": options.experiment_dir, "seed": options.seed}
                flags |= {"few": few, "seconds": seconds, "one": "yes"}
                run_alone(__file__, lever, flags)


class Validations(Callback):
    """What each validation found: the step, and the loss."""

    def __init__(self) -> None:
        self.found: list[tuple[float, int]] = []

    def on_validation_end(self, trainer: Trainer, module: PriorModule) -> None:
        loss = float(trainer.callback_metrics["validation/loss"])
        self.found.append((loss, trainer.global_step))


def train_and_measure(options: argparse.Namespace) -> None:
    (name,) = options.levers
    lever = LEVERS[name]
    torch.set_num_threads(1)
    quieten_lightning()
    run = load_run(find_run_folder(options.experiment_dir, Path("logs")))
    with redirect_stdout(sys.stderr):  # only the table goes to stdout
        store = present_strips(run.options)
    encoded = encoded_strips(run.model, run.digest, run.folder, store)
    means, space = encoded.means, encoded.space
    train = store.split("train")
    if options.few:
        train = np.random.default_rng(options.seed).permutation(train)[: int(options.few)]
        space = LatentSpace.fit(means[train])

    sizes = {} if callable(lever) else lever
    if callable(lever):
        lever()
    # The length of a training is planned in what this clock says.
    prior_module.time = SimpleNamespace(monotonic=time.process_time)

    torch.manual_seed(options.seed)
    prior = make_prior(run, space, **sizes)
    prior.bf16 = choose_precision(run.options) == "bf16-mixed"
    module = PriorModule(prior, options.seed, float(options.seconds) / 60, vae="", strips="")
    data = latent_data(run, store, means, train, options.seed)
    validations = Validations()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        check_val_every_n_epoch=max(1, round(VALIDATED_EVERY * BATCH / len(train))),
        callbacks=[validations],
        **QUIET_TRAINER,
    )
    trainer.fit(module, data)
    loss, step = min(validations.found)
    steps, known = trainer.global_step, trainer.callback_metrics["validation/loss_two_panels_known"]
    row = [f"{loss:.3f}", f"{step} steps", f"{validations.found[-1][0]:.3f}"]
    judged = LatentData(means[:0], means[:0], means[train[:JUDGED]], options.seed).val_dataloader()
    training = trainer.validate(module, judged, verbose=False)[0]["validation/loss"]
    row += [f"{training:.3f}", f"{float(known):.3f}"]
    print(
        f"{name:36}{len(train):7,}{module.seconds:9.0f}{steps:7,}"
        + "".join(f"{cell:>12}" for cell in row),
        flush=True,
    )


if __name__ == "__main__":
    main()
