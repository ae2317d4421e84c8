"""The latent space of a trained model: strips in it, its principal components, samples from it.

codec.py      strips → posterior means and variances, or fitted latents; latents → strips
space.py      PCA of the posterior means: coordinates, sliders, latent traversals
samplers.py   how latents of new strips are drawn; prior_sampler.py, by the latent prior
files.py      what of this is kept in a run's folder and in an exported model
"""
