"""Exports a trained model to a folder that can be shared.

folder.py       weights, configuration, latent space; `checkpoints.load_exported` reads them
card.py         the model card
onnx_files.py   the networks in ONNX, for use without torch
"""
