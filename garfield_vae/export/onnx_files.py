"""Encoder and decoder in ONNX, for use without torch: browsers, phones, other languages."""

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
CHECKED_STRIPS = 3  # a batch of another size than the one that is traced, of 2


class Part(nn.Module):
    """A method of StripVAE as a module of its own, which can be exported."""

    def __init__(self, model: StripVAE, method: str):
        super().__init__()
        self.model, self.method = model, method

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return getattr(self.model, self.method)(inputs)


def can_write_onnx() -> bool:
    return all(find_spec(package) for package in NEEDED)


def write_onnx(model: StripVAE, folder: Path) -> None:
    """Writes encoder.onnx and decoder.onnx, and compares their outputs with the model's.

    encoder: strips [N, 3, 3, H, W] in [-1, 1] → mean, log_std [N, z_dim]; decoder: latents
    [N, z_dim] → strips. `model` is on the CPU, and its tensors are not from inference mode, where
    they could not be traced. Raises UserError where a value differs by more than 1e-4.
    """
    shape = 3, 3, model.config["panel_height"], model.config["panel_width"]
    generator = torch.Generator().manual_seed(0)
    strips = torch.rand(CHECKED_STRIPS, *shape, generator=generator) * 2 - 1
    latents = torch.randn(CHECKED_STRIPS, model.config["z_dim"], generator=generator)
    write_part(
        Part(model, "encode"), strips, folder / "encoder.onnx", "strips", ["mean", "log_std"]
    )
    write_part(Part(model, "decode"), latents, folder / "decoder.onnx", "latents", ["strips"])


def write_part(part: nn.Module, example: Tensor, path: Path, name: str, outputs: list[str]) -> None:
    import onnxruntime  # optional

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
    remove_source_lines(network.graph)
    with replacing(path) as file:
        file.write(network.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(outputs, {name: example.numpy()})
    with torch.no_grad():
        wanted = part(example)
    for one, other in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        if not (off := float(np.abs(one - other.numpy()).max())) <= TOLERANCE:
            raise UserError(
                f"{path.name} gives values that differ by {off:.1g} from torch's: install newer "
                f"versions of {', '.join(NEEDED)}, or uninstall onnx to export without it"
            )


def remove_source_lines(graph: Any) -> None:
    """Removes the source file and line of each node, which are paths on the user's machine."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
