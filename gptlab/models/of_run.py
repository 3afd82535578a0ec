"""What a run left behind, for whoever goes on with it: its model and its tokenizer."""

from pathlib import Path
from typing import Any

from gptlab.models.dag_transformer import DagTransformer
from gptlab.pipeline.protocols import Tokenizer
from gptlab.storage import load_from_dir
from gptlab.types.errors import refusal

RECIPES = ("recipes",)
"""Packages beside gptlab whose classes a run may name: those of the recipes it was made by."""


def model_of(run: Path) -> DagTransformer:
    """The model that a run ended with.

    Raises:
        ValueError: there is none, or it is no `DagTransformer`.
    """
    model = _part(run, "model")
    if not isinstance(model, DagTransformer):
        raise refusal(
            run / "model",
            got=type(model).__name__,
            wanted="a DagTransformer",
            do="Name a run that trained one. Other models neither write nor have a Hugging Face family; "
            "gptlab.storage.hub.save_to_cloud keeps them for gptlab.",
        )
    return model


def has_tokenizer(run: Path) -> bool:
    """Whether the run kept a tokenizer; models of what is no text have none."""
    return (run / "tokenizer").is_dir()


def tokenizer_of(run: Path) -> Tokenizer:
    """The tokenizer that a run kept beside its model.

    Raises:
        ValueError: it kept none.
    """
    tokenizer: Tokenizer = _part(run, "tokenizer")
    return tokenizer


def _part(run: Path, name: str) -> Any:
    if not (run / name).is_dir():
        raise refusal(
            run,
            got=f"no {name}" if run.is_dir() else "no such directory",
            wanted=f"a run that has ended, with its {name}",
            do="See the runs with: python -m gptlab.experiment list",
        )
    return load_from_dir(run / name, allow=RECIPES)
