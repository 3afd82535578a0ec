"""What a family of checkpoints is: how its settings are called, which arrays it has, and what it cannot express.

What is written is held to what both `transformers` and vLLM load; what is read, to what ours can compute, which is
more. Reading and writing go by the same list of slots (their array, our array, which rows): the two cannot disagree.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from gptlab.models.config import DagTransformerConfig

Settings = Mapping[str, Any]
"""The content of a checkpoint's `config.json`."""


@attrs.frozen
class Difference:
    """One thing that one side has and the other cannot hold.

    >>> print(Difference("hidden_act", "relu", "silu"))
    hidden_act = relu (only silu)
    """

    setting: str
    found: object
    possible: str

    def __str__(self) -> str:
        return f"{self.setting} = {self.found} (only {self.possible})"


@attrs.frozen(kw_only=True)
class Slot:
    """One array of a checkpoint and where it lies in ours.

    Attributes:
        theirs: its name in the checkpoint.
        ours: the name of the network's parameter.
        rows: which of the parameter's rows it is; None for all.
        transposed: whether it is stored with its inputs first.
    """

    theirs: str
    ours: str
    rows: tuple[int, int] | None = None
    transposed: bool = False


@attrs.frozen(kw_only=True)
class Family:
    """A kind of checkpoint.

    Attributes:
        name: what `model_type` says.
        architecture: the class that `transformers` and vLLM load it with.
        prefix: of the names of arrays; old checkpoints lack it.
        meaningless: patterns of arrays that some checkpoints carry and nobody needs: constants.
        read: from settings to ours, with what of them ours cannot hold.
        differs: what of ours the family cannot hold.
        write: from ours to the settings of the shape; `differs` found nothing.
        slots: every array, embeddings first.
    """

    name: str
    architecture: str
    prefix: str
    meaningless: tuple[str, ...] = ()
    read: Callable[[Settings], tuple[dict[str, Any], list[Difference]]]
    differs: Callable[[DagTransformerConfig], list[Difference]]
    write: Callable[[DagTransformerConfig], dict[str, Any]]
    slots: Callable[[DagTransformerConfig], Iterator[Slot]]


def unless(found: object, allowed: object, setting: str) -> list[Difference]:
    """The difference, where there is one.

    Args:
        found: a value.
        allowed: the one value that will do, or a tuple of them.
        setting: its name.
    """
    will_do = allowed if isinstance(allowed, tuple) else (allowed,)
    is_fine = any(found == value and type(found) is type(value) for value in will_do)
    return [] if is_fine else [Difference(setting, found, " or ".join(map(str, will_do)))]


def common_differences(settings: Settings) -> list[Difference]:
    """What no family may have: code of its own, numbers in few bits, experts, windows, capped or scaled logits."""
    found: list[Difference] = []
    for name in (
        *("auto_map", "quantization_config", "num_local_experts", "num_experts", "n_routed_experts"),
        *("final_logit_softcapping", "attn_logit_softcapping", "logit_scale", "query_pre_attn_scalar"),
    ):
        if settings.get(name) is not None:
            found.append(Difference(name, f"{settings[name]!r:.60}", "none"))
    return found


def plain_only(cfg: DagTransformerConfig) -> list[Difference]:
    """What of ours is in no public family."""
    return [
        *unless(cfg.short_conv, 0, "short_conv"),
        *unless(cfg.embedding_norm, False, "embedding_norm"),
        *unless(cfg.soft_cap, None, "soft_cap"),
    ]
