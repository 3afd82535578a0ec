"""What the machine is asked to do beyond plain computing, always reported and never assumed.

Nothing here is switched on by what the machine looks like, unless a setting asks for just that (`dtype="auto"`): a
setting that the machine cannot follow is refused, and one line tells before the first step how the run computes.
"""

import contextlib
import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gptlab.pipeline.observe import say
from gptlab.training.config import ComputeType, TrainerConfig
from gptlab.training.errors import TrainingError
from gptlab.training.parallel import blocks
from gptlab.training.speed import UNKNOWN, name_of, peak_of

CPU_UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""What `torch.cpu.get_capabilities` calls units that multiply bfloat16: x86, newer x86, ARM."""


def autocast(cfg: TrainerConfig, device: torch.device) -> AbstractContextManager[Any]:
    """The context of every forward pass."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=compute_type(cfg, device) == "bfloat16")


def compute_type(cfg: TrainerConfig, device: torch.device) -> ComputeType:
    """What is asked for, and for `auto` what the device multiplies fast.

    >>> compute_type(TrainerConfig(dtype="auto"), torch.device("meta"))
    'float32'
    """
    if cfg.dtype != "auto":
        return cfg.dtype
    return "bfloat16" if has_bfloat16(device) else "float32"


def check_dtype(cfg: TrainerConfig, device: torch.device) -> None:
    """Say what `auto` is here; refuse bfloat16 where the device computes none, and say where it does so slowly.

    Raises:
        TrainingError: a GPU without bfloat16.
    """
    if cfg.dtype == "auto":
        found = compute_type(cfg, device)
        say(f"dtype auto: {found}, as {name_of(device)} has {'' if found == 'bfloat16' else 'no '}bfloat16 units")
        return
    if cfg.dtype != "bfloat16" or has_bfloat16(device):
        return
    if device.type == "cpu":
        say("bfloat16 on a CPU without bfloat16 units: many times slower than dtype float32, and no more exact")
        return
    raise TrainingError(
        "TrainerConfig.dtype",
        got=f"'bfloat16' on {device}, {name_of(device)}",
        wanted="a device that computes in bfloat16 (Ampere or later)",
        do="Set dtype='float32'.",
    )


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 numbers in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    ask = getattr(torch.cpu, "get_capabilities", dict)  # torch before 2.12 cannot say: none is assumed
    capabilities: dict[str, bool] = ask()
    return device.type == "cpu" and any(capabilities.get(unit, False) for unit in CPU_UNITS)


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed what a step on this device draws from, to the numbers that `torch.manual_seed` would give.

    That one seeds every kind of device there is, and formats the stack of calls for each that is not in use: a
    quarter of a millisecond where this takes two microseconds.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextlib.contextmanager
def checkpointed_blocks(network: nn.Module, cfg: TrainerConfig) -> Iterator[None]:
    """Within it each block keeps its inputs only, and is computed again when its gradients are (arXiv:1604.06174).

    Raises:
        TrainingError: the network has no list of blocks.
    """
    if not cfg.activation_checkpointing:
        yield
        return
    found = blocks(network)
    if not found:
        raise TrainingError(
            "TrainerConfig.activation_checkpointing",
            got=f"True, for {type(network).__name__}, which has no nn.ModuleList of blocks",
            wanted="a network with blocks that can be computed again one by one",
            do="Set activation_checkpointing=False.",
        )
    for block in found:
        block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in found:
            del block.forward  # what remains is the class's own


def compiled(network: nn.Module, cfg: TrainerConfig) -> None:
    """Compile the network in place where that is asked for; its names and its `forward` stay."""
    if cfg.compile:
        network.compile()


def told(cfg: TrainerConfig, model: Any, device: torch.device, processes: str) -> str:
    """One line on how the run computes: what the trainer was asked for, or the model's own configuration.

    >>> told(TrainerConfig(), None, torch.device("cpu"), "one process")
    'cpu, float32, one process, compile off, activation checkpointing off, MFU unknown'
    """
    own = getattr(model, "cfg", None)

    def switch(ours: bool, its: str) -> str:
        return "on" if ours or getattr(own, its, False) else "off"

    computes = compute_type(cfg, device) + (" (auto)" if cfg.dtype == "auto" else "")
    name, peak = name_of(device), peak_of(name_of(device))
    of_peak = UNKNOWN if peak is None else f"of {peak / 1e12:.0f} tera operations a second"
    return (
        f"{device}{f' ({name})' if device.type == 'cuda' else ''}, {computes}, {processes}, "
        f"compile {switch(cfg.compile, 'compile')}, "
        f"activation checkpointing {switch(cfg.activation_checkpointing, 'checkpoint_blocks')}, MFU {of_peak}"
    )
