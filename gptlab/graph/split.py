"""Which documents are held out: decided by a hash of the identity, so that nothing else can change it.

A document keeps its part when others are added, when the dump is read in another order, on another machine and
after a year. BLAKE2 is used because Python's own `hash` is salted in every process.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal, get_args

import attrs

from gptlab.pipeline import then
from gptlab.types import Document, DocumentId
from gptlab.types.validators import at_least, one_of

Part = Literal["train", "held_out"]


@attrs.frozen
class Split:
    """Keep one part of the documents and leave the other to the other value of `part`.

    A link from one part into the other has no target afterwards and is counted as missing. To read held-out
    documents *with* the training documents that they link to, give a split as `TraverseLinks(roots=...)`.

    Args:
        part: what to keep.
        fraction: the share of documents that is held out.
        seed: another seed holds out others.

    >>> ids = [DocumentId(name) for name in ("Aa", "Bb", "Cc", "Dd", "Ee")]
    >>> [Split("held_out", fraction=0.4).takes(id) for id in ids]
    [True, True, False, False, True]
    """

    part: Part = attrs.field(validator=one_of(get_args(Part), "Say which part to keep."))
    fraction: float = attrs.field(
        default=0.1, validator=at_least(0.0, "Give the share to hold out, such as 0.1.", at_most=1.0)
    )
    seed: int = attrs.field(default=0, validator=at_least(0, "Any whole number from 0 on will do."))

    def __call__(self, documents: Iterator[Document]) -> Iterator[Document]:
        """Yield the documents of this part, in the order in which they come."""
        for document in documents:
            if self.takes(document.id):
                yield document

    __or__ = then

    def takes(self, id: DocumentId) -> bool:
        """Whether the document with this identity is of this part."""
        digest = blake2b(f"{self.seed}\n{id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        is_held_out = int.from_bytes(digest, "big") < self.fraction * 2**64
        return is_held_out == (self.part == "held_out")
