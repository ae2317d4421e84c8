"""A trained model as a folder to give away, and such a folder from a stranger as a model.

export.py       writes the folder: weights, sizes, latent space
exported.py     reads it, believing nothing that it declares before it is checked
card.py         the model card in it
onnx_files.py   the network in ONNX, for programs that have no torch
"""
