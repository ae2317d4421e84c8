"""Lightning around the model: its steps, its data, what happens between epochs.

module.py        training the VAE; prior_module.py, training the latent prior
optimizer.py     Muon and AdamW as one optimizer
data_module.py   batches of strips; augment.py, their data augmentation
callbacks.py     after each epoch: figures, checkpoints, pictures; health.py, warnings
trainer.py       from the options to Lightning's Trainer; prior_run.py, the same for the prior
"""
