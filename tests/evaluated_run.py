"""A small untrained run with strips, options and metrics, to be measured and reported by tests."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import torch

from garfield_vae.checkpoints import LoadedModel
from garfield_vae.cli.options import TrainOptions
from garfield_vae.data.store import PanelStore
from garfield_vae.latent.codec import encode
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE

HEIGHT, WIDTH = 48, 64


def coloured_strips(count: int, seed: int = 0) -> tuple[np.ndarray, list[dict]]:
    """Strips of one colour above another, uint8 [count, 3, 3, 48, 64], and their factors."""
    rng = np.random.default_rng(seed)
    sky, ground = rng.integers(0, 256, (2, count, 1, 3, 1, 1))
    horizon = rng.integers(8, 40, count)
    below = np.arange(HEIGHT)[None, :] >= horizon[:, None]
    noise = rng.integers(-8, 8, (count, 3, 3, HEIGHT, WIDTH))
    strips = np.where(below[:, None, None, :, None], ground, sky) + noise
    factors = [
        {
            "red": int(sky[i, 0, 0, 0, 0]),
            "horizon": int(horizon[i]),
            "dark": bool(ground[i].sum() < 300),
        }
        for i in range(count)
    ]
    return strips.clip(0, 255).astype(np.uint8), factors


def small_store(folder: Path, count: int = 200, with_factors: bool = True) -> PanelStore:
    strips, factors = coloured_strips(count)
    names = [(date(1985, 1, 1) + timedelta(days=i)).isoformat() for i in range(count)]
    if with_factors:
        lines = [
            json.dumps({"date": name} | record) for name, record in zip(names, factors, strict=True)
        ]
        (folder / "factors.jsonl").write_text("\n".join(lines), encoding="utf-8")
    path = folder / f"panels-{HEIGHT}x{WIDTH}.npy"
    return PanelStore(path, strips, names, [f"{i:064x}" for i in range(count)])


def small_run(folder: Path, **options) -> LoadedModel:
    """A run of an untrained network whose metrics.csv tells of three epochs."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = StripVAE(z_dim=8, c_hidden=8, num_blocks=1, panel_height=HEIGHT, panel_width=WIDTH)
    rows = [
        "epoch,step,train/beta,train/distortion,train/rate,train/active_units,"
        "validation/distortion,validation/rate,validation/active_units",
        "1,10,1e-5,0.5,3,2,0.6,3,2",
        "2,20,1e-5,0.3,9,6,0.4,8,5",
        "3,30,1e-5,0.2,20,8,,,",
    ]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return LoadedModel(
        model=model.eval().requires_grad_(False),
        options=TrainOptions(z_dim=8, **options),
        folder=folder,
        checkpoint=folder / "checkpoints" / "best.ckpt",
        epoch=2,
        digest=64 * "0",
    )


def fitted_space(run: LoadedModel, store: PanelStore) -> LatentSpace:
    means, _ = encode(run.model, store.panels[store.split("train")])
    return LatentSpace.fit(means)
