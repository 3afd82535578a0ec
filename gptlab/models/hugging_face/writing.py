"""A `DagTransformer` as a Hugging Face repository that others load without code of ours.

The names and layouts are those of the family that fits (`families`); what no family can hold is refused with the
list, since a model that computes something else under a known name would be worse than none. Weights are written in
float32 unless asked otherwise, in shards where they are large: an upload that is cut loses one at most.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from gptlab.models.config import DagTransformerConfig
from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.hugging_face.arrays import INDEX, SINGLE
from gptlab.models.hugging_face.card import Card, card_text
from gptlab.models.hugging_face.families import Family
from gptlab.models.hugging_face.pretrained_tokenizer import CONFIG, DEFINITION, PretrainedTokenizer
from gptlab.models.hugging_face.reading import part_of
from gptlab.models.hugging_face.settings import OURS, family_of, to_keep
from gptlab.models.hugging_face.tokenizer_files import as_byte_level, tokenizer_config, tokenizer_json
from gptlab.pipeline.protocols import Tokenizer
from gptlab.storage import new_directory, pretty_json
from gptlab.tokenizers import ByteLevelBPE
from gptlab.types.errors import refusal

DTYPES = ("float32", "bfloat16", "float16")
"""Of weights on disk."""

SHARD_BYTES = 2 << 30
"""Of one file of weights, at most (and at least one array)."""


def save_pretrained_dir(
    model: DagTransformer,
    directory: Path,
    *,
    tokenizer: Tokenizer | None = None,
    run: Path | None = None,
    card: Card | None = None,
    family: str | None = None,
    dtype: str = "float32",
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write `config.json`, weights, tokenizer and model card into a new directory, as a whole.

    Args:
        model: of settings that a family can hold: see `family_settings`.
        directory: must not exist.
        tokenizer: the one it was trained with; None to write none.
        run: its run directory, whose figures the card shows.
        card: what only you know: licence, data.
        family: `llama`, `qwen3` or `gpt2`; None for the first that can hold it.
        dtype: of the weights on disk: `float32`, `bfloat16` or `float16`.
        shard_bytes: of one file of weights, at most.

    Returns:
        The directory.

    Raises:
        ValueError: no family can hold it, with the list of what is in the way; a tokenizer of another size or kind.
    """
    kind = family_of(model.cfg, family)
    _check(model.cfg, tokenizer, dtype, shard_bytes)
    ours = None if tokenizer is None else _saveable(tokenizer)
    files = {} if ours is None else _tokenizer_files(ours, model.cfg)
    end = None if tokenizer is None else tokenizer.end_of_text
    files["config.json"] = pretty_json(settings_of(model.cfg, kind, dtype=dtype, end_of_text=end))
    generation = {"eos_token_id": end, "bos_token_id": end, "pad_token_id": end, "do_sample": True}
    files["generation_config.json"] = pretty_json(
        {name: each for name, each in generation.items() if each is not None}
    )
    files["README.md"] = card_text(
        card or Card(), model.cfg, parameters=model.parameter_count(), architecture=kind.architecture, run=run
    )
    with new_directory(directory, kind="hugging_face") as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text, encoding="utf-8")
        if isinstance(ours, ByteLevelBPE):
            ours.save_to_dir(temporary / "tokenizer")  # ranks for tiktoken, and the pattern
        _write_weights(model, kind, temporary, dtype, shard_bytes)
    # The card is there to be edited: a list of hashes would call that damage.
    (directory / "manifest.json").unlink()
    return directory


def settings_of(
    cfg: DagTransformerConfig, family: Family, *, dtype: str = "float32", end_of_text: int | None = None
) -> dict[str, Any]:
    """The content of `config.json`."""
    return {
        "architectures": [family.architecture],
        "model_type": family.name,
        "vocab_size": cfg.vocab_size,
        **family.write(cfg),
        "tie_word_embeddings": cfg.tied_embeddings,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "use_cache": True,
        # The old name and the new one.
        "torch_dtype": dtype,
        "dtype": dtype,
        OURS: to_keep(cfg),
    }


def _check(cfg: DagTransformerConfig, tokenizer: Tokenizer | None, dtype: str, shard_bytes: int) -> None:
    if dtype not in DTYPES:
        raise refusal("save_pretrained_dir", got=f"dtype {dtype!r}", wanted=", ".join(DTYPES), do="Choose one.")
    if shard_bytes < 1:
        raise refusal(
            "save_pretrained_dir", got=f"shards of {shard_bytes} bytes", wanted="1 or more", do="Leave it out."
        )
    if tokenizer is not None and tokenizer.vocab_size > cfg.vocab_size:
        raise refusal(
            "save_pretrained_dir",
            got=f"a tokenizer of {tokenizer.vocab_size} tokens",
            wanted=f"at most the model's vocab_size {cfg.vocab_size}",
            do="Give the tokenizer that the model was trained with.",
        )


def _saveable(tokenizer: Tokenizer) -> PretrainedTokenizer | ByteLevelBPE:
    return tokenizer if isinstance(tokenizer, PretrainedTokenizer) else as_byte_level(tokenizer)


def _tokenizer_files(tokenizer: PretrainedTokenizer | ByteLevelBPE, cfg: DagTransformerConfig) -> dict[str, str]:
    if isinstance(tokenizer, PretrainedTokenizer):
        name = tokenizer.end_of_text_name
        return {DEFINITION: tokenizer.definition, CONFIG: pretty_json(tokenizer_config(cfg.max_seq_len, name))}
    return {DEFINITION: tokenizer_json(tokenizer), CONFIG: pretty_json(tokenizer_config(cfg.max_seq_len))}


def _write_weights(model: DagTransformer, family: Family, directory: Path, dtype: str, shard_bytes: int) -> None:
    """One file, or shards with an index; one shard is in memory at a time beside the model."""
    parameters = dict(model.network.named_parameters())
    kind = getattr(torch, dtype)
    slots = {slot.theirs: slot for slot in family.slots(model.cfg)}
    parts: dict[str, Tensor] = {name: part_of(parameters[slot.ours], slot) for name, slot in slots.items()}
    shards = _shards({name: part.numel() * kind.itemsize for name, part in parts.items()}, shard_bytes)
    where: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = SINGLE if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        arrays = {name: parts[name].detach().to("cpu", kind, copy=True).contiguous() for name in names}
        save_file(arrays, directory / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
    if len(shards) > 1:
        total = sum(part.numel() * kind.itemsize for part in parts.values())
        index = {"metadata": {"total_size": total}, "weight_map": where}
        (directory / INDEX).write_text(pretty_json(index), encoding="utf-8")


def _shards(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    """Names in order, cut where a shard would be larger than `most`."""
    shards: list[list[str]] = [[]]
    held = 0
    for name, size in sizes.items():
        if shards[-1] and held + size > most:
            shards.append([])
            held = 0
        shards[-1].append(name)
        held += size
    return shards
