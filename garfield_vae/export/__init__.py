"""A trained model as a folder to share.

folder.py       writes it: weights, sizes, latent space; `checkpoints.load_exported` reads it
card.py         the model card in it
onnx_files.py   the network in ONNX, for programs that have no torch
"""
