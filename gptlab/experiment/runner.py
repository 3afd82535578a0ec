"""A run from its beginning to its end: compose, prepare, train, evaluate, write, draw, report.

The order is the same for every recipe, so it stands here once. Each step leaves its result on disk whole before the
next begins (prepared data in the cache, checkpoints and model in the run directory), so a run that is killed at any
point is started again and does none of it twice; training goes on from its last checkpoint with `--resume`.
"""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import torch
import tyro

from gptlab import storage
from gptlab.experiment.data_files import data_hashes
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.picture import draw_row
from gptlab.experiment.plot_losses import plot_losses
from gptlab.experiment.recipe import Recipe
from gptlab.experiment.recipe_file import packages_of, root_recipe
from gptlab.experiment.redraw import Redraw
from gptlab.experiment.report import write_report
from gptlab.experiment.run_directory import RunDirectory, latest_unfinished, runs
from gptlab.experiment.session import Session, running
from gptlab.experiment.summary import flat, summarize
from gptlab.experiment.tables import (
    comparison_table,
    comparisons,
    drops_table,
    figures_table,
    next_table,
    places_table,
    samples_table,
    show,
)
from gptlab.experiment.text import Real
from gptlab.pipeline import progress
from gptlab.storage import fingerprint, is_complete, name_of, save_to_dir, to_config
from gptlab.storage.saving import KIND as SAVED
from gptlab.training import Evaluate, Ranks, TorchTrainer, Usage, joined, latest_checkpoint
from gptlab.types import Generation

_BATCHES_WHILE_TRAINING = 16
"""Held-out batches of each evaluation while training: the trend; all of them are read at the end."""


@attrs.frozen(kw_only=True)
class RunOptions:
    """Where a run is kept and what it goes on from; the part of the settings that is no part of the experiment.

    Attributes:
        experiments: folder of all runs.
        resume: go on with this run directory, or with the newest unfinished one: `latest`.
        allow_changed_recipe: resume although the recipe file has changed since.
        device: where the model is trained: cpu, cuda; auto is the GPU where there is one.
    """

    experiments: Path = Path("experiments")
    resume: str | None = None
    allow_changed_recipe: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"


FlatRunOptions = Annotated[RunOptions, tyro.conf.arg(name="")]
"""The annotation of a settings class's `run` field: on the command line `--resume`, not `--run.resume`."""


def run(recipe: Recipe[Any], settings: Any, options: RunOptions, *, recipe_file: Path | None = None) -> RunDirectory:
    """Run a recipe to its end; under torchrun with all processes, of which the first prepares, writes and speaks.

    Args:
        recipe: what is run; it was checked when it was made.
        settings: what the recipe was made from; kept as the run's config.json.
        options: where, and whether an earlier run goes on.
        recipe_file: the file that is kept as recipe.txt; the root file of this process when None.

    Returns:
        The finished run's directory.

    Raises:
        ExperimentError: the run to resume does not exist, has ended, or had another recipe or other settings.
    """
    config = to_config(settings)
    if options.resume:
        directory = _resumed(config, options, recipe_file)
    else:
        directory = _begun(recipe, config, options, recipe_file)
    with running(directory, go_on=_command("--resume", str(directory.path))) as session, joined() as ranks:
        for chain in recipe.pipelines:
            session.logger.info("%s", chain)
        ranks.one_by_one(recipe.pre_cache)
        if ranks.is_first:
            directory.record_data(data_hashes(recipe))
        allow = _allowed(recipe, recipe_file)
        trained = _trained(recipe, session, _device(options, ranks), ranks, allow)
        if not ranks.is_first:
            return directory
        figures = _evaluated(recipe, trained)
        samples = recipe.writing.write(trained) if recipe.writing is not None else []
        _drawn(recipe, trained, session)
        summary = summarize(figures, session.observer.drops, samples)
        write_report(directory, summary)  # first the report: what is marked as ended lacks nothing
        directory.finish(summary)
        _told(recipe, session, figures, samples)
    return directory


