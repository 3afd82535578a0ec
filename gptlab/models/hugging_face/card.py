"""The model card: what is known is written, what only the user knows is asked for in plain sight, nothing is made up.

The header is the hub's (https://huggingface.co/docs/hub/model-cards); fields that only a person can fill stand there
as comments until they are given.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from gptlab import __version__
from gptlab.models.config import DagTransformerConfig
from gptlab.storage import read_json

_METRICS, _FINISHED = "metrics.jsonl", "finished.json"


@attrs.frozen(kw_only=True)
class Card:
    """What only a person knows of a model.

    Attributes:
        license: as the hub names it (`mit`, `apache-2.0`, ...); that of the data and of a base model bind you.
        datasets: what it was trained on, by their names on the hub.
        data: the same in words.
        languages: two letters each.
        base_model: `owner/name` of the model that was trained further.
        base_revision: its commit.
        about: what it is for, in words.
    """

    license: str | None = None
    datasets: Sequence[str] = ()
    data: str = ""
    languages: Sequence[str] = ()
    base_model: str | None = None
    base_revision: str | None = None
    about: str = ""


def card_text(
    card: Card, cfg: DagTransformerConfig, *, parameters: int, architecture: str, run: Path | None = None
) -> str:
    """The text of README.md.

    Args:
        card: what the user says.
        cfg: of the model.
        parameters: how many numbers were learned.
        architecture: the class it is loaded with.
        run: its run directory, for the figures.
    """
    base = f"{card.base_model} at {card.base_revision or 'an unknown commit'}" if card.base_model else "none"
    facts = {
        "architecture": architecture,
        "parameters": f"{parameters:,}",
        "layers, width, heads (keys)": f"{cfg.layers}, {cfg.width}, {cfg.heads} ({cfg.key_heads})",
        "vocabulary": f"{cfg.vocab_size:,}",
        "longest row": f"{cfg.max_seq_len:,} tokens",
        "mask in training": cfg.mask.kind + (", with ancestors" if cfg.mask.ancestors else ""),
        "trained further from": base,
        "made by": f"gptlab {__version__}",
    }
    return "\n".join(
        [
            _header(card),
            "# A model made by gptlab\n",
            (card.about or "**What it is for: not stated.**") + "\n",
            _table(("fact", "value"), facts),
            "## Use\n",
            f'`transformers.AutoModelForCausalLM.from_pretrained("...")` and vLLM load it as {architecture}, without '
            "code of its own. There each token sees all that is before it. In gptlab, "
            "`gptlab.models.hugging_face.load_from_cloud` gives it back with the mask it was trained with.\n",
            "## Figures\n",
            _figures(run),
            "## Data\n",
            (card.data or "**Not stated.** Say what it was trained on, and under which terms that may be used.")
            + "\n",
            "## License\n",
            (card.license or "**Not stated**: nobody else may use the weights until one is chosen.") + "\n",
        ]
    )


def _header(card: Card) -> str:
    """YAML, of which JSON is a part: so values are written as JSON, and no name can break out of its line."""
    lines = ["library_name: transformers", "pipeline_tag: text-generation", 'tags: ["gptlab"]']
    asked = {
        "license": (card.license, "choose one, such as mit or apache-2.0"),
        "datasets": (list(card.datasets), "what it was trained on, by names on the hub"),
        "language": (list(card.languages), "two letters each"),
        "base_model": (card.base_model, "owner/name, where it was trained further from one"),
    }
    for name, (value, wanted) in asked.items():
        lines.append(f"{name}: {json.dumps(value)}" if value else f"# {name}: {wanted}")
    return "\n".join(["---", *lines, "---", ""])


def _figures(run: Path | None) -> str:
    """Tables of what the run measured: at its end by each benchmark, and in its last step."""
    tables = []
    if run is not None and (run / _FINISHED).is_file():
        for group, figures in read_json(run / _FINISHED).get("figures", {}).items():
            tables.append(_table((str(group), "value"), {name: _number(value) for name, value in figures.items()}))
    if run is not None and (run / _METRICS).is_file():
        last = _last_figures(run / _METRICS)
        tables.append(_table(("last step", "value"), {name: _number(value) for name, value in last.items()}))
    return "\n".join(tables) or "**None**: it was saved without a run directory.\n"


def _last_figures(path: Path) -> Mapping[str, Any]:
    """The newest value of each figure; a line that a kill cut short is no line."""
    last: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            last |= json.loads(line)
        except (json.JSONDecodeError, TypeError):
            continue
    return last


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)


def _table(head: tuple[str, str], rows: Mapping[str, object]) -> str:
    lines = [f"| {_cell(head[0])} | {_cell(head[1])} |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
