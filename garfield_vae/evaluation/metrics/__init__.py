"""The measures: pure functions on arrays and tensors. None needs a pretrained network.

reconstruction   test strips against their reconstructions: MSE, PSNR, SSIM, MS-SSIM
baselines        reconstructions without a network: mean image, mosaic, PCA
likelihood       evidence lower bounds in bits per pixel value
features         fixed features of a strip: a frozen random network, HOG with pixel PCA
fidelity         sets of strips by features: KID, precision, recall, density, coverage
wasserstein      sets of strips by patches, at several scales
story            do the panels of a strip belong together, in this order, not mirrored?
memorisation     distances to training strips, the data-copying test, novelty
disentanglement  latents against known factors: MIG, DCI, SAP
intervals        confidence intervals by resampling weeks of strips

Strips are [N, 3, 3, H, W] (strip, panel, channel, y, x). Sets are uint8, and are converted to float
in [-1, 1] a chunk at a time: a thousand strips are 317 MB as uint8 and 1.3 GB as float32.
"""
