"""One HTML file with the sliders and the decoder inside, which runs in a browser without a server.

The decoder's layers become a list of a few kinds of operations, which the page's own script runs
(offline/decoder.js), its convolutions as WebAssembly. Weights are stored as 16-bit floats, which
changes a pixel by at most a grey level or two and halves the file. A few hundred samples go with
it, drawn here as the explorer's server draws them, because the page can draw none itself.
"""

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from garfield_vae.data.panels import join_panels
from garfield_vae.explorer.service import Explorer
from garfield_vae.explorer.states import Positions
from garfield_vae.geometry import CHANNELS, PANELS
from garfield_vae.model.networks import CELL, PanelDecoder, ResNetBlock, StripVAE
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing

SAMPLES = 300  # that the page holds
PAGE_SCRIPTS = (
    "state.js",
    "sliders.js",
    "canvas.js",
    "notice.js",
    "favourites.js",
    "walk.js",
    "map.js",
    "real_strips.js",
    "saving.js",
    "controls.js",
    "page.js",
    "offline/backend.js",
)
DECODER_SCRIPTS = ("offline/convolution.js", "offline/decoder.js")


def export_page(explorer: Explorer, file: Path) -> int:
    """Writes the page to `file` and gives its size in bytes.

    Raises UserError when the network does something that the page cannot.
    """
    content = page(explorer).encode()
    with replacing(file) as out:
        out.write(content)
    return len(content)


