"""Semi-amortised inference, against least squares and against decoders that are hard to fit."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from garfield_vae.model.inference import fit
from garfield_vae.model.networks import StripVAE

SHAPE = 3, 3, 2, 2  # a strip of three panels with 12 values each
VALUES = 36


class Decoder(nn.Module):
    """A decoder that is any function of A z + b, as large as a tiny strip."""

    def __init__(self, z_dim: int, function=lambda values: values, seed: int = 0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(VALUES, z_dim, generator=generator))
        self.offset = nn.Parameter(torch.randn(VALUES, generator=generator))
        self.function = function

    def decode(self, z: Tensor) -> Tensor:  # [B, z] → [B, *SHAPE]
        return self.function(z @ self.matrix.T + self.offset).unflatten(1, SHAPE)

    def errors(self, strips: Tensor, z: Tensor) -> Tensor:  # → [B, 3], a panel each
        with torch.no_grad():
            return (self.decode(z) - strips).square().sum(dim=(2, 3, 4))


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_linear_decoder_is_fitted_in_as_many_steps_as_it_has_dimensions():
    decoder, strips = Decoder(6), random(4, *SHAPE)
    fitted = fit(decoder, strips, random(4, 6, seed=2), steps=6)
    with torch.no_grad():
        target = (strips.flatten(1) - decoder.offset).T.numpy()
        solution, *_ = np.linalg.lstsq(decoder.matrix.numpy(), target)
    np.testing.assert_allclose(fitted.numpy(), solution.T, atol=1e-3)


def test_the_first_step_goes_down_the_gradient_as_far_as_the_error_falls():
    decoder = Decoder(2)
    with torch.no_grad():  # E = ½ · (z₀² + 4·z₁²): the decoder draws (z₀, 2·z₁, 0, 0, …)
        decoder.matrix.zero_()
        decoder.matrix[0, 0], decoder.matrix[1, 1] = 1.0, 2.0
        decoder.offset.zero_()
    fitted = fit(decoder, torch.zeros(1, *SHAPE), torch.tensor([[4.0, 1.0]]), steps=1)
    # ∇E = (4, 4) and ‖J ∇E‖² = 4² + 8² = 80, so the step is 32 / 80 of the gradient.
    torch.testing.assert_close(fitted, torch.tensor([[2.4, -0.6]]))


@pytest.mark.parametrize(
    "function",
    [torch.tanh, lambda x: torch.sin(20 * x), lambda x: torch.sign(x), lambda x: x**3, torch.exp],
    ids=["tanh", "waves", "steps", "cubes", "exponential"],
)
@pytest.mark.parametrize("steps", [1, 5])
def test_no_strip_is_redrawn_worse_than_from_the_latents_given(function, steps):
    decoder, strips, z = Decoder(6, function), random(20, *SHAPE), random(20, 6, seed=2)
    fitted = fit(decoder, strips, z, steps)
    assert fitted.isfinite().all()
    assert (decoder.errors(strips, fitted).sum(1) <= decoder.errors(strips, z).sum(1)).all()


def test_a_network_redraws_every_strip_better():
    torch.manual_seed(0)
    vae = StripVAE(z_dim=12, c_hidden=2, num_blocks=1, panel_height=16, panel_width=16).eval()
    strips = random(3, 3, 3, 16, 16).clamp(-1, 1)
    with torch.no_grad():
        z, _ = vae.encode(strips)
        fitted = fit(vae, strips, z, steps=4)
        before, after = (
            (vae.decode(latents) - strips).square().mean(dim=(1, 2, 3, 4))
            for latents in (z, fitted)
        )
    assert (after < before).all()


def test_every_strip_is_fitted_on_its_own():
    decoder, strips, z = Decoder(6, torch.tanh), random(3, *SHAPE), random(3, 6, seed=2)
    alone = [fit(decoder, strips[i : i + 1], z[i : i + 1], 3) for i in range(3)]
    torch.testing.assert_close(fit(decoder, strips, z, 3), torch.cat(alone))


def test_only_known_panels_count():
    decoder, strips, z = Decoder(6, torch.tanh), random(2, *SHAPE), random(2, 6, seed=2)
    known = torch.tensor([[True, False, True], [False, True, False]])
    fitted = fit(decoder, strips, z, 4, known)
    before, after = (decoder.errors(strips, latents) * known for latents in (z, fitted))
    assert (after.sum(1) < before.sum(1)).all()
    others = torch.where(known[:, :, None, None, None], strips, 5 * random(2, *SHAPE, seed=3))
    torch.testing.assert_close(fit(decoder, others, z, 4, known), fitted, rtol=0, atol=0)


def test_a_step_with_one_known_panel_is_that_of_a_decoder_of_this_panel():
    decoder, strips, z = Decoder(3), random(1, *SHAPE), random(1, 3, seed=2)
    known = torch.tensor([[False, True, False]])
    rows = slice(VALUES // 3, 2 * VALUES // 3)  # of the second panel
    with torch.no_grad():
        target = (strips.flatten(1) - decoder.offset)[0, rows].numpy()
        solution, *_ = np.linalg.lstsq(decoder.matrix[rows].numpy(), target)
    np.testing.assert_allclose(fit(decoder, strips, z, 3, known)[0].numpy(), solution, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "strips", "z", "known"),
    [
        (torch.tanh, random(2, *SHAPE), random(2, 6), torch.zeros(2, 3, dtype=torch.bool)),
        (lambda x: 0 * x, random(2, *SHAPE), random(2, 6), None),
        (torch.sign, random(2, *SHAPE), random(2, 6), None),
    ],
    ids=["no known panel", "a decoder that ignores z", "a decoder without slope"],
)
def test_without_a_gradient_latents_stay(function, strips, z, known):
    assert fit(Decoder(6, function), strips, z, 3, known).equal(z)


def test_without_an_error_latents_stay():
    decoder, z = Decoder(6, torch.tanh), random(2, 6)
    assert fit(decoder, decoder.decode(z).detach(), z, 3).equal(z)


def test_latents_of_zero_and_equal_constant_strips_are_fitted_too():
    decoder, strips = Decoder(6, torch.tanh), torch.ones(3, *SHAPE)
    z = torch.zeros(3, 6)
    fitted = fit(decoder, strips, z, 3)
    assert (decoder.errors(strips, fitted).sum(1) < decoder.errors(strips, z).sum(1)).all()
    torch.testing.assert_close(fitted[0], fitted[1])


def test_no_step_changes_nothing():
    z = random(2, 6)
    assert fit(Decoder(6), random(2, *SHAPE), z, steps=0).equal(z)


def test_the_network_and_its_gradients_stay_as_they_are():
    decoder, strips = Decoder(6, torch.tanh), random(2, *SHAPE)
    decoder.matrix.grad = torch.full_like(decoder.matrix, 7.0)
    decoder.offset.requires_grad_(False)
    weights = decoder.matrix.detach().clone()
    with torch.no_grad():
        fitted = fit(decoder, strips, random(2, 6), 2)
        assert not torch.is_grad_enabled()
    assert not fitted.requires_grad
    assert decoder.matrix.equal(weights)
    assert (decoder.matrix.grad == 7.0).all()
    assert decoder.offset.grad is None
    assert [p.requires_grad for p in decoder.parameters()] == [True, False]
