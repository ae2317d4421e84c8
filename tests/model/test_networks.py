"""StripVAE's contract: shapes, sharing, sizes, how it starts; and the published network's size."""

import pytest
import torch
import torch.nn.functional as functional

from benchmarks.published import PublishedVAE, beta_at
from garfield_vae.model.elbo import distortion, objective, rate
from garfield_vae.model.init import bilinear_output, cosine_basis
from garfield_vae.model.networks import (
    CELL,
    LARGEST,
    ResNetBlock,
    StripVAE,
    enlarge,
    to_cells,
    to_panels,
)

SMALL = {"z_dim": 40, "c_hidden": 2, "num_blocks": 1, "panel_height": 48, "panel_width": 40}


def strips(count: int, height: int = 48, width: int = 40) -> torch.Tensor:
    return torch.rand(count, 3, 3, height, width, generator=torch.manual_seed(1)) * 2 - 1


def small(**changes: int) -> StripVAE:
    torch.manual_seed(0)
    return StripVAE(**SMALL | changes)


def test_strips_become_a_mean_and_a_log_std_and_strips_again():
    model = small()
    reconstruction, mean, log_std = model(strips(4))
    assert mean.shape == log_std.shape == (4, 40)
    assert reconstruction.shape == (4, 3, 3, 48, 40)
    assert model.decode(mean).shape == (4, 3, 3, 48, 40)


def test_the_usual_size_fits_the_usual_strip():
    model = StripVAE(c_hidden=6).eval()
    with torch.inference_mode():
        mean, _ = model.encode(strips(1, 176, 200))
        assert mean.shape == (1, 1024)
        assert model.decode(mean).shape == (1, 3, 3, 176, 200)


def test_a_batch_of_one_trains_every_parameter():
    model = small()
    train_step(model)  # a block's first convolution has no gradient while its second is zero
    batch = strips(1)
    reconstruction, mean, log_std = model(batch)
    kl = rate(mean, log_std)
    objective(distortion(batch, reconstruction), kl, beta=1e-3).backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (16, 24), (40, 72), (120, 88), (64, 64), (104, 200)]
)
def test_any_multiples_of_eight_fit(height: int, width: int):
    model = small(panel_height=height, panel_width=width)
    assert model(strips(2, height, width))[0].shape == (2, 3, 3, height, width)


@pytest.mark.parametrize(("height", "width"), [(175, 200), (176, 204), (0, 8), (-8, 8), (4, 8)])
def test_other_sizes_are_refused_with_the_multiple_that_is_needed(height: int, width: int):
    with pytest.raises(ValueError, match=f"{height}×{width} pixels .* multiples of 8"):
        small(panel_height=height, panel_width=width)


@pytest.mark.parametrize("name", ["z_dim", "c_hidden", "num_blocks"])
def test_a_size_of_nothing_is_refused_by_name(name: str):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        small(**{name: 0})


@pytest.mark.parametrize("size", LARGEST)
def test_a_size_beyond_all_use_is_refused_before_anything_is_allocated(size: str):
    with pytest.raises(ValueError, match=f"{size} is {LARGEST[size] + 8}: .* {LARGEST[size]}$"):
        StripVAE(**SMALL | {size: LARGEST[size] + 8})


@pytest.mark.parametrize("z_dim", [1, 2, 3, 7, 539, 541, 1500])
def test_any_number_of_latent_dimensions_works(z_dim: int):
    model = small(z_dim=z_dim)
    reconstruction, mean, _ = model(strips(2))
    assert mean.shape == (2, z_dim)
    assert reconstruction.shape == (2, 3, 3, 48, 40)


def test_the_config_builds_the_same_network_again():
    model = small()
    again = StripVAE(**model.config)
    again.load_state_dict(model.state_dict())
    mean, _ = model.encode(strips(2))
    torch.testing.assert_close(again.encode(strips(2))[0], mean)


def test_one_encoder_serves_all_panels():
    model = small()
    codes = []
    model.encoder.register_forward_hook(lambda module, inputs, code: codes.append(code))
    batch = strips(2)
    model.encode(batch)
    model.encode(batch[:, [2, 0, 1]])
    first, permuted = (code.unflatten(0, (2, 3)) for code in codes)
    torch.testing.assert_close(permuted, first[:, [2, 0, 1]])


def test_one_decoder_serves_all_panels():
    model = small()
    paint = []
    model.decoder.register_forward_hook(lambda module, inputs, panels: paint.append(panels))
    code = torch.randn(3, *model.code_shape[1:])
    model.decoder(code)
    model.decoder(code[[2, 0, 1]])
    torch.testing.assert_close(paint[1], paint[0][[2, 0, 1]])


def test_strips_of_a_batch_do_not_influence_each_other():
    model = small()
    train_step(model)  # so that blocks and log_std are past their start
    batch = strips(3)
    together, alone = model.encode(batch), model.encode(batch[1:2])
    for all_rows, one in zip(together, alone, strict=True):
        torch.testing.assert_close(all_rows[1:2], one, rtol=1e-4, atol=1e-5)


def test_c_hidden_scales_every_width_and_num_blocks_counts_per_resolution():
    def convolutions(model: StripVAE) -> list[int]:
        return [m.out_channels for m in model.encoder.modules() if isinstance(m, torch.nn.Conv2d)]

    # stem, a block's two, down, two, squeeze
    assert convolutions(small(c_hidden=2)) == [16, 16, 16, 32, 32, 32, 2]
    assert convolutions(small(c_hidden=4)) == [32, 32, 32, 64, 64, 64, 2]
    for count in (1, 3):
        blocks = [m for m in small(num_blocks=count).modules() if isinstance(m, ResNetBlock)]
        assert len(blocks) == 2 * 2 * count