def load_from_dir(
    path: Path,
    *,
    recipe_file: Path | None = None,
    allow_changed_recipe: bool = False,
    allow: tuple[str, ...] = (),
) -> Any:
    """The model that a run ended with, bit for bit.

    Its class may be one of gptlab, or of the top-level package that the recipe's file belongs to (of a script that
    belongs to none: the script): that file is yours, and you run it.

    Args:
        path: the run directory.
        recipe_file: the file that loads it; the root file of this process when None.
        allow_changed_recipe: take a run that another version of the recipe made.
        allow: further packages whose classes the model may be made of.

    Raises:
        ExperimentError: the recipe has changed (the difference is shown), or the run has no model yet.
        StorageError: the model is damaged, or of classes that are not allowed.
    """
    directory = RunDirectory.load(path, recipe_file, allow_changed_recipe=allow_changed_recipe)
    if not is_complete(directory.path / "model", SAVED):
        raise ExperimentError(
            f"the run {path}",
            got="no model: training has not ended",
            wanted="a run that came to its end",
            do=f"Go on with it: --resume {path}",
        )
    packages = packages_of(root_recipe(recipe_file)[1])
    return storage.load_from_dir(directory.path / "model", allow=(*packages, *allow))


def _begun(recipe: Recipe[Any], config: Any, options: RunOptions, recipe_file: Path | None) -> RunDirectory:
    """A new run; where an equal one was interrupted while training, the person is told how to go on with that."""
    earlier = latest_unfinished(options.experiments, recipe_file, config)
    directory = RunDirectory.create(
        options.experiments,
        recipe_file,
        config,
        seeds={name: value for name, value in flat(config).items() if name.rpartition(".")[2] == "seed"},
        data={"training batches": fingerprint(recipe.data)},
    )
    if earlier is not None and latest_checkpoint(earlier.path) is not None:
        with running(directory) as session:
            session.observer.say(
                f"{earlier.path} has the same settings and was interrupted; this is a new run beside it. "
                f"To go on with that one: {_command('--resume', str(earlier.path))}"
            )
    return directory


def _resumed(config: Any, options: RunOptions, recipe_file: Path | None) -> RunDirectory:
    """The run to go on with, made by the same recipe and settings."""
    asked = options.resume or ""
    if asked == "latest":
        unfinished = [each for each in runs(options.experiments) if not each.is_finished]
        recipe = root_recipe(recipe_file)[0]
        same = [each for each in unfinished if each.recipe == recipe]
        if not same:
            raise ExperimentError(
                "--resume latest",
                got=f"no unfinished run of this recipe in {options.experiments}",
                wanted="a run that was interrupted",
                do="Start a new one by leaving out --resume; finished preparations are reused.",
            )
        # A later try with other settings is not meant, unless there is none with these.
        equal = [each for each in same if _of_experiment(each.config) == _of_experiment(config)]
        asked = str((equal or same)[-1].path)
    directory = RunDirectory.load(Path(asked), recipe_file, allow_changed_recipe=options.allow_changed_recipe)
    if directory.is_finished:
        raise ExperimentError(
            f"the run {asked}",
            got="a run that came to its end",
            wanted="one that was interrupted",
            do="Leave out --resume to start a new one.",
        )
    then, now = _of_experiment(directory.config), _of_experiment(config)
    different = [name for name in sorted(then | now) if then.get(name) != now.get(name)]
    if different:
        raise ExperimentError(
            f"the settings of {asked}",
            got="; ".join(f"{name} {now.get(name)!r}" for name in different),
            wanted="; ".join(f"{name} {then.get(name)!r}" for name in different) + ", as the run began",
            do="Give the same settings, or start a new run by leaving out --resume.",
        )
    return directory


def _of_experiment(config: Any) -> dict[str, Any]:
    """The settings, less where the run is kept."""
    return {name: value for name, value in flat(config).items() if not name.startswith("run.")}


def _device(options: RunOptions, ranks: Ranks) -> str:
    """Where this process trains."""
    has_gpu = torch.cuda.is_available()
    if options.device == "cuda" and not has_gpu:
        raise ExperimentError("--device", got="cuda", wanted="a GPU that torch can use", do="Say --device cpu.")
    return f"cuda:{ranks.local}" if has_gpu and options.device != "cpu" else "cpu"


