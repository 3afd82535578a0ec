"""Generation: writing that follows links, with a key-value cache that is exact.

`writer` is one continuation: text, links, what was read. `writing` continues many at once, or piece by piece.
`next_logits` is the model as a writer sees it, by the definition and by the cache; `memory` is the cache, and
`library` the documents in it that linkers share.
"""

from gptlab.models.generation.library import Library
from gptlab.models.generation.memory import Memory
from gptlab.models.generation.next_logits import Cached, NextLogits, WholeContext, next_logits_of
from gptlab.models.generation.reading import Lookup, Reading, WriteMissing
from gptlab.models.generation.writer import Piece, Writer
from gptlab.models.generation.writing import stream, write

__all__ = [
    "Cached",
    "Library",
    "Lookup",
    "Memory",
    "NextLogits",
    "Piece",
    "Reading",
    "WholeContext",
    "WriteMissing",
    "Writer",
    "next_logits_of",
    "stream",
    "write",
]
