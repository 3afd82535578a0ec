"""Variants of a recipe, each a run, compared at the end; started again, it goes on where it was broken off.

A sweep is known by what it is: recipe, settings and grid. Its folder, `experiments/sweep_<name>`, holds one run
directory per variant, found again by its settings; so there is no state that could disagree with the runs. A variant
that has ended is not run again, one that was broken off goes on from its checkpoint, to the same weights.
"""

import fcntl
import hashlib
import inspect
import itertools
import os
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from gptlab.experiment.compare import differences_table, ending
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.launchers import InProcess, Launcher
from gptlab.experiment.recipe_file import recipe_text, root_file
from gptlab.experiment.report_comparison import write_comparison
from gptlab.experiment.run_directory import RunDirectory, runs
from gptlab.experiment.session import make_console
from gptlab.experiment.summary import flat
from gptlab.experiment.using import is_in_use
from gptlab.storage import canonical_json, pretty_json, to_config, write_atomically

Recipes = Callable[[Any], Any]
Grid = Mapping[str, Sequence[Any]]


@attrs.frozen(kw_only=True)
class Variant:
    """One point of the grid.

    Attributes:
        name: the settings that make it, as in `width=8 seed=1`.
        settings: all of its settings.
    """

    name: str
    settings: Any


@attrs.frozen(kw_only=True)
class Sweep:
    """What a sweep ended with.

    Attributes:
        folder: holds the runs, `sweep.json` and `comparison.html`.
        runs: by the name of the variant, in the order of the grid; those that have ended.
        failures: by the name of the variant, why it has not.
    """

    folder: Path
    runs: Mapping[str, RunDirectory]
    failures: Mapping[str, str]

    def figures(self) -> dict[str, dict[str, Any]]:
        """The last figures of training and the benchmarks of each variant."""
        return {name: ending(run) for name, run in self.runs.items()}


@attrs.frozen(kw_only=True)
class _Job:
    """Runs one variant, in whatever process it is called."""

    recipe: Recipes
    settings: Any
    folder: Path
    recipe_file: Path

    def __call__(self) -> None:
        from gptlab.experiment.runner import RunOptions, run  # noqa: PLC0415 - torch, which `list` need not wait for

        own = getattr(self.settings, "run", None)
        options = own if isinstance(own, RunOptions) else RunOptions()
        earlier = _run_of(self.folder, to_config(self.settings))
        options = attrs.evolve(
            options, experiments=self.folder, resume=None if earlier is None else str(earlier.path)
        )
        run(self.recipe(self.settings), self.settings, options, recipe_file=self.recipe_file)


def sweep(
    recipe: Recipes,
    grid: Grid,
    settings: Any = None,
    *,
    root: Path = Path("experiments"),
    name: str = "",
    launcher: Launcher = InProcess(),
    recipe_file: Path | None = None,
) -> Sweep:
    """Run every variant of a grid, and compare them.

    Args:
        recipe: from settings to a recipe, at the top of a module.
        grid: dotted name of a setting to the values it takes; every combination is a variant.
        settings: of all variants; those the recipe has by default when None.
        root: the folder of runs, in which the sweep has its own.
        name: of that folder; from what the sweep is when empty.
        launcher: `InProcess()`, `LocalProcesses(processes=4)`, `Submitit(cluster="slurm")`.
        recipe_file: kept as each run's recipe.txt; the root file of this process when None.

    Returns:
        The runs; `comparison.html` compares them.

    Raises:
        ExperimentError: a setting of the grid does not exist, another process runs the sweep, or, after all others
            have run, variants failed.
    """
    recipe_file = (root_file() if recipe_file is None else recipe_file).absolute()
    points = variants(default_settings(recipe) if settings is None else settings, grid)
    configs = [to_config(point.settings) for point in points]
    identity = [recipe_text(recipe_file), [sorted(_of_experiment(config).items()) for config in configs]]
    name = name or hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:10]
    folder = root / f"sweep_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        write_atomically(folder / "sweep.json", pretty_json({"variants": [point.name for point in points]}))
        todo = [
            (point, config)
            for point, config in zip(points, configs, strict=True)
            if (run := _run_of(folder, config)) is None or not run.is_finished
        ]
        jobs = [
            _Job(recipe=recipe, settings=point.settings, folder=folder, recipe_file=recipe_file) for point, _ in todo
        ]
        said = launcher.launch(jobs)
        failures = {point.name: reason for (point, _), reason in zip(todo, said, strict=True) if reason is not None}
        found = {point.name: _run_of(folder, config) for point, config in zip(points, configs, strict=True)}
        ended = {name: run for name, run in found.items() if run is not None and run.is_finished}
        if ended:
            title = f"Sweep over {', '.join(grid) or 'nothing'}"
            page = write_comparison(list(ended.values()), folder / "comparison.html", title=title, names=list(ended))
            console = make_console()
            console.print(differences_table(list(ended.values())))
            console.print(f"comparison: {page}", soft_wrap=True)
    for point in points:
        if point.name not in ended:
            failures.setdefault(point.name, "it did not come to its end")
    if failures:
        raise ExperimentError(
            f"the sweep {folder}",
            got="\n".join(f"{name}: {reason}" for name, reason in failures.items()),
            wanted=f"{len(points)} variants that come to their end; {len(ended)} did",
            do="Each run's log.txt tells more. Start the sweep again to go on with what is left.",
        )
    return Sweep(folder=folder, runs=ended, failures=failures)


