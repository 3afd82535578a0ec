"""Which run a person means: a path, a name, the beginning of a name, or `last`."""

from pathlib import Path

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.run_directory import RunDirectory, runs


def find(root: Path, name: str) -> RunDirectory:
    """A run by its path, its name, the beginning of its name, or `last`.

    Raises:
        ExperimentError: there is none, or more than one.
    """
    if (Path(name) / "recipe.txt").is_file():
        return RunDirectory.look(Path(name))
    known = runs(root)
    found = known[-1:] if name == "last" else [run for run in known if run.name == name]
    found = found or [run for run in known if run.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    raise ExperimentError(
        f"the run {name!r}",
        got=f"{len(found)} runs of that name in {root}" + "".join(f"\n{run.name}" for run in found[:10]),
        wanted="one",
        do="See them with: python -m gptlab.experiment list",
    )
