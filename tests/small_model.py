"""The flags of a training that takes seconds."""

# Small in every respect but whole in all: the same code at panels of 32 × 40.
SMALL = [
    *("--source", "folder", "--panel_height", "32", "--panel_width", "40"),
    *("--z_dim", "16", "--c_hidden", "2", "--num_blocks", "1", "--batch_size", "8"),
    *("--accelerator", "cpu", "--devices", "1", "--precision", "32-true", "--prior_minutes", "0"),
]
