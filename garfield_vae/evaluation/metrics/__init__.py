"""How good a comic VAE is, in figures that need no downloaded network.

reconstruction   held-out strips against what the model makes of them
bounds           rate, evidence bounds and the noise that a mean squared error implies
baselines        reconstructions that need no network: mean image, mosaic, PCA
features         fixed descriptions of a strip: a frozen random network, HOG with pixel PCA
samples          sets of drawn strips against sets of real ones, on features and in pixels
wasserstein      the same by patches, scale by scale
disentanglement  latent means against the known factors of drawn strips
intervals        confidence by resampling strips

Pure functions on arrays and tensors: they know nothing of Lightning, files or the web. Strips are
float `[N, 3, 3, H, W]` in [-1, 1] (panel, channel, y, x), or uint8 of the same shape where a
function says so: a thousand strips are 317 MB as uint8 and 1.3 GB as float32, so sets stay uint8
and are converted a chunk at a time.
"""
