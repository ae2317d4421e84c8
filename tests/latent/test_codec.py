"""Strips to latents and back, with and without fitting."""

import numpy as np
import pytest
import torch

from garfield_vae.data.panels import to_unit
from garfield_vae.latent import codec
from garfield_vae.latent.codec import FIT_BATCH, decode, encode, encode_fitted, reconstruct
from garfield_vae.model.networks import StripVAE

COUNT = FIT_BATCH + 3  # more than one batch


@pytest.fixture(scope="module")
def model() -> StripVAE:
    torch.manual_seed(0)
    return StripVAE(12, 2, num_blocks=1, panel_height=16, panel_width=24).eval()


@pytest.fixture(scope="module")
def strips() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 3, 3, 16, 24), dtype=np.uint8)


def errors(strips: np.ndarray, others: np.ndarray) -> np.ndarray:  # → [N, 3], a panel each
    return np.square(strips.astype(float) - others).mean(axis=(2, 3, 4))


def test_strips_are_encoded_as_the_posterior_of_the_model_however_many_there_are(
    model, strips, monkeypatch
):
    monkeypatch.setattr(codec, "BATCH", 4)
    with torch.no_grad():
        mean, log_std = model.encode(to_unit(torch.from_numpy(strips)))
    means, variances = encode(model, strips)
    np.testing.assert_allclose(means, mean, atol=1e-6)
    np.testing.assert_allclose(variances, log_std.exp() ** 2, rtol=1e-5)


def test_no_step_gives_the_encoders_latents(model, strips):
    means, _ = encode(model, strips)
    np.testing.assert_array_equal(encode_fitted(model, strips, steps=0), means)
    np.testing.assert_array_equal(reconstruct(model, strips, steps=0), decode(model, means))


def test_every_strip_of_every_batch_is_redrawn_better(model, strips):
    own, fitted = (errors(strips, reconstruct(model, strips, steps)) for steps in (0, 4))
    assert (fitted.mean(axis=1) < own.mean(axis=1)).all()
    np.testing.assert_array_equal(reconstruct(model, strips), reconstruct(model, strips, 4))


def test_each_strip_has_known_panels_of_its_own(model, strips):
    known = np.arange(3) == np.arange(COUNT)[:, None] % 3  # one panel each, in turn
    own = errors(strips, reconstruct(model, strips, 0))[known]
    latents = encode_fitted(model, strips, 4, known)
    assert (errors(strips, decode(model, latents))[known] < own).all()
    for row in (0, 1, 2, COUNT - 1):
        alone = encode_fitted(model, strips[[row]], 4, known[[row]])
        np.testing.assert_allclose(latents[[row]], alone, atol=2e-3)


def test_a_memory_map_that_cannot_be_written_is_fitted_too(model, strips, tmp_path):
    np.save(tmp_path / "strips.npy", strips)
    mapped = np.load(tmp_path / "strips.npy", mmap_mode="r")
    np.testing.assert_array_equal(encode_fitted(model, mapped, 2), encode_fitted(model, strips, 2))
