"""The testing kit: Hypothesis strategies from annotations, the laws of parts, and a pytest plugin.

Names are imported when they are first used: pytest loads the plugin, and so this file, in every session, and must
neither pay for Hypothesis nor import gptlab before a session's own import hooks are in place.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gptlab.testing.corpora import (
        batches,
        documents,
        linked_corpora,
        packed_sequences,
        prompts,
        row_streams,
        tokenized_corpora,
        tokenized_documents,
        walk_streams,
        walks,
    )
    from gptlab.testing.drawing import strategy_for
    from gptlab.testing.errors import CannotDraw, LawBroken
    from gptlab.testing.example import Example, Items
    from gptlab.testing.laws import (
        Held,
        check_benchmark,
        check_model,
        check_source,
        check_stage,
        check_tokenizer,
        check_trainer,
    )
    from gptlab.testing.registry import register
    from gptlab.testing.snapshots import difference, snapshot
    from gptlab.testing.streaming import streams
    from gptlab.testing.text import document_ids, nasty_text, titles

_HOME = {
    **dict.fromkeys(
        (
            "batches",
            "documents",
            "linked_corpora",
            "packed_sequences",
            "prompts",
            "row_streams",
            "tokenized_corpora",
            "tokenized_documents",
            "walk_streams",
            "walks",
        ),
        "corpora",
    ),
    "strategy_for": "drawing",
    **dict.fromkeys(("CannotDraw", "LawBroken"), "errors"),
    **dict.fromkeys(("Example", "Items"), "example"),
    **dict.fromkeys(
        (
            "Held",
            "check_benchmark",
            "check_model",
            "check_source",
            "check_stage",
            "check_tokenizer",
            "check_trainer",
        ),
        "laws",
    ),
    "register": "registry",
    **dict.fromkeys(("difference", "snapshot"), "snapshots"),
    "streams": "streaming",
    **dict.fromkeys(("document_ids", "nasty_text", "titles"), "text"),
}

__all__ = [
    "CannotDraw",
    "Example",
    "Held",
    "Items",
    "LawBroken",
    "batches",
    "check_benchmark",
    "check_model",
    "check_source",
    "check_stage",
    "check_tokenizer",
    "check_trainer",
    "difference",
    "document_ids",
    "documents",
    "linked_corpora",
    "nasty_text",
    "packed_sequences",
    "prompts",
    "register",
    "row_streams",
    "snapshot",
    "strategy_for",
    "streams",
    "titles",
    "tokenized_corpora",
    "tokenized_documents",
    "walk_streams",
    "walks",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
