"""MuonAdamW: what Muon does to a matrix, and that AdamW's part is torch's own."""

import copy

import pytest
import torch
from torch import nn

from garfield_vae.training.optimizer import MOMENTUM, MuonAdamW, orthogonalise


def test_singular_values_come_near_one_and_directions_stay():
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(6, 9), full_matrices=False)
    matrix = u @ torch.diag(torch.tensor([5.0, 2.0, 1.0, 0.5, 0.2, 0.1])) @ v
    for m, left, right in ((matrix, u, v), (matrix.T, v.T, u.T)):
        inside = left.T @ orthogonalise(m, torch.float32) @ right.T  # diagonal if directions stay
        assert ((inside.diagonal() > 0.6) & (inside.diagonal() < 1.3)).all()
        assert (inside - torch.diag(inside.diagonal())).abs().max() < 1e-4


def test_a_step_is_as_long_as_lr_says_whatever_the_gradient():
    for scale in (1e-6, 1.0, 1e6):
        weight = nn.Parameter(torch.zeros(4, 4))
        optimizer = MuonAdamW([{"params": [weight], "muon": True, "lr": 0.1, "weight_decay": 0.0}])
        weight.grad = scale * torch.eye(4)
        optimizer.step()
        values = torch.linalg.svdvals(weight.detach())
        assert ((values > 0.06) & (values < 0.13)).all()


def test_a_convolution_is_the_matrix_that_it_applies_to_a_patch():
    torch.manual_seed(0)
    kernel, matrix = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.zeros(8, 27))
    matrix.data.copy_(kernel.data.flatten(1))
    groups = [
        {"params": [p], "muon": True, "lr": 0.1, "weight_decay": 0.5} for p in (kernel, matrix)
    ]
    kernel.grad = torch.randn(8, 3, 3, 3)
    matrix.grad = kernel.grad.flatten(1).clone()
    MuonAdamW(groups).step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_decay_shrinks_by_lr_times_decay():
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = MuonAdamW([{"params": [weight], "muon": True, "lr": 0.1, "weight_decay": 0.5}])
    weight.grad = torch.zeros(2, 2)
    optimizer.step()
    assert torch.allclose(weight, torch.full((2, 2), 0.95))


def test_the_momentum_is_the_running_mean_of_gradients_and_nesterov_looks_ahead():
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = MuonAdamW([{"params": [weight], "muon": True, "lr": 0.1, "weight_decay": 0.0}])
    first, second = torch.eye(2), torch.diag(torch.tensor([1.0, -0.6]))
    for gradient in (first, second):
        weight.grad = gradient.clone()
        optimizer.step()
    mean = MOMENTUM * (1 - MOMENTUM) * first + (1 - MOMENTUM) * second
    assert torch.allclose(optimizer.state[weight]["momentum"], mean)
    # The last mean is still positive, but its next one would not be: the step turns already.
    assert mean[1, 1] > 0 > MOMENTUM * mean[1, 1] + (1 - MOMENTUM) * second[1, 1]
    assert weight[0, 0] < -0.13
    assert abs(weight[1, 1]) < 0.05


def test_a_step_of_a_tall_matrix_is_longer_by_the_root_of_its_shape():
    torch.manual_seed(0)
    for shape, length in (((16, 4), 2.0), ((4, 16), 1.0)):
        weight = nn.Parameter(torch.zeros(shape))
        optimizer = MuonAdamW([{"params": [weight], "muon": True, "lr": 0.1, "weight_decay": 0.0}])
        weight.grad = torch.randn(shape)
        optimizer.step()
        values = torch.linalg.svdvals(weight.detach()) / (0.1 * length)
        assert ((values > 0.6) & (values < 1.3)).all()


def test_the_other_parameters_get_torchs_own_adamw():
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(5))
    theirs = nn.Parameter(ours.detach().clone())
    hidden = nn.Parameter(torch.randn(4, 4))
    settings = {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.1}
    one = MuonAdamW([{"params": [ours]}, {"params": [hidden], "muon": True}], **settings)
    other = torch.optim.AdamW([theirs], **settings)
    for _ in range(3):
        ours.grad = torch.randn(5)
        theirs.grad = ours.grad.clone()
        hidden.grad = torch.randn(4, 4)
        one.step()
        other.step()
    assert torch.equal(ours, theirs)


def test_a_restored_optimizer_goes_on_with_the_same_bits():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))

    def optimizer(model: nn.Module) -> MuonAdamW:
        matrices = [p for p in model.parameters() if p.ndim > 1]
        vectors = [p for p in model.parameters() if p.ndim == 1]
        return MuonAdamW([{"params": matrices, "muon": True}, {"params": vectors}], lr=0.01)

    def train(model: nn.Module, by: MuonAdamW, seed: int) -> None:
        x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
        by.zero_grad()
        model(x).square().sum().backward()
        by.step()

    one = optimizer(net)
    train(net, one, 1)
    other_net = copy.deepcopy(net)
    other = optimizer(other_net)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    train(net, one, 2)
    train(other_net, other, 2)
    for a, b in zip(net.parameters(), other_net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_closure_is_called_with_gradients_and_its_loss_is_given():
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = MuonAdamW([{"params": [weight], "muon": True, "lr": 0.1, "weight_decay": 0.0}])

    def closure():
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(4.0)
    assert (weight < 1).all()
