"""What a run ends with, as JSON: figures, drops and samples. `finished.json` holds it, reports and `list` read it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gptlab.experiment.text import Real
from gptlab.pipeline.observe import Drops
from gptlab.types import Generation


def summarize(
    figures: Mapping[str, Mapping[str, Real]],
    drops: Drops | None = None,
    samples: Sequence[Generation] = (),
) -> dict[str, Any]:
    """The argument of `RunDirectory.finish`.

    Args:
        figures: what each benchmark returned, by the name of the benchmark.
        drops: what was left out.
        samples: what the model wrote.

    >>> summarize({"held out": {"loss": 2.5, "bits": float("nan")}})
    {'figures': {'held out': {'loss': 2.5, 'bits': None}}, 'drops': [], 'samples': []}
    """
    drops = drops if drops is not None else Drops()
    return {
        "figures": {group: {name: _finite(value) for name, value in each.items()} for group, each in figures.items()},
        "drops": [
            {"reason": reason, "count": number, "example": drops.examples.get(reason, "")}
            for reason, number in drops.counts.most_common()
        ],
        "samples": [
            {
                "title": each.prompt.title,
                "prompt": each.prompt.text,
                "text": each.text,
                "read": [[position, str(target)] for position, target in each.read],
                "missing": [str(target) for target in each.missing],
            }
            for each in samples
        ],
    }


def _finite(value: Real) -> Real | None:
    """JSON has no infinities, and a figure that is no number is none."""
    return value if math.isfinite(value) else None


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested JSON as dotted names, as settings are written on the command line.

    >>> flat({"trainer": {"steps": 5, "betas": [0.9, 0.95]}, "class": "x"})
    {'trainer.steps': 5, 'trainer.betas': [0.9, 0.95], 'class': 'x'}
    """
    if isinstance(value, Mapping) and value:
        found: dict[str, Any] = {}
        for name, each in value.items():
            found |= flat(each, f"{prefix}.{name}" if prefix else str(name))
        return found
    return {prefix or "value": value}
