"""Models on disk: `config.json`, and one safetensors file, which holds arrays and nothing that could run."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from gptlab.storage import (
    envelope,
    from_config,
    inspect_directory,
    opened,
    pretty_json,
    read_json,
    to_config,
    write_atomically,
)
from gptlab.types.errors import refusal

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save_model(cfg: Any, network: nn.Module, directory: Path) -> None:
    """Write the configuration and every parameter under its name (tied ones once) into `directory`."""
    save_config(cfg, directory)
    arrays = {name: weight.detach().cpu().contiguous() for name, weight in network.named_parameters()}
    write_atomically(directory / WEIGHTS, save(arrays))


def save_config(cfg: Any, directory: Path) -> None:
    """Write the configuration into `directory`, which is made where it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / CONFIG, pretty_json(envelope(to_config(cfg))))


def load_config(directory: Path, kind: type) -> Any:
    """The configuration that `save_model` wrote.

    Raises:
        ValueError: there is none, it is of another kind, or the directory holds what is not to be trusted.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise refusal(
            str(path),
            got="no such file",
            wanted=f"the {kind.__name__} of a saved model",
            do="Give the directory that save_to_dir wrote; a run keeps its model below checkpoints/.",
        )
    inspect_directory(directory)
    cfg = from_config(opened(read_json(path), str(path)))
    if not isinstance(cfg, kind):
        raise refusal(
            str(path),
            got=type(cfg).__name__,
            wanted=kind.__name__,
            do="Load it with the class that saved it.",
        )
    return cfg


def load_weights(network: nn.Module, directory: Path) -> None:
    """Put the stored arrays into the network, which must have the same names and shapes.

    Raises:
        ValueError: the file is absent, or names or shapes differ; nothing was changed.
    """
    path = directory / WEIGHTS
    if not path.is_file():
        raise refusal(
            str(path), got="no such file", wanted="the weights of a saved model", do="Save the model again."
        )
    stored = load_file(path)
    found = {name: tuple(weight.shape) for name, weight in stored.items()}
    wanted = {name: tuple(weight.shape) for name, weight in network.named_parameters()}
    differing = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if differing:
        raise refusal(
            str(path),
            got=", ".join(f"{name} {found.get(name, 'absent')}" for name in differing[:3]),
            wanted=", ".join(f"{name} {wanted.get(name, 'absent')}" for name in differing[:3]),
            do=f"{len(differing)} arrays differ: load it with the config.json that was saved beside it.",
        )
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(stored[name])
