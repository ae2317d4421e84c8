"""Uses a trained model: new strips, latent traversals, reconstructions, the explorer.

    python process_model.py --experiment_dir pretrained            samples and latent traversals
    python process_model.py --experiment_dir logs/RUN              the same of your own run
    python process_model.py --experiment_dir logs/RUN --explore    a page with live sliders
    python process_model.py --experiment_dir logs/RUN --evaluate   every measure, on one page
    python process_model.py --experiment_dir logs/RUN --interpolate 1985-03-12 my_strip.png
    python process_model.py --experiment_dir logs/RUN --export DIR   the model, to share

Pictures are written to logs/RUN/processed/ (of the model that comes with the project, to
logs/pretrained/processed/). The first call encodes all strips; later ones reuse that while model
and strips are unchanged. An exported model is an --experiment_dir too.
"""

from __future__ import annotations

if __name__ == "__main__":  # from here on Ctrl-C is quiet: Python would print a traceback
    import os
    import signal

    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from typing import TYPE_CHECKING

from garfield_vae.util.errors import UserError, run_script

# Imports stand in the functions, so that Ctrl-C is quiet from the start, and --help and a wrong
# flag are answered before torch is loaded, which takes seconds.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from garfield_vae.checkpoints import LoadedModel
    from garfield_vae.cli.process_options import ProcessOptions


def main(arguments: Sequence[str] | None = None) -> int:
    # -------------------------------------------------------------- 1. what was asked for
    options = read_command_line(arguments)

    from garfield_vae.cli.loading import loading

    with loading():
        from dataclasses import replace
        from pathlib import Path

        import numpy as np

        from garfield_vae import gallery
        from garfield_vae.checkpoints import exported_space, is_exported, load_model
        from garfield_vae.cli.process_options import USUAL, WRITES_PICTURES
        from garfield_vae.data.sources import present_strips
        from garfield_vae.latent import samplers
        from garfield_vae.latent.files import encoded_strips
        from garfield_vae.prior_checkpoints import load_prior, prior_sampler, why_no_prior
        from garfield_vae.run_folder import choose_device, find_model_folder, output_folder
        from garfield_vae.util.pictures import save_png

        if not options.asked:
            from garfield_vae.util.charts import as_picture, explained_variance
        if options.evaluate:
            from garfield_vae.evaluation.evaluate import evaluate_run
        if options.export:
            from garfield_vae.export.folder import export_model
            from garfield_vae.util.commands import install
        if options.export_page or options.explore:
            from garfield_vae.explorer import Explorer, explore, listen
            from garfield_vae.explorer.export_page import export_page

    # -------------------------------------------------------------- 2. the model
    folder = find_model_folder(options.experiment_dir, Path(options.log_dir))
    kept = output_folder(folder, Path(options.log_dir))
    run = load_model(folder, choose_device(options.accelerator))
    exported, output = is_exported(folder), kept / "processed"
    check_model(options, run, exported, output)
    listening = listen(options.port) if options.explore else None
    if options.data_dir is not None:
        run = replace(run, options=replace(run.options, data_dir=options.data_dir))
    print(f"model       {run.checkpoint}, epoch {run.epoch + 1}", flush=True)

    # -------------------------------------------------------------- 3. strips and latent space
    asked = options.asked
    store = None if exported or asked == ["--reconstruct"] else present_strips(run.options)
    ends = [gallery.find_strip(name, run, store) for name in options.interpolate or ()]
    if options.reconstruct:
        strip = gallery.find_strip(options.reconstruct, run, None)
    if options.complete:
        begun, known = gallery.find_begun(options.complete, options.panels, run, store)
    if not asked or set(asked) - {"--reconstruct"}:
        if exported:
            space, means, strips = exported_space(run), None, "of the model"
        else:
            encoded = encoded_strips(run.model, run.digest, folder, store)
            space, means, strips = encoded.space, encoded.means, f"{len(store):,} strips"
        found = load_prior(run)
        prior = prior_sampler(found, space, options.steps, options.guidance, options.candidates)
        shown = min(options.components, len(space.std))
        explain = "component explains" if shown == 1 else "components explain"
        print(
            f"latents     {strips}; {shown} principal {explain} "
            f"{100 * space.explained[:shown].sum():.0f} % of the variance",
            flush=True,
        )
        sampler = options.sampler or ("kernel" if prior is None else "prior")
        if prior is None:
            why, sentence = why_no_prior(run, found)
            if options.complete or sampler == "prior":
                raise UserError(sentence)
            if options.sampler is None:
                print(
                    f"prior       {why}: new strips come from the kernel density, and stay close "
                    f"to training strips",
                    flush=True,
                )
        refuse_idle_prior_flags(options, prior is not None, sampler)

    # -------------------------------------------------------------- 4. what was asked for
    if WRITES_PICTURES & set(asked or [USUAL]):
        gallery.begin(output, run)
    seed, fit_steps = options.seed, options.fit_steps
    if options.interpolate:
        told(*gallery.write_morph(run, ends, output, prior))
    if options.complete:
        told(gallery.write_completion(run, prior, begun, known, seed, output))
    if options.reconstruct:
        label = Path(options.reconstruct).name
        told(gallery.write_reconstruction(run, strip, label, output, fit_steps))
    if options.evaluate:
        further = {"prior": prior, "seed": seed, "fit_steps": fit_steps}
        told(evaluate_run(run, space, store, means, output, **further))
    if options.export:
        names = export_model(run, space, Path(options.export))
        print(f"wrote {options.export}: {', '.join(names)}")
        if "decoder.onnx" not in names:
            print(f"without ONNX files: for those, first {install('requirements-export.txt')}")
    if options.export_page or options.explore:
        explorer = Explorer(run.model, space, kept, store, means, prior, shown, fit_steps)
    if options.export_page:
        size = export_page(explorer, Path(options.export_page))
        print(f"wrote {options.export_page}, {size / 1e6:.1f} MB: open it in any browser")
    if options.explore:
        explore(explorer, listening, options.open)
    if asked:
        return 0

    # -------------------------------------------------------------- 5. else the usual pictures
    rng = np.random.default_rng(seed)
    count = max(1, options.num_samples)  # the traversals start from the first
    latents = samplers.draw(space, count, rng, sampler, options.temperature, prior, "drawing")
    if options.num_samples:
        told(gallery.write_samples(run, latents, output))
    if store is not None:
        told(gallery.write_reconstructions(run, store, output, fit_steps))
    chart = as_picture(explained_variance(space.explained[:shown]))
    told(save_png(output / "explained_variance.png", chart))
    told(*gallery.write_walks(run, space, latents[0], shown, output, prior))
    return 0


