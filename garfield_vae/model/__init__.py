"""The VAE and its latent prior in plain torch, without files and without Lightning.

networks.py   the encoder and the decoder; init.py has their first weights
elbo.py       the objective: reparameterisation, distortion, rate, ELBO, beta
inference.py  latents of single strips, better than the encoder's (semi-amortised inference)
prior.py      the latent prior, by flow matching; flow.py is that without a network
velocity.py   the prior's network
guidance.py   samples that are cleaner than the network's own; rejection.py draws faults again
morph.py      the strips between two strips, through the prior's noise
"""