def _allowed(recipe: Recipe[Any], recipe_file: Path | None) -> tuple[str, ...]:
    """The packages that a run's own checkpoints may name: those of the recipe's file and of the model it has made."""
    model = name_of(type(recipe.model)).partition(".")[0]
    return (*packages_of(root_recipe(recipe_file)[1]), model)


def _trained(recipe: Recipe[Any], session: Session, device: str, ranks: Ranks, allow: tuple[str, ...]) -> Any:
    """The trained model: trained now, gone on with, or found where an earlier try came so far."""
    place = session.run.path / "model"
    if is_complete(place, SAVED):
        session.observer.say(f"Found the trained model in {place}.")
        return storage.load_from_dir(place, allow=allow)
    hooks = recipe.hooks
    if recipe.held_out is not None:
        every = recipe.trainer.evaluate_every
        evaluate = Evaluate(source=recipe.held_out, every=every, batches=_BATCHES_WHILE_TRAINING)
        hooks = (evaluate, Usage(every=every), *hooks, Redraw(session.run, every=every))
    saved = ranks.from_first(lambda: str(latest_checkpoint(session.run.path) or ""))
    if saved:
        allow = (*allow, recipe.trainer.schedule.partition(".")[0])  # a schedule that the recipe itself names
        trainer: TorchTrainer[Any] = TorchTrainer.load_checkpoint(
            saved, data_source=recipe.data, logger=session.logger, hooks=hooks, device=device, allow=allow
        )
    else:
        model: Any = recipe.model
        model.network.to(device)
        trainer = TorchTrainer.instantiate(
            recipe.trainer,
            model,
            recipe.data,
            directory=session.run.path,
            logger=session.logger,
            hooks=hooks,
        )
    trained = trainer.train()
    if not ranks.is_first:
        return trained
    for name, part in {**recipe.keep(), "model": trained}.items():  # the model last: where it is, all is
        if not is_complete(session.run.path / name, SAVED):
            save_to_dir(part, session.run.path / name)
    return trained


def _evaluated(recipe: Recipe[Any], trained: Any) -> dict[str, Mapping[str, Real]]:
    figures: dict[str, Mapping[str, Real]] = {}
    for evaluation in recipe.evaluations:
        figures[evaluation.name] = evaluation.benchmark.calculate(evaluation.data, trained)
    return figures


def _drawn(recipe: Recipe[Any], trained: Any, session: Session) -> None:
    total = 2 if recipe.picture is not None else 1
    progress("draw", 0, total, "pictures")
    plot_losses(session.run.metrics, session.run.plots / "loss.png")
    if recipe.picture is not None:
        draw_row(recipe.picture, trained.cfg.mask, session.run.plots / "mask.png")
    progress("draw", total, total, "pictures")


def _told(
    recipe: Recipe[Any], session: Session, figures: Mapping[str, Mapping[str, Real]], samples: list[Generation]
) -> None:
    """The closing tables."""
    tables = [samples_table(samples), drops_table(session.observer.drops)]
    for name, values in figures.items():
        compared = comparisons(values)
        tables.append(comparison_table(compared, name) if compared else figures_table(values, name))
    path = session.run.path
    places = {
        "run": path,
        "report": session.run.report,
        "loss curve": session.run.plots / "loss.png",
        "trained model": path / "model",
        **recipe.places(),
    }
    commands = {
        "compare runs": f"python -m gptlab.experiment list {path.parent}",
        "train longer": _command("--trainer.steps", str(4 * recipe.trainer.steps)),
        "see all settings": _command("--help", only=True),
    }
    show(session.console, session.logger, *tables, places_table(places), next_table(commands))


def _command(*more: str, only: bool = False) -> str:
    """How this program was started, with further arguments in place of earlier ones of the same name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["-m", spec.name] if spec is not None else [sys.argv[0]]
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    start = ["python"] if processes == "1" else ["torchrun", "--nproc-per-node", processes]
    given = [] if only else sys.argv[1:]
    for name in (*more[::2], "--resume"):  # what is done next goes on from what is said here, or from nothing
        while name in given:
            given = given[: given.index(name)] + given[given.index(name) + 2 :]
    return shlex.join([*start, *program, *given, *more])
