"""A checkpoint of Llama, Qwen3 or GPT-2 into a `DagTransformer`: exactly, or not at all.

First the settings, then the names and shapes of all arrays, then the numbers: what does not fit is known, all of it,
before anything is allocated. Nothing is left out or filled in: a checkpoint that holds more than the network, or
less, is refused with the list.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from gptlab.models.config import DagTransformerConfig
from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.hugging_face.arrays import StoredArrays, plain_file
from gptlab.models.hugging_face.families import FAMILIES, Difference, Family, Slot
from gptlab.models.hugging_face.settings import OURS, kept_settings
from gptlab.models.transformer import Transformer
from gptlab.storage import read_json
from gptlab.types.errors import FourPartError, refusal

_MOST_SHOWN = 8


def from_pretrained_dir(directory: Path, **settings: Any) -> DagTransformer:
    """The model of a checkpoint on disk, in float32, on the CPU and in evaluation mode.

    Args:
        directory: with `config.json` and `model.safetensors`, or shards and their index. A snapshot in the hub
            library's cache will do.
        settings: of `DagTransformerConfig`, those that a checkpoint does not fix: `mask`, `attention`, `dropout`,
            `positions_within`, `checkpoint_blocks`, `compile`, and `max_seq_len` where positions are rotary.

    Raises:
        ValueError: another family, or settings or arrays that ours cannot hold: all of them are listed. Pickles.
    """
    path = plain_file(directory, "config.json")
    given = read_json(path)
    family = _family(given, path)
    shape, differences = _shape(family, given, path)
    if differences:
        raise refusal(
            path,
            got="; ".join(f"{each.setting} = {each.found}" for each in differences),
            wanted="; ".join(f"{each.setting} = {each.possible}" for each in differences),
            do=f"This {family.name} checkpoint computes what a DagTransformer does not; choose another.",
        )
    cfg = DagTransformerConfig(**{**shape, **kept_settings(given.get(OURS), path), **_chosen(settings, shape)})
    stored = StoredArrays.look(directory)
    slots = _fitting(family, cfg, stored, directory)
    with torch.device("meta"):
        network = Transformer(cfg)
    _check_shapes(network, slots, stored, directory)
    _fill(network.to_empty(device="cpu"), slots, stored, cfg)
    network.eval()
    return DagTransformer(cfg, network)


def _family(given: Any, path: Path) -> Family:
    kind = given.get("model_type") if isinstance(given, dict) else None
    if kind not in FAMILIES:
        raise refusal(
            path,
            got=f"model_type {kind!r:.60}",
            wanted=f"one of {', '.join(FAMILIES)}",
            do="Choose a checkpoint of one of these families; models saved by save_to_dir are read by load_from_dir.",
        )
    family = FAMILIES[kind]
    classes = given.get("architectures") or [family.architecture]
    if classes != [family.architecture]:
        raise refusal(
            path,
            got=f"architectures {classes!r:.80}",
            wanted=f"[{family.architecture!r}]",
            do="Choose a checkpoint that predicts the next token; others have heads that would be lost.",
        )
    return family


def _shape(family: Family, given: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[Difference]]:
    try:
        return family.read(given)
    except FourPartError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        missing = isinstance(error, KeyError)
        raise refusal(
            path,
            got=f"no setting {error}" if missing else f"settings that do not fit together ({error})",
            wanted=f"the config.json of a {family.architecture}",
            do="Fetch the repository again, or choose another.",
        ) from error


def _chosen(settings: Mapping[str, Any], shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """The caller's settings, which must not be of those that the weights fix."""
    fixed = set(shape) - ({"max_seq_len"} if shape["position_kind"] == "rotary" else set())
    known = {field.name for field in attrs.fields(DagTransformerConfig)}
    wrong = sorted(name for name in settings if name in fixed or name not in known)
    if wrong:
        raise refusal(
            "from_pretrained_dir",
            got=", ".join(wrong),
            wanted=", ".join(sorted(known - fixed)),
            do="The weights fix the rest; leave it out.",
        )
    return settings


def _fitting(family: Family, cfg: DagTransformerConfig, stored: StoredArrays, directory: Path) -> dict[str, Slot]:
    """The slot of each stored array by its stored name; every slot has one, and every array a slot."""
    unclaimed = {name for name in stored.files if not any(fnmatchcase(name, each) for each in family.meaningless)}
    found: dict[str, Slot] = {}
    missing: list[str] = []
    for slot in family.slots(cfg):
        # Checkpoints of a bare model lack the prefix.
        name = next(
            (each for each in (slot.theirs, slot.theirs.removeprefix(family.prefix)) if each in unclaimed), None
        )
        if name is None:
            missing.append(slot.theirs)
            if len(missing) > _MOST_SHOWN:  # a configuration may promise a billion layers
                break
        else:
            unclaimed.discard(name)
            found[name] = slot
    if cfg.tied_embeddings and "lm_head.weight" in unclaimed:
        # Some store the output layer though it is the embedding: then it must be that.
        unclaimed.discard("lm_head.weight")
        _check_tie(stored, next(iter(found), ""), directory)
    if missing or unclaimed:
        raise refusal(
            directory,
            got=f"arrays beyond: {_some(sorted(unclaimed))}; arrays that lack: {_some(missing)}",
            wanted=f"those of a {family.architecture} with this config.json, no more and no fewer",
            do="Choose a checkpoint whose files belong together; nothing is left out and nothing filled in.",
        )
    return found


def _check_tie(stored: StoredArrays, embedding: str, directory: Path) -> None:
    arrays = dict(stored.read([name for name in (embedding, "lm_head.weight") if name in stored.files]))
    if len(arrays) == 2 and not torch.equal(arrays[embedding], arrays["lm_head.weight"]):
        raise refusal(
            directory,
            got="an lm_head.weight that is not the embedding",
            wanted="the same numbers, for config.json says tie_word_embeddings",
            do="Say tie_word_embeddings false in config.json, if the output layer is one of its own.",
        )


def _check_shapes(network: nn.Module, slots: Mapping[str, Slot], stored: StoredArrays, directory: Path) -> None:
    parameters = dict(network.named_parameters())
    wrong = []
    for name, slot in slots.items():
        found, wanted = stored.shape(name), part_of(parameters[slot.ours], slot).shape
        if found != tuple(wanted):
            wrong.append((name, list(found), list(wanted)))
    if wrong:
        raise refusal(
            directory,
            got=_some([f"{name} {found}" for name, found, _ in wrong]),
            wanted=_some([f"{name} {wanted}" for name, _, wanted in wrong]),
            do="Choose a checkpoint whose files belong together: config.json says other sizes.",
        )


@torch.no_grad()
def _fill(network: Transformer, slots: Mapping[str, Slot], stored: StoredArrays, cfg: DagTransformerConfig) -> None:
    if cfg.tied_embeddings:
        network.unembedding.weight = network.embedding.weight  # being made anew has parted them
    parameters = dict(network.named_parameters())
    for name, array in stored.read(list(slots)):
        part_of(parameters[slots[name].ours], slots[name]).copy_(array)


def part_of(parameter: Tensor, slot: Slot) -> Tensor:
    """The part of a parameter that a slot names, in the shape in which it is stored; a view."""
    part = parameter if slot.rows is None else parameter[slot.rows[0] : slot.rows[1]]
    return part.T if slot.transposed else part


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return (", ".join(names[:_MOST_SHOWN]) or "none") + (f" and {more} more" if more > 0 else "")