def read_command_line(arguments: Sequence[str] | None) -> ProcessOptions:
    """The options. Raises UserError for flags that cannot work together, before any work."""
    from garfield_vae.cli.loading import loading

    with loading():
        from pathlib import Path

        from garfield_vae.cli.flags import add_options, new_parser, refuse_idle_flags, typed
        from garfield_vae.cli.outputs import check_apart, check_new_folder, check_page
        from garfield_vae.cli.process_options import USUAL, ProcessOptions, named_model

    parser = new_parser("process_model.py", __doc__)
    add_options(parser, ProcessOptions)
    given = typed(parser.parse_args(arguments), ProcessOptions)
    if "experiment_dir" not in given:
        parser.error("--experiment_dir is needed: a run's folder in logs/, last, or pretrained")
    options = ProcessOptions(**given)
    named = named_model(options.experiment_dir)
    refuse_idle_flags(given, ProcessOptions, options.asked or [USUAL], besides=[named])
    if options.export:
        check_new_folder(Path(options.export))
    if options.export_page:
        check_page(Path(options.export_page))
    check_apart(options)
    return options


def check_model(options: ProcessOptions, run: LoadedModel, exported: bool, output: Path) -> None:
    """Raises UserError for flags that do not fit this model, before any work."""
    from pathlib import Path

    for flag in ("z_dim", "c_hidden", "num_blocks"):
        asked, trained = getattr(options, flag), run.model.config[flag]
        if asked is not None and asked != trained:
            raise UserError(
                f"--{flag} {asked} does not fit {run.folder}, which was trained with {trained}: "
                f"leave the flag out"
            )
    for flag in ("evaluate", "data_dir"):
        if exported and getattr(options, flag):
            raise UserError(
                f"{run.folder} is an exported model, which has no strips: --{flag} needs the "
                f"folder of the run that it came from"
            )
    for place in filter(None, (options.export, options.export_page)):
        asked, pictures = Path(place).resolve(), output.resolve()
        if asked.is_relative_to(pictures) or pictures.is_relative_to(asked):
            raise UserError(f"{place} is where this model's pictures go: export elsewhere")
    if options.reconstruct and not Path(options.reconstruct).is_file():
        raise UserError(f"--reconstruct needs a picture file, and {options.reconstruct} is none")


def refuse_idle_prior_flags(options: ProcessOptions, has_prior: bool, sampler: str) -> None:
    """Raises UserError for a flag of the latent prior where that is not used."""
    from garfield_vae.cli.process_options import ProcessOptions

    idle = ["candidates"] if sampler != "prior" else []
    where = f"--sampler {sampler}"
    if not has_prior:
        idle, where = ["steps", "guidance", "candidates"], "a model without a usable latent prior"
    for flag in idle:
        if getattr(options, flag) != getattr(ProcessOptions, flag):
            raise UserError(f"--{flag} has no effect on {where}: leave it out")


def told(*paths: Path) -> None:
    for path in paths:
        print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    run_script(main)
