"""A page on this machine on which a person turns the model's knobs and watches the strip change."""

from garfield_vae.explorer.server import explore

__all__ = ["explore"]
