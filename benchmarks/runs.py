"""A trained run with its strips, their latents and its prior. What benchmarks of samplers share."""

from pathlib import Path

from garfield_vae.checkpoints import LoadedModel, load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.data.store import PanelStore
from garfield_vae.latent.files import EncodedStrips, encoded_strips
from garfield_vae.latent.prior_sampler import PriorSampler
from garfield_vae.prior_checkpoints import load_prior, prior_sampler
from garfield_vae.run_folder import find_run_folder


def load_trained(name: str) -> tuple[LoadedModel, PanelStore, EncodedStrips, PriorSampler | None]:
    """The run of this folder below logs/, or "last"; None where it has no prior worth using."""
    run = load_run(find_run_folder(name, Path("logs")))
    store = present_strips(run.options)
    encoded = encoded_strips(run.model, run.digest, run.folder, store)
    return run, store, encoded, prior_sampler(load_prior(run), encoded.space)