def variants(settings: Any, grid: Grid) -> list[Variant]:
    """Every combination of a grid's values, the last name turning fastest.

    >>> @attrs.frozen
    ... class Settings:
    ...     width: int = 8
    ...     seed: int = 0
    >>> [each.name for each in variants(Settings(), {"width": [8, 16], "seed": [0, 1]})]
    ['width=8 seed=0', 'width=8 seed=1', 'width=16 seed=0', 'width=16 seed=1']
    """
    made = []
    for values in itertools.product(*grid.values()):
        changed, words = settings, []
        for dotted, value in zip(grid, values, strict=True):
            changed = _changed(changed, dotted.split("."), value, dotted)
            words.append(f"{dotted.rpartition('.')[2]}={value}")
        made.append(Variant(name=" ".join(words) or "as it is", settings=changed))
    names = [each.name for each in made]
    if len(set(names)) < len(names) or not made:
        twice = next((name for name in names if names.count(name) > 1), "no value of a setting")
        raise ExperimentError("the grid", got=twice, wanted="variants that differ", do="Give each value once.")
    return made


def default_settings(recipe: Recipes) -> Any:
    """What a recipe's own settings are, from its signature.

    Raises:
        ExperimentError: it has no parameter with a default or an annotation that can be made without arguments.
    """
    parameters = list(inspect.signature(recipe).parameters.values())
    if parameters and parameters[0].default is not inspect.Parameter.empty:
        return parameters[0].default
    kind = typing.get_type_hints(recipe).get(parameters[0].name) if parameters else None
    if isinstance(kind, type) and attrs.has(kind):
        return kind()
    raise ExperimentError(
        f"the recipe {getattr(recipe, '__name__', recipe)}",
        got="a function whose settings are not known",
        wanted="def recipe(settings: Settings = Settings()) -> Recipe",
        do="Annotate its parameter, or pass settings=.",
    )


def _changed(settings: Any, path: Sequence[str], value: Any, dotted: str) -> Any:
    known = [field.name for field in attrs.fields(type(settings))] if attrs.has(type(settings)) else []
    if path[0] not in known:
        raise ExperimentError(
            f"the grid's setting {dotted}",
            got=f"no {path[0]} in {type(settings).__name__}",
            wanted=f"one of {', '.join(known)}" if known else "a setting that has settings of its own",
            do="Names are dotted as on the command line: model.width.",
        )
    inner = getattr(settings, path[0])
    return attrs.evolve(settings, **{path[0]: value if len(path) == 1 else _changed(inner, path[1:], value, dotted)})


def _of_experiment(config: Any) -> dict[str, Any]:
    return {name: value for name, value in flat(config).items() if not name.startswith("run.")}


def _run_of(folder: Path, config: Any) -> RunDirectory | None:
    """The variant's run: one that ended before one that did not, the newest before older ones."""
    wanted = _of_experiment(config)
    same = [run for run in runs(folder) if _of_experiment(run.config) == wanted]
    for run in same:
        if is_in_use(run.path):
            raise ExperimentError(
                f"the run {run.path}",
                got="another process works on it",
                wanted="a variant of one's own",
                do="Wait until it has ended.",
            )
    ended = [run for run in same if run.is_finished]
    return (ended or same)[-1] if same else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process for one sweep: two would run each variant twice."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExperimentError(
                f"the sweep {folder}", got="another process runs it", wanted="one process", do="Wait for it."
            ) from error
        yield
    finally:
        os.close(descriptor)
