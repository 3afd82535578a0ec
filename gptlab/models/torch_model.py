"""Any `nn.Module` with annotated tensors as a gptlab model: a stage, saved, copied and trained like any other.

The module says in its own `forward` what it wants (`tokens: Int[Tensor, "batch seq"]`), by the names of a record's
fields, and what it gives (an attrs record with a `loss`). Both are held against the record when the model is made, so
that a wrong axis is found before there is data.
"""

import copy
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, get_type_hints, runtime_checkable

import torch
from jaxtyping import AbstractArray
from torch import Tensor, nn

from gptlab.models import item_types
from gptlab.models.tensors import on_device
from gptlab.models.weights import CONFIG, load_weights, save_model
from gptlab.pipeline import AtMost
from gptlab.storage import from_config, opened, read_json
from gptlab.types import Batch
from gptlab.types.errors import refusal


@runtime_checkable
class BuildsModule(Protocol):
    """A frozen configuration that makes a module. A complete one:

    >>> import attrs
    >>> @attrs.frozen
    ... class Scores:
    ...     width: int
    ...     def build(self) -> nn.Module:
    ...         return nn.Linear(self.width, 1)
    """

    def build(self) -> nn.Module:
        """A module with fresh weights."""


class TorchModel:
    """A model around a module of the user's own.

    >>> import attrs
    >>> from jaxtyping import Int
    >>> from gptlab.models.output import ModelOutput
    >>> class Unigram(nn.Module):
    ...     def __init__(self, vocab_size: int) -> None:
    ...         super().__init__()
    ...         self.logits = nn.Parameter(torch.zeros(vocab_size))
    ...     def forward(self, targets: Int[Tensor, "batch seq"]) -> ModelOutput:
    ...         losses = torch.where(targets >= 0, -self.logits.log_softmax(0)[targets], 0.0)
    ...         return ModelOutput(loss=losses.sum() / (targets >= 0).sum(), token_losses=losses)
    >>> @attrs.frozen
    ... class UnigramConfig:
    ...     vocab_size: int
    ...     def build(self) -> nn.Module:
    ...         return Unigram(self.vocab_size)
    >>> TorchModel.instantiate(UnigramConfig(4)).fwd_input_type().__name__
    'Batch'
    """

    def __init__(self, cfg: BuildsModule, network: nn.Module, record: type = Batch) -> None:
        """Wrap a module that exists.

        Args:
            cfg: what it was built from; attrs, so that it can be saved.
            network: its `forward` names fields of `record`, annotated, and returns a record with a `loss`.
            record: what the stage before yields.

        Raises:
            ValueError: an annotation is missing, or does not fit the record's field.
        """
        self.cfg, self.network, self.record = cfg, network, record
        self.names, output = _check(network, record)
        self.forward = self._stage(output)

    @classmethod
    def instantiate(
        cls, cfg: BuildsModule, logger: logging.Logger | None = None, seed: int = 0, record: type = Batch
    ) -> "TorchModel":
        """A fresh model in evaluation mode; weights by the seed alone, and the global random state as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = cfg.build()
        network.eval()
        if logger is not None:
            count = sum(weight.numel() for weight in network.parameters())
            logger.info("%s with %s parameters, seed %d", type(network).__name__, f"{count:,}", seed)
        return cls(cfg, network, record)

    def _stage(self, output: type) -> Callable[[Iterator[Any]], Iterator[Any]]:
        """`forward`, annotated with what this module takes and gives, for whoever composes it."""

        def forward(items: Iterator[Any]) -> Iterator[Any]:
            for item in items:
                yield self.network(**self._tensors(item))

        forward.__annotations__ = {"items": Iterator[self.record], "return": Iterator[output]}  # type: ignore[name-defined, valid-type]
        return forward

    def _tensors(self, item: Any) -> dict[str, Tensor]:
        return {name: on_device(getattr(item, name), self.device) for name in self.names}

    @property
    def device(self) -> torch.device:
        """Where the weights are; the CPU where there are none."""
        return next((weight.device for weight in self.network.parameters()), torch.device("cpu"))

    def axes(self) -> Mapping[str, int | AtMost]:
        """What the configuration's own `axes` says, where it has one."""
        own = getattr(self.cfg, "axes", None)
        return {} if own is None else own()

    fwd_input_type = item_types.fwd_input_type
    fwd_output_type = item_types.fwd_output_type

    def copy(self) -> "TorchModel":
        """A model of its own with equal weights, in the same mode and on the same device."""
        return TorchModel(self.cfg, copy.deepcopy(self.network), self.record)

    def save_to_dir(self, directory: Path) -> None:
        """Write `config.json` and `model.safetensors`."""
        save_model(self.cfg, self.network, directory)

    @classmethod
    def load_from_dir(cls, directory: Path, allow: tuple[str, ...] = (), record: type = Batch) -> "TorchModel":
        """The same model, bit for bit, on the CPU and in evaluation mode.

        Args:
            directory: that `save_to_dir` wrote.
            allow: the packages whose configurations may be made: the one in which yours is written.
            record: as for the constructor.

        Raises:
            ValueError: the configuration is of a package that is not allowed, or the weights are of another module.
        """
        path = directory / CONFIG
        model = cls.instantiate(from_config(opened(read_json(path), str(path)), allow=allow), record=record)
        load_weights(model.network, directory)
        return model


def _check(network: nn.Module, record: type) -> tuple[list[str], type]:
    """The fields that the module wants, and what it returns."""
    where = f"{type(network).__name__}.forward"
    hints = get_type_hints(network.forward)
    fields = get_type_hints(record)
    names = []
    for name, parameter in inspect.signature(network.forward).parameters.items():
        wanted, offered = hints.get(name), fields.get(name)
        if offered is None and parameter.default is not inspect.Parameter.empty:
            continue
        if not _is_array(wanted) or not _is_array(offered) or not _fits(offered, wanted):
            raise refusal(
                f"{where}, parameter {name}",
                got=_shown(wanted),
                wanted=f"a tensor like the {record.__name__}'s field of that name: {_shown(offered)}",
                do=f"Annotate it so, as Int[Tensor, ...] or Float[Tensor, ...]; fields are {', '.join(fields)}.",
            )
        names.append(name)
    output = hints.get("return")
    if not isinstance(output, type) or "loss" not in dir(output) + list(get_type_hints(output)):
        raise refusal(
            f"{where}, what it returns",
            got=_shown(output),
            wanted="a record with a loss, which a trainer differentiates",
            do="Return gptlab.models.ModelOutput, or an attrs record of your own with loss: Float[Tensor, ''].",
        )
    return names, output


def _is_array(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


def _fits(offered: Any, wanted: Any) -> bool:
    """Whether an array of the record may be given as that tensor: the same axes, and a type that is wanted."""
    return offered.dim_str == wanted.dim_str and set(offered.dtypes) <= set(wanted.dtypes)


def _shown(hint: Any) -> str:
    if hint is None:
        return "nothing"
    return f"{', '.join(hint.dtypes)} [{hint.dim_str}]" if _is_array(hint) else getattr(hint, "__name__", str(hint))
