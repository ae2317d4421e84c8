"""The flags of a training that takes seconds, and the sizes of a prior."""

# Small in every respect but whole in all: the same code at panels of 32 × 40.
SMALL = [
    *("--source", "folder", "--panel_height", "32", "--panel_width", "40"),
    *("--z_dim", "16", "--c_hidden", "2", "--num_blocks", "1", "--batch_size", "8"),
    *("--accelerator", "cpu", "--devices", "1", "--precision", "32-true", "--prior_minutes", "0"),
]

SMALL_PRIOR = {  # code maps of 2 × 2 values, in patches of 1 × 2
    "z_dim": 12,
    "components": 12,
    "code_channels": 1,
    "code_height": 2,
    "code_width": 2,
    "patch_height": 1,
    "patch_width": 2,
    "width": 32,
    "depth": 2,
    "heads": 2,
}