def page(explorer: Explorer) -> str:
    here = files("garfield_vae.explorer")

    def read(name: str) -> str:
        folder = here if "/" in name else here / "static"
        return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")

    scripts = {
        name: bundle({part: read(part) for part in names})
        for name, names in (("page", PAGE_SCRIPTS), ("decoder", DECODER_SCRIPTS))
    }
    # "</script>" would end the element it stands in; in JSON and scripts "<\/" means the same
    model = json.dumps(model_data(explorer)).replace("</", "<\\/")
    style, too_old = read("page.css"), read("too_old.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {digest(scripts['page'])} {digest(too_old)} 'wasm-unsafe-eval'",
            f"style-src {digest(style)}",
            "img-src blob: data:",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    html = read("page.html")
    html = re.sub(r'\s*<link rel="stylesheet".*?>', lambda _: f"\n  <style>{style}</style>", html)
    html = re.sub(r"\s*<script src=.*?</script>", lambda _: f"\n  <script>{too_old}</script>", html)
    html = re.sub(r'\s*<script type="module".*?</script>', "", html)
    html = html.replace(
        '<meta charset="utf-8">',
        f'<meta charset="utf-8">\n  <meta http-equiv="Content-Security-Policy" content="{policy}">',
    )
    elements = (
        f'<script type="application/json" id="model">{model}</script>\n'
        f'<script type="text/plain" id="decoder">{scripts["decoder"]}</script>\n'
        f'<script type="module">{scripts["page"]}</script>\n</body>'
    )
    return html.replace("</body>", elements)


def digest(content: str) -> str:
    """A Content-Security-Policy source that allows exactly this inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def bundle(modules: dict[str, str]) -> str:
    """JavaScript modules, each after those it imports, as one script: every module becomes a
    function that gives its exports. Knows the forms of import and export that the page uses."""
    parts = ["const modules = {};"]
    for name, code in modules.items():
        code = re.sub(
            r'^import (?:\* as )?(.+?) from "\./([\w.]+)";$',
            r'const \1 = modules["\2"];',
            code,
            flags=re.M,
        )
        exported = re.findall(r"^export (?:async )?(?:const|class|function) (\w+)", code, re.M)
        code = re.sub(r"^export ", "", code, flags=re.M)
        short = name.rpartition("/")[2]
        parts.append(
            f'modules["{short}"] = (() => {{\n{code}\nreturn {{ {", ".join(exported)} }};\n}})();'
        )
    return "\n".join(parts)


def model_data(explorer: Explorer) -> dict[str, Any]:
    """What offline/backend.js reads."""
    positions, space = explorer.positions, explorer.positions.space
    k = positions.sliders
    height, width = explorer.panel_size
    operations, weights = operations_of(explorer.painter.model)
    strip_height = join_panels(np.zeros((PANELS, CHANNELS, height, width), np.uint8)).shape[0]
    return {
        "info": {**explorer.info(), "strips": None, "can": ["detail"], "seeds": SAMPLES},
        "suggestions": explorer.suggest_names(),
        "height": height,
        "width": width,
        "gutter": (strip_height - height) // 2,
        "operations": operations,
        "weights": halves(weights),
        "mean": halves(space.mean),
        "directions": halves(space.components[:k] * space.std[:k, None]),
        **samples(positions),
    }


def samples(positions: Positions) -> dict[str, str]:
    """The samples of the seeds 1 to SAMPLES, whole: their first k coordinates, and what these leave
    out, as 8-bit numbers with a scale a sample."""
    space, k = positions.space, positions.sliders
    latents = np.concatenate(list(positions.samples(range(1, SAMPLES + 1))))
    residuals = space.residual(latents, k)
    scales = np.maximum(np.abs(residuals).max(1, keepdims=True) / 127, 1e-4)
    small = (residuals / scales.astype("<f2")).round().clip(-127, 127).astype(np.int8)
    return {
        "coordinates": halves(space.coordinates(latents)[:, :k]),
        "residuals": base64.b64encode(small.tobytes()).decode(),
        "scales": halves(scales),
    }


def halves(values: np.ndarray) -> str:
    """Base64 of little-endian 16-bit floats."""
    return base64.b64encode(np.ascontiguousarray(values, "<f2").tobytes()).decode()


# ---------------------------------------------------------------------------------------------
# From the network to a list of operations


def operations_of(model: StripVAE) -> tuple[list[dict[str, Any]], np.ndarray]:
    """What `model.decode` does to one latent, for one panel, and the weights it needs [n].

    Each operation: name; inputs, the numbers of earlier operations or -1 for the latent; shape of
    its result, [length] or [channels, height, width]; what else its kind needs, where `weights`
    are two positions in the array, of the weight and the bias.
    """
    return OperationWriter().write(model)


class OperationWriter:
    """Follows `StripVAE.decode` and `PanelDecoder.forward` in networks.py, step by step."""

    def __init__(self):
        self.operations: list[dict[str, Any]] = []
        self.weights: list[np.ndarray] = []

    def write(self, model: StripVAE) -> tuple[list[dict[str, Any]], np.ndarray]:
        _, channels, height, width = model.code_shape
        flat = self.emit("linear", [-1], [PANELS * channels * height * width])
        self.operations[flat]["weights"] = self.keep(model.spread.weight, model.spread.bias)
        x = self.emit("maps", [flat], [channels, height, width])
        self.decoder(model.decoder, x)
        return self.operations, np.concatenate(self.weights)

    def decoder(self, decoder: PanelDecoder, x: int) -> int:
        x = self.module(decoder.stages[0], self.module(decoder.widen, x))
        for narrow, stage, size in zip(
            decoder.narrow, decoder.stages[1:], decoder.sizes[1:], strict=True
        ):
            x = self.emit("double", [x], [self.shape(x)[0], *size])
            x = self.module(stage, self.module(narrow, x))
        x = self.emit("tanh", [self.module(decoder.paint, self.emit("silu", [x]))])
        _, height, width = self.shape(x)
        shape = [CHANNELS, CELL * height, CELL * width]
        return self.emit("shuffle", [x], shape, factor=CELL)

    def module(self, module: nn.Module, x: int) -> int:
        """Writes a layer that is applied to the result of operation `x`; gives its own number.
        Raises UserError for a layer that the page has no code for."""
        match module:
            case nn.Sequential():
                for part in module:
                    x = self.module(part, x)
                return x
            case ResNetBlock():
                y = self.module(module.conv1, self.emit("silu", [x]))
                y = self.module(module.conv2, self.emit("silu", [y]))
                return self.emit("add", [x, y])
            case nn.Conv2d() if plain_convolution(module):
                number = self.emit("conv", [x], [module.out_channels, *self.shape(x)[1:]])
                self.operations[number] |= {
                    "taps": module.kernel_size[0],
                    "weights": self.keep(module.weight, module.bias),
                }
                return number
        raise UserError(
            f"this network cannot run inside a page: it uses {module}, "
            f"for which garfield_vae/explorer/offline has no code"
        )

    def emit(self, name: str, inputs: list[int], shape: list[int] | None = None, **more) -> int:
        """Adds an operation; without a shape its result has that of its first input."""
        shape = shape or self.shape(inputs[0])
        self.operations.append({"name": name, "inputs": inputs, "shape": shape, **more})
        return len(self.operations) - 1

    def shape(self, number: int) -> list[int]:
        return self.operations[number]["shape"]

    def keep(self, *tensors: torch.Tensor) -> list[int]:
        places = []
        for tensor in tensors:
            places.append(sum(map(len, self.weights)))
            self.weights.append(tensor.detach().float().cpu().numpy().reshape(-1))
        return places


def plain_convolution(module: nn.Conv2d) -> bool:
    """Whether it has a bias, stride 1, a 1×1 or 3×3 kernel, and a result as large as its input."""
    taps = module.kernel_size[0]
    return (
        module.bias is not None
        and (module.stride, module.dilation, module.groups) == ((1, 1), (1, 1), 1)
        and module.kernel_size in ((1, 1), (3, 3))
        and module.padding in (taps // 2, (taps // 2, taps // 2), "same")
        and module.padding_mode == "zeros"
    )
