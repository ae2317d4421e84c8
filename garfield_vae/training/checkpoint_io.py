"""How Lightning's checkpoints reach the disk."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from garfield_vae.util.files import replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints that are whole or not there.

    Lightning's own writes to the system's temporary folder and moves the file, which is no longer
    atomic when that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options=None) -> None:
        with replacing(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch closes its archive even when the disk is full, and that fails again
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise
