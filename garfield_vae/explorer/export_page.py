"""One HTML file with the sliders and the decoder inside, which runs in a browser without a server.

The decoder is traced by torch.export; what it does becomes a list of a few kinds of operations, and
the page's own script runs them (offline/decoder.js), its convolutions as WebAssembly. Weights are
stored as 16-bit floats, which changes a pixel by at most a grey level or two and halves the file.
"""

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from garfield_vae.data.panels import join_panels
from garfield_vae.explorer.explorer import Explorer
from garfield_vae.geometry import PANELS
from garfield_vae.latent.samplers import BANDWIDTH
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.networks import StripVAE
from garfield_vae.util.errors import UserError
from garfield_vae.util.files import replacing

if TYPE_CHECKING:
    from garfield_vae.checkpoints import LoadedModel

PAGE_SCRIPTS = (
    "state.js",
    "sliders.js",
    "easel.js",
    "shelf.js",
    "between.js",
    "strips.js",
    "keys.js",
    "page.js",
    "offline/offline.js",
)
DECODER_SCRIPTS = ("offline/kernel.js", "offline/decoder.js")


def export_page(
    loaded: "LoadedModel", space: LatentSpace, folder: Path, file: Path, *, sliders: int = 20
) -> int:
    """Writes the page to `file` and gives its size in bytes. `folder` has the components' names.

    Raises UserError when the network does something that the page cannot.
    """
    explorer = Explorer(loaded, space, None, None, folder, sliders)
    try:
        content = page(explorer).encode()
    finally:
        explorer.painter.close()
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
    style = read("page.css")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {digest(scripts['page'])} 'wasm-unsafe-eval'",
            f"style-src {digest(style)}",
            "img-src blob: data:",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    html = read("page.html")
    html = re.sub(r'\s*<link rel="stylesheet".*?>', lambda _: f"\n  <style>{style}</style>", html)
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
    """What offline.js reads."""
    positions, space = explorer.positions, explorer.positions.space
    k = positions.sliders
    height, width = explorer.panel_size
    operations, weights = operations_of(explorer.painter.model)
    strip_height = join_panels(np.zeros((PANELS, 3, height, width), np.uint8)).shape[0]
    return {
        # a browser keeps favourites a model, and this one paints without the finer detail
        "info": {
            **explorer.info(),
            "model": f"{positions.fingerprint}-page",
            "strips": None,
            "can": [],
        },
        "height": height,
        "width": width,
        "gutter": (strip_height - height) // 2,
        "operations": operations,
        "weights": halves(weights),
        "mean": halves(space.mean),
        "directions": halves(space.components[:k] * space.std[:k, None]),
        "kernels": halves(space.kernels[:, :k]),
        "novelty": BANDWIDTH,
        "ends": base64.b64encode(explorer.ends_png()).decode(),
    }


def halves(values: np.ndarray) -> str:
    """Base64 of little-endian 16-bit floats."""
    return base64.b64encode(np.ascontiguousarray(values, "<f2").tobytes()).decode()


# ---------------------------------------------------------------------------------------------
# From the network to a list of operations


class Decode(nn.Module):
    def __init__(self, model: StripVAE):
        super().__init__()
        self.model = model

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.model.decode(z)


def operations_of(model: StripVAE) -> tuple[list[dict[str, Any]], np.ndarray]:
    """What `model.decode` does to one latent, for one panel, and the weights it needs [n].

    Each operation: name; inputs, the numbers of earlier operations or -1 for the latent; shape of
    its result, [length] or [channels, height, width]; what else its kind needs, where `weights`
    are two positions in the array, of the weight and the bias.
    """
    example = torch.zeros(1, model.config["z_dim"], device=next(model.parameters()).device)
    with torch.no_grad():
        program = torch.export.export(Decode(model), (example,)).run_decompositions({})
    weights: list[np.ndarray] = []
    operations: list[dict[str, Any]] = []
    results = {}  # a node of the graph → the number of the operation that makes it
    parameters = {**program.state_dict, **program.constants}
    names = {
        **program.graph_signature.inputs_to_parameters,
        **program.graph_signature.inputs_to_buffers,
    }

    def keep(node: torch.fx.Node) -> int:
        values = parameters[names[node.name]].detach().float().cpu().numpy().reshape(-1)
        start = sum(map(len, weights))
        weights.append(values)
        return start

    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name not in names:
            results[node] = -1
        if node.op != "call_function":
            continue
        kind = str(node.target).removeprefix("aten.").partition(".")[0]
        shape = list(node.meta["val"].shape)
        inputs = [results[a] for a in node.args if isinstance(a, torch.fx.Node) and a in results]
        found = translate(kind, node, keep, shape)
        if found is None:  # the same values, seen otherwise
            results[node] = inputs[0]
            continue
        operations.append({"inputs": inputs, "shape": shape[1:], **found})
        results[node] = len(operations) - 1
    return operations, np.concatenate(weights)


def translate(kind: str, node: torch.fx.Node, keep, shape: list[int]) -> dict[str, Any] | None:
    """An ATen operation as one of the page's; None for one that changes nothing there.
    Raises UserError for all that the page has no code for."""
    arguments = [*node.args, *node.kwargs.values()]
    match kind:
        case "linear" if len(arguments) == 3:
            return {"name": "linear", "weights": [keep(arguments[1]), keep(arguments[2])]}
        case "mul" if isinstance(arguments[1], float | int):
            return {"name": "scale", "factor": arguments[1]}
        case "view" | "reshape" if len(shape) == 4 and shape[0] == PANELS:
            return {"name": "maps"}
        case "view" | "reshape" | "alias" | "clone" | "contiguous" if kept(node, shape):
            return None
        case "conv2d" if plain_convolution(node):
            taps = arguments[1].meta["val"].shape[-1]
            return {"name": "conv", "taps": taps, "weights": [keep(a) for a in arguments[1:3]]}
        case "silu" | "tanh":
            return {"name": kind}
        case "add" if len(arguments) == 2 and isinstance(arguments[1], torch.fx.Node):
            return {"name": "add"}
        case "upsample_nearest2d" if halved(shape) == list(arguments[0].meta["val"].shape)[-2:]:
            return {"name": "double"}
        # networks.to_panels: two views that wait for the copy that moves the pixels
        case "permute" if arguments[1] in ([0, 2, 3, 1], [0, 3, 1, 4, 2, 5]):
            return None
        case "view" | "reshape" if len(shape) == 6:
            return None
        case "_unsafe_view" if len(before := arguments[0].meta["val"].shape) == 6:
            return {"name": "shuffle", "factor": before[3]}
    raise UserError(
        f"this network cannot run inside a page: it uses {node.target}, "
        f"for which garfield_vae/explorer/offline has no code"
    )


def kept(node: torch.fx.Node, shape: list[int]) -> bool:
    """Whether a view leaves every panel's values where they were: all but the first sizes."""
    before = list(node.args[0].meta["val"].shape)
    return before == shape or before[-3:] == shape[-3:]


def halved(shape: list[int]) -> list[int]:
    """Height and width of maps that, doubled and with what was rounded up cut off, are of shape."""
    return [-(-size // 2) for size in shape[-2:]]


def plain_convolution(node: torch.fx.Node) -> bool:
    """Whether it has a bias, stride 1, a 1×1 or 3×3 kernel, and a result as large as its input."""
    before, after = node.args[0].meta["val"].shape, node.meta["val"].shape
    taps = node.args[1].meta["val"].shape[-2:]
    plain = len(node.args) >= 3 and node.args[2] is not None
    return plain and before[-2:] == after[-2:] and tuple(taps) in ((1, 1), (3, 3))
