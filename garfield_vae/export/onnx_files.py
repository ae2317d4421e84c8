"""The network in ONNX, for programs that have no torch: browsers, phones, other languages."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from garfield_vae.model.networks import StripVAE
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing

NEEDED = ("onnx", "onnxscript", "onnxruntime")  # requirements-export.txt
TOLERANCE = 1e-4  # between onnxruntime's values and torch's, on a scale of −1 to 1
CHECKED_STRIPS = 3  # not the number that the network is traced with, which is 2


class Encoder(nn.Module):
    def __init__(self, model: StripVAE):
        super().__init__()
        self.model = model

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.encode(strips)


class Decoder(nn.Module):
    def __init__(self, model: StripVAE):
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> Tensor:
        return self.model.decode(latents)


def can_write_onnx() -> bool:
    return all(find_spec(package) for package in NEEDED)


def write_onnx(model: StripVAE, folder: Path) -> None:
    """Writes encoder.onnx and decoder.onnx, and computes with both what the model computes.

    encoder: strips [N, 3, 3, H, W] in [-1, 1] → mean, log_std [N, z_dim]; decoder: latents
    [N, z_dim] → strips. `model` is on the CPU and was never evaluated in inference mode, whose
    tensors cannot be traced. Raises UserError when a value is off by more than 1e-4.
    """
    shape = 3, 3, model.config["panel_height"], model.config["panel_width"]
    generator = torch.Generator().manual_seed(0)
    strips = torch.rand(CHECKED_STRIPS, *shape, generator=generator) * 2 - 1
    latents = torch.randn(CHECKED_STRIPS, model.config["z_dim"], generator=generator)
    write_part(Encoder(model), strips, folder / "encoder.onnx", "strips", ["mean", "log_std"])
    write_part(Decoder(model), latents, folder / "decoder.onnx", "latents", ["strips"])


def write_part(part: nn.Module, example: Tensor, path: Path, name: str, outputs: list[str]) -> None:
    import onnxruntime  # an extra, and slow to load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            part.eval(),
            (example[:2],),
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            dynamo=True,
            verbose=False,
        )
    network = program.model_proto
    forget_origins(network.graph)
    with replacing(path) as file:
        file.write(network.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(outputs, {name: example.numpy()})
    with torch.no_grad():
        wanted = part(example)
    for one, other in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        if not (off := float(np.abs(one - other.numpy()).max())) <= TOLERANCE:
            raise UserError(
                f"{path.name} gives values that are off by {off:.1g}: install newer versions of "
                f"{', '.join(NEEDED)}, or uninstall onnx to export without it"
            )


def forget_origins(graph: Any) -> None:
    """Removes each node's note of the source file and line it comes from: paths of this machine."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
