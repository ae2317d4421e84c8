"""A web page on this machine: sliders move a strip's latent vector, and the strip follows."""

from garfield_vae.explorer.server import explore, listen
from garfield_vae.explorer.service import Explorer

__all__ = ["Explorer", "explore", "listen"]
