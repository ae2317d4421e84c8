"""The latent space: strips to latents and back, principal components, samplers, files."""
