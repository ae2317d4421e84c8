"""A variational autoencoder that learns to draw three-panel comic strips."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from garfield_vae.checkpoints import LoadedModel

__version__ = "0.1.0"

# How long an idle OpenMP thread of torch's spins before it sleeps; read when torch is imported. The
# default, about a millisecond, makes training many times slower where other programs use the cores.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def load(folder: str | Path) -> LoadedModel:
    """The trained model of a run's folder, or of an exported one, on the CPU and ready to use.

    The text "pretrained" is the model that comes with the project; Path("pretrained") is a folder.
    Raises UserError when there is none.
    """
    from pathlib import Path

    from garfield_vae.checkpoints import load_model  # torch takes seconds to import
    from garfield_vae.run_folder import PRETRAINED_NAME, pretrained_folder

    return load_model(pretrained_folder() if folder == PRETRAINED_NAME else Path(folder))