def test_reconstructions_stay_between_black_and_white():
    model = small()
    painted = model.decode(100 * torch.randn(4, 40))
    assert painted.min() >= -1
    assert painted.max() <= 1


def test_an_absurd_log_std_is_held_back():
    model = small()
    with torch.no_grad():
        model.join.bias[40:60] += 1e6
        model.join.bias[60:] -= 1e6
    _, log_std = model.encode(strips(2))
    assert log_std.unique().tolist() == [-8.0, 3.0]


def test_the_encoder_answers_in_full_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        mean, log_std = small().encode(strips(2))
    assert mean.dtype == log_std.dtype == torch.float32


def test_blocks_start_as_the_identity():
    block = small().encoder.stages[0]
    x = torch.randn(2, 16, 6, 5)
    torch.testing.assert_close(block(x), x)


def test_the_latent_vector_starts_as_a_rotation_of_the_code_maps():
    model = small(z_dim=2 * 27)  # two channels at the 3 × 3 × 3 places of 48×40 panels at 1/16
    features = torch.randn(5, model.join.in_features)
    mean, log_std = model.join(features).chunk(2, dim=1)
    torch.testing.assert_close(mean.norm(dim=1), features.norm(dim=1))
    torch.testing.assert_close(model.spread(mean), features, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(log_std, torch.full_like(log_std, -2.0))


def test_the_cosine_basis_is_orthonormal_and_its_first_row_is_flat():
    basis = cosine_basis((3, 2, 4, 5), 17)
    torch.testing.assert_close(basis @ basis.T, torch.eye(17), atol=1e-5, rtol=0)
    first = basis[0].reshape(3, 2, 4, 5)
    torch.testing.assert_close(first[0, 0], torch.full((4, 5), 20**-0.5))
    assert first[1:].abs().max() == 0


def test_every_panel_and_channel_gets_a_frequency_before_the_next_higher_one():
    means = cosine_basis((3, 2, 4, 5), 6).reshape(6, 3, 2, 20).mean(dim=3)
    assert (means.abs() > 1e-3).sum(dim=(1, 2)).tolist() == [1] * 6
    assert means.abs().sum(dim=0).min() > 1e-3


def test_the_network_is_built_without_memory_for_checking_a_file():
    with torch.device("meta"):
        model = StripVAE(**SMALL)
    model.load_state_dict(small().state_dict(), assign=True)
    torch.testing.assert_close(model.encode(strips(2)), small().encode(strips(2)))


def test_a_few_steps_on_one_batch_reduce_the_error():
    model = small()
    errors = train_step(model, steps=30)
    assert errors[-1] < 0.5 * errors[0]


def test_channels_last_training_in_half_precision_survives_narrow_widths():
    # torch's CPU library corrupts the heap on some narrow strided channels_last convolutions
    model = small(c_hidden=1).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        errors = train_step(model, steps=5)
    assert all(torch.isfinite(torch.tensor(errors)))


def train_step(model: StripVAE, steps: int = 1) -> list[float]:
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batch = strips(4, 1, 1).expand(-1, -1, -1, 48, 40)  # panels of one colour each
    errors = []
    for _ in range(steps):
        reconstruction, mean, log_std = model(batch)
        error = (reconstruction - batch).square().mean()
        (error + 1e-6 * (mean.square() + log_std.square()).sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(error.item())
    return errors


def test_the_published_network_has_its_97_085_546_parameters():
    with torch.device("meta"):
        model = PublishedVAE(z_dim=1024, c_hidden=6, num_blocks=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 97_085_546


def test_the_published_network_takes_and_gives_what_ours_does():
    model = PublishedVAE(z_dim=4, c_hidden=1, num_blocks=1).eval()
    with torch.inference_mode():
        reconstruction, mean, log_std = model(strips(1, 176, 200))
    assert reconstruction.shape == (1, 3, 3, 176, 200)
    assert mean.shape == log_std.shape == (1, 4)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1), (49, 1), (50, 4), (99, 4), (100, 16)])
def test_the_published_beta_rises_at_epochs_50_and_100(epoch: int, factor: int):
    assert beta_at(epoch, 1e-4) == pytest.approx(factor * 1e-4)


def test_the_last_layer_starts_as_bilinear_upsampling():
    torch.manual_seed(0)
    weight = bilinear_output(CELL, 5)
    maps = torch.randn(1, 5, 6, 7)
    painted = functional.pixel_shuffle(functional.conv2d(maps, weight, padding=1), CELL)
    mixture = weight.reshape(3, CELL, CELL, 5, 9).sum(-1)[
        :, 0, 0
    ]  # [3, 5]: every pixel's rows sum to it
    colours = torch.einsum("oc,bchw->bohw", mixture, maps)
    enlarged = functional.interpolate(
        colours, scale_factor=CELL, mode="bilinear", align_corners=False
    )
    # away from the edges, where one repeats and the other sees zeros
    torch.testing.assert_close(
        painted[..., CELL:-CELL, CELL:-CELL], enlarged[..., CELL:-CELL, CELL:-CELL]
    )


def test_cells_are_torchs_pixel_unshuffle_and_lie_channels_last_in_memory():
    panels = torch.randn(2, 3, 16, 40)
    cells = to_cells(panels)
    assert torch.equal(cells, functional.pixel_unshuffle(panels, CELL))
    assert cells.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(to_panels(cells), panels)


@pytest.mark.parametrize("size", [(22, 25), (1, 1), (7, 64), (511, 513)])
def test_enlarging_repeats_every_value_and_cuts_off_what_halving_rounded_up(size):
    small = torch.randn(1, 2, *(-(-side // 2) for side in size))
    expected = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(enlarge(small, size), expected[..., : size[0], : size[1]])
