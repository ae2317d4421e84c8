"""The latent prior's part of a run: what it leaves, that it is stopped and continued exactly, and
what is drawn from it."""

import json
import math
import re
import shutil
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_model import SMALL_PRIOR

import process_model
import train_torch
from benchmarks.levers import QUIET_TRAINER
from garfield_vae.checkpoints import exported_space, load_model, load_run
from garfield_vae.data.sources import present_strips
from garfield_vae.latent.codec import encode
from garfield_vae.latent.files import encoded_strips, read_space
from garfield_vae.latent.space import LatentSpace
from garfield_vae.model.prior import LatentPrior
from garfield_vae.prior_checkpoints import (
    PRIOR_ENTRY,
    load_prior,
    prior_sampler,
)
from garfield_vae.training import interruption, prior_module, prior_run
from garfield_vae.training.interruption import StopSignals
from garfield_vae.training.prior_module import LatentData, PriorModule
from garfield_vae.util.errors import UserError

# Of two batches each; the learning rate falls in the second half, after the pace was measured.
EPOCHS, STEPS = 60, 120


def make_brief(patch: pytest.MonkeyPatch) -> None:
    """A small network, few steps, judged every forty."""
    small = partial(LatentPrior, width=32, depth=2, heads=2)
    patch.setattr(prior_run, "LatentPrior", small)
    for module in (prior_module, prior_run):
        patch.setattr(module, "MOST_EPOCHS", EPOCHS)
        patch.setattr(module, "BATCH", 16)
    patch.setattr(prior_run, "VALIDATED_EVERY", 40)


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    make_brief(monkeypatch)


