"""A variational autoencoder that learns to draw three-panel comic strips."""

import os

__version__ = "0.1.0"

# How long an idle OpenMP thread of torch's spins before it sleeps; read when torch is imported.
# The default, about a millisecond, is fine on an idle machine, and makes training many times
# slower on one whose cores other programs want too.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
