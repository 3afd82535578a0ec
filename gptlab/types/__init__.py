"""The records that flow between stages, and who owns an identity or a notation. numpy only, no torch."""

from gptlab.types.identity import CaseRule, DocumentId, document_id
from gptlab.types.links import Link, render_link, scan_links
from gptlab.types.questions import Question
from gptlab.types.records import (
    Batch,
    Document,
    Generation,
    PackedSequence,
    Prompt,
    ShortAnswer,
    TokenArray,
    TokenizedDocument,
    Walk,
)

__all__ = [
    "Batch",
    "CaseRule",
    "Document",
    "DocumentId",
    "Generation",
    "Link",
    "PackedSequence",
    "Prompt",
    "Question",
    "ShortAnswer",
    "TokenArray",
    "TokenizedDocument",
    "Walk",
    "document_id",
    "render_link",
    "scan_links",
]
