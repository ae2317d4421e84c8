"""The VAE in plain torch, without files and without Lightning: networks.py, then elbo.py."""
