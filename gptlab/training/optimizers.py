"""Which rule changes which parameter: AdamW for all, or Muon for the hidden matrices and AdamW for the rest.

Parameters are sorted by what they are, once, by name, so that a log line can say who went where. State is saved
under parameter names, not numbers: a checkpoint can be read by a person, and a reordered module still finds its own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gptlab.training.config import TrainerConfig
from gptlab.training.errors import TrainingError

HEADS = frozenset({"head", "lm_head", "unembedding"})
"""Module names of an output head of its own; Muon is for the matrices between the embedding and the head."""


def parameter_groups(network: nn.Module, cfg: TrainerConfig) -> dict[str, list[str]]:
    """Names of the trained parameters by group: `muon` (decayed), `matrices` (AdamW, decayed), `vectors` (AdamW).

    Muon takes the matrices that are neither embedding nor head, as its author advises
    (https://kellerjordan.github.io/posts/muon/). Shared parameters come once; frozen ones never.

    >>> network = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4))
    >>> parameter_groups(network, TrainerConfig(optimizer="muon"))
    {'muon': ['1.weight'], 'matrices': ['0.weight'], 'vectors': ['1.bias']}
    """
    embeddings = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    groups: dict[str, list[str]] = {"muon": [], "matrices": [], "vectors": []}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        is_hidden = parameter.ndim == 2 and id(parameter) not in embeddings and not HEADS & set(name.split("."))
        if cfg.optimizer == "muon" and is_hidden:
            groups["muon"].append(name)
        else:
            groups["matrices" if parameter.ndim >= 2 else "vectors"].append(name)
    return groups


class Optimizers:
    """One or two torch optimisers that step together, with state by parameter name.

    >>> network = nn.Linear(2, 2)
    >>> optimizers = Optimizers(network, TrainerConfig())
    >>> network(torch.ones(1, 2)).sum().backward()
    >>> optimizers.step(learning_rate=0.1)
    >>> sorted(optimizers.tensors())[:2]
    ['bias.exp_avg', 'bias.exp_avg_sq']
    """

    def __init__(self, network: nn.Module, cfg: TrainerConfig) -> None:
        self.groups = parameter_groups(network, cfg)
        named = dict(network.named_parameters())
        self.parameters = [named[name] for names in self.groups.values() for name in names]
        if not self.parameters:
            raise TrainingError(
                f"{type(network).__name__}.parameters()",
                got="no parameter that asks for a gradient",
                wanted="at least one",
                do="Train a network with parameters, or use a trainer without gradients (FoldTrainer).",
            )
        made = (_muon(named, self.groups, cfg), _adamw(named, self.groups, cfg))
        self._torch = [optimizer for optimizer in made if optimizer is not None]
        self._names: dict[torch.Tensor, str] = {parameter: name for name, parameter in named.items()}

    def __str__(self) -> str:
        return ", ".join(f"{group}: {len(names)}" for group, names in self.groups.items() if names)

    def step(self, learning_rate: float) -> None:
        """Change the parameters by their gradients, and forget the gradients."""
        for optimizer in self._torch:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The whole state, `<parameter name>.<key>`; the tensors are the optimiser's own, not copies."""
        found = {}
        for optimizer in self._torch:
            for parameter, state in optimizer.state.items():
                for key, value in state.items():
                    found[f"{self._names[parameter]}.{key}"] = value
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
            whole = optimizer.state_dict()
            ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            names = [self._names[parameter] for parameter in ordered]  # one that never had a gradient has no state
            whole["state"] = {index: by_name[name] for index, name in enumerate(names) if name in by_name}
            optimizer.load_state_dict(whole)


def _muon(
    named: Mapping[str, nn.Parameter], groups: Mapping[str, list[str]], cfg: TrainerConfig
) -> torch.optim.Optimizer | None:
    """Muon at AdamW's learning rate: its updates are scaled to the root mean square of AdamW's (arXiv:2502.16982)."""
    matrices = [named[name] for name in groups["muon"]]
    if not matrices:
        return None
    return torch.optim.Muon(
        matrices, lr=cfg.learning_rate, weight_decay=cfg.weight_decay, adjust_lr_fn="match_rms_adamw"
    )


def _adamw(
    named: Mapping[str, nn.Parameter], groups: Mapping[str, list[str]], cfg: TrainerConfig
) -> torch.optim.Optimizer | None:
    """AdamW in its fused form, which is one kernel for all parameters; vectors are not decayed."""
    parts: list[dict[str, Any]] = [
        {"params": [named[name] for name in groups[group]], "weight_decay": decay}
        for group, decay in (("matrices", cfg.weight_decay), ("vectors", 0.0))
        if groups[group]
    ]
    return torch.optim.AdamW(parts, lr=cfg.learning_rate, betas=cfg.betas, fused=True) if parts else None