@pytest.fixture
def run(trained_run, strips, tmp_path, monkeypatch) -> Path:
    """A copy of the small run, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_run.parent.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "logs" / "run"


def with_prior(run: Path, *flags: str) -> int:
    return train_torch.main(["--continue_from", str(run), "--prior_minutes", "5", *flags])


def weights(run: Path, name: str = "prior-last") -> dict[str, torch.Tensor]:
    path = run / "checkpoints" / f"{name}.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_with_no_minutes_the_vae_stays_as_it_is_and_its_prior_is_trained(run, capsys):
    last = run / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    more = ("--epochs", "1000", "--minutes", "0")
    assert with_prior(run, *more) == 0
    assert (run / "checkpoints" / "prior.ckpt").is_file()
    capsys.readouterr()
    assert with_prior(run, *more) == 0
    assert "nothing left to do: the VAE stays as it is with --minutes 0, and its prior is done" in (
        capsys.readouterr().out
    )
    assert last.read_bytes() == before


def test_a_finished_vae_gets_a_prior_its_curves_and_its_pictures(run, capsys):
    assert with_prior(run) == 0
    assert (run / "checkpoints" / "prior.ckpt").is_file()
    assert list((run / "prior").glob("events.out.tfevents.*"))
    assert list((run / "pictures").glob("prior_step_*_samples.png"))
    said = capsys.readouterr().out
    assert f"prior step {STEPS} of {STEPS}" in said
    assert "(1 for a single Gaussian): " in said


def test_a_prior_that_is_complete_is_not_trained_again(run):
    with_prior(run)
    before = (run / "checkpoints" / "prior-last.ckpt").read_bytes()
    assert with_prior(run) == 0
    assert (run / "checkpoints" / "prior-last.ckpt").read_bytes() == before


def test_a_prior_that_has_seen_its_strips_often_enough_needs_no_more_minutes(run, capsys):
    with_prior(run)
    before = (run / "checkpoints" / "prior-last.ckpt").read_bytes()
    capsys.readouterr()
    assert with_prior(run, "--prior_minutes", "10") == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert (run / "checkpoints" / "prior-last.ckpt").read_bytes() == before


def test_a_complete_prior_that_gets_more_minutes_uses_them_though_its_loss_rises_at_first(
    run, monkeypatch, capsys
):
    monkeypatch.setattr(prior_run, "PATIENCE", 1)
    with_prior(run)
    for module in (prior_module, prior_run):
        monkeypatch.setattr(module, "MOST_EPOCHS", 3 * EPOCHS)
    monkeypatch.setattr(prior_module, "LEARNING_RATE", 1.0)  # every loss is worse than the best
    assert with_prior(run, "--prior_minutes", "10") == 0
    assert f"prior step {3 * STEPS} of {3 * STEPS}" in capsys.readouterr().out


def test_a_prior_that_is_worse_than_untrained_on_held_out_strips_stops_at_once(
    run, monkeypatch, capsys
):
    """As with few strips, of which it has learned in a minute what holds for others too."""

    def overfits(module: PriorModule, batch: torch.Tensor, batch_idx: int) -> None:
        module.log("validation/loss", 0.9 if module.global_step < 50 else 1.1)

    monkeypatch.setattr(PriorModule, "validation_step", overfits)
    assert with_prior(run) == 0
    assert re.findall(r"prior step (\d+) of", capsys.readouterr().out) == ["42", "84"]
    assert load_prior(load_model(run))[1] == pytest.approx(0.9)


@pytest.mark.parametrize("stopped_at", [45, 70, 110])
def test_a_prior_that_was_stopped_goes_on_to_the_same_bits(run, tmp_path, monkeypatch, stopped_at):
    other = shutil.copytree(run, tmp_path / "logs" / "other")
    with_prior(run)

    def stop(module: PriorModule) -> None:
        if module.global_step == stopped_at:
            signals.asked = 2

    signals = StopSignals()
    monkeypatch.setattr("garfield_vae.training.interruption.StopSignals", lambda: signals)
    plan = PriorModule.plan
    monkeypatch.setattr(PriorModule, "plan", lambda module: (plan(module), stop(module)))
    assert with_prior(other) == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    make_brief(monkeypatch)
    assert with_prior(other) == 0
    one, two = weights(run), weights(other)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_prior_that_was_begun_with_another_width_goes_on_with_that(run, monkeypatch):
    with_prior(run)
    monkeypatch.setattr(prior_run, "LatentPrior", partial(LatentPrior, width=48, depth=1, heads=2))
    for module in (prior_module, prior_run):
        monkeypatch.setattr(module, "MOST_EPOCHS", 2 * EPOCHS)
    assert with_prior(run, "--prior_minutes", "10") == 0
    prior, _ = load_prior(load_model(run))
    assert (prior.config["width"], prior.config["depth"]) == (32, 2)


def test_sizes_that_no_prior_can_have_are_refused_where_it_would_go_on(run):
    with_prior(run)
    path = run / "checkpoints" / "prior-last.ckpt"
    content = torch.load(path, weights_only=True)
    for changed in ({"width": -1}, {"breadth": 3}):
        entry = content[PRIOR_ENTRY]
        torch.save(content | {PRIOR_ENTRY: entry | {"config": entry["config"] | changed}}, path)
        with pytest.raises(UserError, match="does not hold the prior that it describes"):
            with_prior(run, "--prior_minutes", "10")


def test_a_prior_of_another_vae_is_trained_anew_and_not_drawn_from(run, capsys):
    with_prior(run)
    before = weights(run)
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    name = "averaged.module.join.bias"
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name] + 0.1
    torch.save(checkpoint, run / "checkpoints" / "best.ckpt")
    assert load_prior(load_model(run)) is None
    with pytest.raises(UserError, match=r"is of an earlier VAE: train its prior again with .*run"):
        process_model.main(["--experiment_dir", str(run), "--sampler", "prior"])
    small = ["--num_samples", "1", "--components", "1"]
    assert process_model.main(["--experiment_dir", str(run), *small]) == 0
    assert "none of this VAE, only of an earlier one: new strips" in capsys.readouterr().out
    assert with_prior(run) == 0
    assert load_prior(load_model(run)) is not None
    assert not torch.equal(weights(run)["prior.mean"], before["prior.mean"])


def other_shapes(checkpoint: dict) -> None:
    states = checkpoint["optimizer_states"][0]["state"]
    for state in states.values():
        state |= {name: torch.zeros(2) for name in state if name != "step"}


DAMAGE = {
    "no counters": lambda checkpoint: checkpoint.pop("loops"),
    "no weights": lambda checkpoint: checkpoint.pop("state_dict"),
    "no optimizer": lambda checkpoint: checkpoint.pop("optimizer_states"),
    "an optimizer of other shapes": other_shapes,
    "an endless time": lambda checkpoint: checkpoint[PRIOR_ENTRY].update(seconds=math.inf),
    "less than no steps": lambda checkpoint: checkpoint[PRIOR_ENTRY].update(planned=-1),
}


def test_a_damaged_checkpoint_of_a_prior_is_named(run):
    with_prior(run)
    path = run / "checkpoints" / "prior-last.ckpt"
    whole = torch.load(path, weights_only=True)
    whole[PRIOR_ENTRY]["complete"] = False
    for damage in DAMAGE.values():
        torch.save(whole, path)
        damaged = torch.load(path, weights_only=True)
        damage(damaged)
        torch.save(damaged, path)
        with pytest.raises(UserError, match=r"prior-last\.ckpt is damaged"):
            with_prior(run)


def test_a_prior_of_an_earlier_format_is_refused_and_can_be_trained_anew(run):
    with_prior(run)
    path = run / "checkpoints" / "prior.ckpt"
    old = torch.load(path, weights_only=True)
    old[PRIOR_ENTRY]["format"] = 1
    torch.save(old, path)
    advice = r"delete checkpoints/prior\*\.ckpt of this run, and train its prior again"
    with pytest.raises(UserError, match=advice):
        load_prior(load_model(run))
    for name in ("prior", "prior-last"):
        (run / "checkpoints" / f"{name}.ckpt").unlink()
    assert with_prior(run, "--minutes", "0") == 0
    assert load_prior(load_model(run)) is not None


def test_a_second_signal_ends_a_priors_training_at_once(run, monkeypatch):
    monkeypatch.setattr(interruption, "SAME_SECONDS", 0.0)

    def impatient(module: PriorModule) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PriorModule, "plan", impatient)
    with pytest.raises(KeyboardInterrupt):
        with_prior(run)


def test_a_few_steps_learn_what_two_clusters_have_and_one_gaussian_has_not(monkeypatch, tmp_path):
    """Between two clusters lies nothing, and the fitted Gaussian has its middle there."""
    monkeypatch.setattr(prior_module, "BATCH", 64)
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], (600, 1))
    means = np.hstack([4 * side, np.zeros((600, 11))]) + 0.3 * rng.standard_normal((600, 12))
    space = LatentSpace.fit(means.astype(np.float32))
    torch.manual_seed(0)
    prior = LatentPrior(**SMALL_PRIOR)
    prior.fit_gaussian(*(torch.from_numpy(a) for a in (space.mean, space.components, space.std)))
    module = PriorModule(prior, 0, 5.0, "vae", "strips")
    module.planned = 200
    data = LatentData(means[:500], means[:500], means[500:], 0)
    trainer = prior_run.Trainer(accelerator="cpu", max_epochs=-1, **QUIET_TRAINER)
    trainer.fit(module, data)
    assert float(trainer.callback_metrics["validation/loss"]) < 0.85
    drawn = module.averaged.module.eval().sample(200, generator=torch.Generator().manual_seed(1))
    assert (drawn[:, 0].abs() > 3).float().mean() > 0.9  # of the Gaussian, 45 %


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.02), (49, 1), (100, 1), (150, 0.5), (199, 0.01), (200, 0), (300, 0)]
)
def test_the_learning_rate_falls_to_nothing_over_the_second_half_of_the_steps_planned(step, share):
    module = PriorModule(LatentPrior(**SMALL_PRIOR), 0, 5.0, "vae", "strips")
    module.planned = 200
    assert module.learning_rate_factor(step) == pytest.approx(share)
    module.planned = 0  # until the pace is known, nothing falls
    assert module.learning_rate_factor(max(step, 49)) == 1


def test_mirrored_strips_are_encoded_for_it_and_come_in_half_of_the_examples(run, monkeypatch):
    loaded = load_run(run)
    store = present_strips(loaded.options)
    train = store.split("train")
    encoded = encoded_strips(loaded.model, loaded.digest, run, store)
    data = prior_run.latent_data(loaded, store, encoded.means, train, 0)
    strips, mirrored = data.train.unbind(1)
    torch.testing.assert_close(strips, torch.from_numpy(encoded.means[train]))
    pixels = np.stack([[np.fliplr(p.transpose(1, 2, 0)) for p in s] for s in store.panels[train]])
    expected, _ = encode(loaded.model, np.ascontiguousarray(pixels.transpose(0, 1, 4, 2, 3)))
    torch.testing.assert_close(mirrored, torch.from_numpy(expected))

    module = PriorModule(LatentPrior(**SMALL_PRIOR), 0, 5.0, "vae", "strips")
    seen = []
    monkeypatch.setattr(module, "log", lambda *_: None)
    monkeypatch.setattr(module.prior, "loss", lambda *given: seen.append(given) or torch.zeros(()))
    batch = torch.stack([torch.zeros(1000, 12), torch.ones(1000, 12)], dim=1)
    torch.manual_seed(0)
    module.training_step(batch, 0)
    ((latents, which),) = seen
    assert torch.equal(latents, which[:, None].expand(-1, 12))
    assert 450 < which.sum() < 550


def test_samples_walks_morphs_and_finished_strips_come_from_it(run, monkeypatch, strips, capsys):
    with_prior(run)
    monkeypatch.setattr("garfield_vae.prior_checkpoints.worth_using", lambda loss: True)
    small = ["--num_samples", "2", "--components", "2"]
    assert process_model.main(["--experiment_dir", str(run), *small]) == 0
    samples = (run / "processed" / "samples.png").read_bytes()
    assert process_model.main(["--experiment_dir", str(run), *small, "--sampler", "kernel"]) == 0
    assert (run / "processed" / "samples.png").read_bytes() != samples
    first, second = (str(path) for path in sorted(strips.rglob("*.gif"))[:2])
    do = ["--experiment_dir", str(run)]
    assert process_model.main([*do, "--interpolate", first, second]) == 0
    assert process_model.main([*do, "--complete", first, "--panels", "1,2"]) == 0
    assert list((run / "processed").glob("complete_*.png"))
    capsys.readouterr()
    with pytest.raises(UserError, match=r"no panel is blank.*--panels"):
        process_model.main([*do, "--complete", first])


def test_without_a_prior_the_kernel_density_draws_and_what_needs_one_says_so(run, strips, capsys):
    do = ["--experiment_dir", str(run)]
    assert process_model.main([*do, "--num_samples", "2", "--components", "1"]) == 0
    assert "new strips come from the kernel density" in capsys.readouterr().out
    named = ["--num_samples", "1", "--components", "1", "--sampler", "gaussian"]
    assert process_model.main([*do, *named]) == 0
    assert "kernel density" not in capsys.readouterr().out
    strip = str(next(strips.rglob("*.gif")))
    with pytest.raises(UserError, match="has no latent prior"):
        process_model.main([*do, "--complete", strip, "--panels", "1"])
    with pytest.raises(UserError, match="has no latent prior"):
        process_model.main([*do, "--sampler", "prior"])


def test_guidance_is_a_flag_and_without_it_samples_are_the_gaussians(run, monkeypatch):
    assert with_prior(run) == 0
    monkeypatch.setattr("garfield_vae.prior_checkpoints.worth_using", lambda loss: True)
    loaded = load_model(run)
    space = read_space(run / "latent.safetensors", 16)[0]
    sampler = prior_sampler(load_prior(loaded), space, 200, guidance=0.0, candidates=1)
    unguided = sampler.sample(4, seed=1)
    prior = load_prior(loaded)[0]
    noise = prior.noise(4, torch.Generator().manual_seed(1))
    # The Gaussian's own flow stretches every component to its standard deviation.
    expected = prior.latents(noise * prior.std / prior.scale)
    np.testing.assert_allclose(unguided, expected, atol=0.02)
    pictures = []
    for guidance in ("0", "1.5", "3"):
        flags = ["--experiment_dir", str(run), "--num_samples", "2", "--components", "1"]
        assert process_model.main([*flags, "--guidance", guidance]) == 0
        pictures.append((run / "processed" / "samples.png").read_bytes())
    assert len(set(pictures)) == 3


def test_an_exported_model_carries_its_prior(run, monkeypatch, tmp_path):
    with_prior(run)
    monkeypatch.setattr("garfield_vae.prior_checkpoints.worth_using", lambda loss: True)
    process_model.main(["--experiment_dir", str(run), "--export", "shared"])
    shared, own = load_model(Path("shared")), load_model(run)
    for loaded in (shared, own):
        assert load_prior(loaded) is not None
    space = exported_space(shared)
    # Its Gaussian is the latent space's, which is there already.
    assert not {"mean", "directions", "std"} & set(load_file(Path("shared") / "prior.safetensors"))
    drawn = prior_sampler(load_prior(shared), space)
    singly = np.concatenate([drawn.sample(1, seed) for seed in (3, 8)])
    np.testing.assert_allclose(drawn.of_seeds([3, 8]), singly, atol=1e-4)
    one, other = (
        prior_sampler(load_prior(loaded), space).sample(3, seed=5) for loaded in (shared, own)
    )
    np.testing.assert_array_equal(one, other)
    described = json.loads(Path("shared/config.json").read_text())
    (Path("shared") / "prior.safetensors").rename("prior.safetensors")
    with pytest.raises(UserError, match=r"prior\.safetensors is not there: give the folder as it"):
        load_prior(load_model(Path("shared")))
    Path("prior.safetensors").rename(Path("shared") / "prior.safetensors")
    del described["prior"]["format"]  # as in exports of another network
    Path("shared/config.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=r"of another version.* export the model again"):
        load_prior(load_model(Path("shared")))


@pytest.mark.parametrize("damage", ["cut", "other", "nan"])
def test_a_damaged_prior_is_one_sentence(run, damage):
    with_prior(run)
    path = run / "checkpoints" / "prior.ckpt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        checkpoint = torch.load(path, weights_only=True)
        if damage == "other":
            checkpoint["garfield_vae_prior"]["config"]["width"] = 48
        else:
            checkpoint["state_dict"]["averaged.module.mean"].fill_(float("nan"))
        torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"prior\.ckpt .*: delete .* and train its prior again"):
        load_prior(load_model(run))
