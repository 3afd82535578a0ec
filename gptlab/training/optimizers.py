"""Which rule changes which parameter: AdamW for all, or Muon for the hidden matrices and AdamW for the rest.

Parameters are sorted by what they are, once, by name, so that a log line can say who went where. State is saved
under parameter names, not numbers: a checkpoint can be read by a person, and a reordered module still finds its own.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

import attrs
import torch
from torch import nn

from gptlab.training.config import TrainerConfig
from gptlab.training.errors import TrainingError
from gptlab.training.parallel import part_of, whole

NAMES_SHOWN = 2
"""Names of a group that are shown before "..."."""

HEADS = frozenset({"head", "lm_head", "unembedding"})
"""Module names of an output head of its own; Muon is for the matrices between the embedding and the head."""


@attrs.frozen
class Group:
    """Parameters that are changed alike.

    Attributes:
        name: `matrices`, `vectors`, or the pattern of `TrainerConfig.groups`.
        rule: which optimiser.
        factor: of the learning rate.
        weight_decay: pull towards 0.
        names: of the parameters, in the network's order.
    """

    name: str
    rule: Literal["adamw", "muon"]
    factor: float
    weight_decay: float
    names: tuple[str, ...]


def parameter_groups(network: nn.Module, cfg: TrainerConfig) -> list[Group]:
    """The trained parameters by group: those that `cfg.groups` name, then matrices and vectors (never decayed).

    Muon takes the matrices that are neither embedding nor head, as its author advises
    (https://kellerjordan.github.io/posts/muon/). Shared parameters come once; frozen ones never.

    Raises:
        TrainingError: a pattern of `cfg.groups` matches no parameter.

    >>> network = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4))
    >>> cfg = TrainerConfig(optimizer="muon")
    >>> [(group.name, group.rule, group.names) for group in parameter_groups(network, cfg)]
    [('matrices', 'adamw', ('0.weight',)), ('matrices', 'muon', ('1.weight',)), ('vectors', 'adamw', ('1.bias',))]
    """
    embeddings = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    found: dict[tuple[str, Literal["adamw", "muon"], float, float], list[str]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        is_hidden = parameter.ndim == 2 and id(parameter) not in embeddings and not HEADS & set(name.split("."))
        rule: Literal["adamw", "muon"] = "muon" if cfg.optimizer == "muon" and is_hidden else "adamw"
        own = next((group for group in cfg.groups if fnmatchcase(name, group[0])), None)
        kind = ("matrices", 1.0, cfg.weight_decay) if parameter.ndim >= 2 else ("vectors", 1.0, 0.0)
        title, factor, decay = own or kind
        found.setdefault((title, rule, factor, decay), []).append(name)
    used = {key[0] for key in found}
    if idle := [pattern for pattern, _, _ in cfg.groups if pattern not in used]:
        names = [name for name, _ in network.named_parameters()]
        raise TrainingError(
            "TrainerConfig.groups",
            got=f"{idle[0]!r}, which is the first to match no parameter",
            wanted=f"patterns of the {len(names)} names, such as {names[0]} and {names[-1]}",
            do="Mend the pattern, or put it before the one that takes its parameters.",
        )
    return [Group(*key, tuple(names)) for key, names in found.items()]


class Optimizers:
    """One or two torch optimisers that step together, with state by parameter name.

    >>> network = nn.Linear(2, 2)
    >>> optimizers = Optimizers(network, TrainerConfig())
    >>> network(torch.ones(1, 2)).sum().backward()
    >>> optimizers.step(learning_rate=0.1)
    >>> sorted(optimizers.tensors())[:2]
    ['bias.exp_avg', 'bias.exp_avg_sq']
    >>> print(optimizers)
    matrices  adamw  learning rate x 1, weight decay 0.1  1 array of 4 numbers: weight
    vectors   adamw  learning rate x 1, weight decay 0    1 array of 2 numbers: bias
    """

    def __init__(self, network: nn.Module, cfg: TrainerConfig) -> None:
        self.groups = parameter_groups(network, cfg)
        named = dict(network.named_parameters())
        self.parameters = [named[name] for group in self.groups for name in group.names]
        if not self.parameters:
            raise TrainingError(
                f"{type(network).__name__}.parameters()",
                got="no parameter that asks for a gradient",
                wanted="at least one",
                do="Train a network with parameters, or use a trainer without gradients (FoldTrainer).",
            )
        self.named = {name: named[name] for group in self.groups for name in group.names}
        made = (_muon(named, self.groups, cfg), _adamw(named, self.groups, cfg))
        self._torch = [optimizer for optimizer in made if optimizer is not None]
        self._names: dict[torch.Tensor, str] = {parameter: name for name, parameter in named.items()}

    def __str__(self) -> str:
        """A table of the groups, with the names of their parameters."""
        rows = []
        for group in self.groups:
            numbers = sum(self.named[name].numel() for name in group.names)
            arrays = f"{len(group.names)} array{'s' * (len(group.names) > 1)} of {numbers:,} numbers"
            names = ", ".join(group.names[:NAMES_SHOWN]) + ", ..." * (len(group.names) > NAMES_SHOWN)
            how = f"learning rate x {group.factor:g}, weight decay {group.weight_decay:g}"
            rows.append((group.name, group.rule, how, f"{arrays}: {names}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
            for row in rows
        )

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.parameters[0].device

    def clip(self, largest: float) -> torch.Tensor:
        """Scale the gradients down to a norm of `largest`; the norm that they had."""
        return whole(torch.nn.utils.clip_grad_norm_(self.parameters, largest))

    def forget(self) -> None:
        """Remove the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, learning_rate: float) -> None:
        """Change the parameters by their gradients, which stay until `forget`."""
        for optimizer in self._torch:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["factor"]
            optimizer.step()

    def tensors(self) -> dict[str, torch.Tensor]:
        """The whole state, `<parameter name>.<key>`; the tensors are the optimiser's own, not copies.

        Where ranks hold parts of it, every rank must ask.
        """
        found = {}
        for optimizer in self._torch:
            for parameter, state in optimizer.state.items():
                for key, value in state.items():
                    found[f"{self._names[parameter]}.{key}"] = whole(value)
        return found

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what `tensors` gave.

        Raises:
            TrainingError: when the state is of other parameters.
        """
        by_name: dict[str, dict[str, torch.Tensor]] = {}
        for full, tensor in tensors.items():
            name, key = full.rsplit(".", 1)
            by_name.setdefault(name, {})[key] = tensor
        if strange := sorted(by_name.keys() - {self._names[parameter] for parameter in self.parameters}):
            raise TrainingError(
                "the optimiser state of the checkpoint",
                got=f"{len(strange)} parameters that the model does not train; the first is {strange[0]}",
                wanted=f"only the {len(self.parameters)} that it trains",
                do="Load the checkpoint with the model it was saved with.",
            )
        for optimizer in self._torch:
            restored = optimizer.state_dict()
            ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            restored["state"] = {
                index: {key: part_of(value, parameter) for key, value in by_name[self._names[parameter]].items()}
                for index, parameter in enumerate(ordered)
                if self._names[parameter] in by_name  # one that never had a gradient has no state
            }
            optimizer.load_state_dict(restored)


def _muon(named: Mapping[str, nn.Parameter], groups: list[Group], cfg: TrainerConfig) -> torch.optim.Optimizer | None:
    """Muon at AdamW's learning rate: its updates are scaled to the root mean square of AdamW's (arXiv:2502.16982)."""
    parts = _parts(named, groups, "muon")
    if not parts:
        return None
    return torch.optim.Muon(parts, lr=cfg.learning_rate, adjust_lr_fn="match_rms_adamw")


def _adamw(
    named: Mapping[str, nn.Parameter], groups: list[Group], cfg: TrainerConfig
) -> torch.optim.Optimizer | None:
    """AdamW in its fused form, which is one kernel for all parameters."""
    parts = _parts(named, groups, "adamw")
    return torch.optim.AdamW(parts, lr=cfg.learning_rate, betas=cfg.betas, fused=True) if parts else None


def _parts(named: Mapping[str, nn.Parameter], groups: list[Group], rule: str) -> list[dict[str, Any]]:
    return [
        {
            "params": [named[name] for name in group.names],
            "weight_decay": group.weight_decay,
            "factor": group.factor,
        }
        for group in groups
        if group.rule == rule
    ]
