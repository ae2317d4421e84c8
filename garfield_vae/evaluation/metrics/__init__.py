"""How good a comic VAE is, in figures that need no downloaded network.

reconstruction   test strips against their reconstructions: MSE, PSNR, SSIM, MS-SSIM
baselines        reconstructions that need no network: mean image, mosaic, PCA
likelihood       evidence lower bounds in bits a pixel value
features         fixed descriptions of a strip: a frozen random network, HOG with pixel PCA
fidelity         sets of strips on features: KID, precision, recall, density, coverage
wasserstein      sets of strips by patches, scale by scale
story            do a strip's panels belong together, in their order?
memorisation     distances to training strips, the data-copying test, novelty
disentanglement  latent means against the known factors of drawn strips
intervals        confidence by resampling weeks of strips

Pure functions on arrays and tensors: they know nothing of Lightning, files or the web. Strips are
float `[N, 3, 3, H, W]` in [-1, 1] (panel, channel, y, x), or uint8 of the same shape where a
function says so: a thousand strips are 317 MB as uint8 and 1.3 GB as float32, so sets stay uint8
and are converted a chunk at a time.
"""
