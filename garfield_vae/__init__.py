"""A variational autoencoder that learns to draw three-panel comic strips."""

__version__ = "0.1.0"
