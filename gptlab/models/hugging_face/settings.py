"""Settings that a family can hold, and those of ours that a `config.json` of theirs carries along.

The defaults of `DagTransformerConfig` are what trains best and no public family has them (`short_conv`, squared
ReLU), so who means to publish asks for a family's settings before training.
"""

from pathlib import Path
from typing import Any

from gptlab.models.config import DagTransformerConfig, RopeScaling
from gptlab.models.hugging_face.families import FAMILIES, Family
from gptlab.models.mask import MaskSpec
from gptlab.storage import from_config, to_config
from gptlab.types.errors import refusal

OURS = "gptlab"
"""The key of `config.json` under which `save_pretrained_dir` keeps how a model was trained; others pass over it."""

_COMMON: dict[str, Any] = {"short_conv": 0, "embedding_norm": False, "soft_cap": None}
_SETTINGS: dict[str, dict[str, Any]] = {
    "llama": {**_COMMON, "mlp": "swiglu", "qk_norm": False, "norm": "rms"},
    "qwen3": {**_COMMON, "mlp": "swiglu", "qk_norm": True, "norm": "rms"},
    "gpt2": {
        **_COMMON,
        **{"mlp": "gelu_tanh", "qk_norm": False, "norm": "layer", "norm_eps": 1e-5, "position_kind": "learned"},
        **{"qkv_bias": True, "attention_out_bias": True, "mlp_bias": True, "rope_scaling": RopeScaling()},
    },
}


def family_settings(family: str) -> dict[str, Any]:
    """What to give to `DagTransformerConfig` for a model that can be saved as one of `family`.

    Args:
        family: `llama`, `qwen3` or `gpt2`.

    >>> cfg = DagTransformerConfig(layers=2, width=64, vocab_size=512, **family_settings("qwen3"))
    >>> family_of(cfg).architecture
    'Qwen3ForCausalLM'
    """
    if family not in _SETTINGS:
        raise refusal("family_settings", got=repr(family), wanted=f"one of {', '.join(_SETTINGS)}", do="Try qwen3.")
    return dict(_SETTINGS[family])


def family_of(cfg: DagTransformerConfig, name: str | None = None) -> Family:
    """The family that a configuration is saved as.

    Args:
        cfg: of the model.
        name: of the family; None for the first that can hold it.

    Raises:
        ValueError: none can: what is in the way of the nearest is listed, all of it.
    """
    if name is not None and name not in FAMILIES:
        raise refusal("family", got=repr(name), wanted=f"one of {', '.join(FAMILIES)}", do="Leave it out.")
    asked = [FAMILIES[name]] if name is not None else list(FAMILIES.values())
    differing = {family.name: family.differs(cfg) for family in asked}
    nearest = min(asked, key=lambda family: len(differing[family.name]))
    if not differing[nearest.name]:
        return nearest
    differences = differing[nearest.name]
    raise refusal(
        f"a DagTransformer as {nearest.architecture}",
        got="; ".join(f"{each.setting} = {each.found}" for each in differences),
        wanted="; ".join(f"{each.setting} = {each.possible}" for each in differences),
        do=f'Train with DagTransformerConfig(..., **family_settings("{nearest.name}")); '
        "save_to_dir keeps any model for gptlab itself.",
    )


def to_keep(cfg: DagTransformerConfig) -> dict[str, Any]:
    """What the key `gptlab` holds: that which changes what is computed from linked documents, and no shape."""
    return {"mask": to_config(cfg.mask), "positions_within": cfg.positions_within}


def kept_settings(data: object, path: Path) -> dict[str, Any]:
    """What `to_keep` wrote, checked like a stranger's.

    Raises:
        ValueError: it is something else.
    """
    match data:
        case None:
            return {}
        case {"mask": dict(mask), "positions_within": "row" | "document" as within, **rest} if not rest:
            return {"mask": from_config(mask, kind=MaskSpec), "positions_within": within}
    raise refusal(
        path, got=f"{OURS} = {data!r:.80}", wanted="what save_pretrained_dir writes", do=f"Remove the key {OURS}."
    )
