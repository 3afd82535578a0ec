"""What held-out documents share with those trained on, word for word: runs of 13 words, as for GPT-3.

Words are compared without case and punctuation (Brown et al., "Language models are few-shot learners", 2020, appendix
C). Runs are compared by 64-bit hashes: of a billion runs against a million, one in 20,000 tests finds one too many.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import attrs
import numpy as np
from jaxtyping import Int64, UInt64

from gptlab.pipeline import source_of, then
from gptlab.pipeline.observe import drop, track
from gptlab.pipeline.protocols import PreCached, Source
from gptlab.types import Document, DocumentId
from gptlab.types.validators import at_least

RUN = 13
"""Words in a run."""

_WORD = re.compile(r"\w+")
_BASE = np.uint64(0x9E3779B97F4A7C15)


@attrs.frozen(kw_only=True)
class Leak:
    """Two documents that share runs of words.

    Attributes:
        held_out, train: which two.
        shared: how many different runs of the held-out document the other one holds too.
    """

    held_out: DocumentId
    train: DocumentId
    shared: int


@attrs.frozen(eq=False, repr=False)
class Runs:
    """The runs of some documents, to look others up in.

    Attributes:
        hashes: of all runs, ascending; a run of several documents stands once for each.
        owners: whose each is, an index into `ids`.
        ids: the documents.
        size: words in a run.
    """

    hashes: UInt64[np.ndarray, "runs"]
    owners: Int64[np.ndarray, "runs"]
    ids: tuple[DocumentId, ...]
    size: int

    @classmethod
    def of(cls, documents: Iterable[Document], size: int = RUN) -> "Runs":
        """Read all documents."""
        ids: list[DocumentId] = []
        hashes: list[UInt64[np.ndarray, "_"]] = []
        for document in track(documents, "read runs of words", unit="documents"):
            ids.append(document.id)
            hashes.append(np.unique(hashes_of(document.text, size)))
        joined = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        owners = np.repeat(np.arange(len(ids)), [len(each) for each in hashes])
        order = np.argsort(joined, kind="stable")
        return cls(joined[order], owners[order], tuple(ids), size)

    def shared_with(self, document: Document) -> Counter[DocumentId]:
        """How many different runs this document shares with each of those read.

        >>> text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        >>> known = Runs.of([Document(id=DocumentId("Old"), title="", text=text)])
        >>> known.shared_with(Document(id=DocumentId("New"), title="", text="They said: " + text.upper() + "!"))
        Counter({'Old': 2})
        """
        wanted = np.unique(hashes_of(document.text, self.size))
        begins, ends = (np.searchsorted(self.hashes, wanted, side=side) for side in ("left", "right"))
        found: Counter[DocumentId] = Counter()
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            found.update(self.ids[owner] for owner in self.owners[begin:end].tolist())
        return found


def leaks(train: Iterable[Document], held_out: Iterable[Document], size: int = RUN) -> list[Leak]:
    """All pairs of a held-out document and one trained on that share a run of words, those that share most first.

    Args:
        train: read once, one at a time.
        held_out: their runs are kept, 16 bytes a word.
        size: words in a run.
    """
    runs = Runs.of(held_out, size)
    found = [
        Leak(held_out=id, train=document.id, shared=shared)
        for document in train
        for id, shared in runs.shared_with(document).items()
    ]
    return sorted(found, key=lambda leak: (-leak.shared, leak.held_out, leak.train))


def linked_leaks(documents: Sequence[Document], size: int = RUN) -> list[tuple[DocumentId, DocumentId]]:
    """Linker and target of each link whose two documents share a run of words, in order.

    What such a linker says after its link can be copied from the target word for word, so these edges say little
    about reading.

    Args:
        documents: linkers and targets.
        size: words in a run.
    """
    runs = Runs.of(documents, size)
    return sorted(
        {
            (document.id, link.target)
            for document in documents
            for shared in [runs.shared_with(document)]
            for link in document.links
            if link.target != document.id and link.target in shared
        }
    )


@attrs.frozen
class DropLeaks:
    """Leave out documents that share runs of words with those of `against`, such as the held-out ones.

    Args:
        against: read whole before the first document is yielded.
        size: words in a run.
        tolerated: a document with at most so many shared runs stays.
    """

    against: Source[Document] = attrs.field(validator=source_of(Document))
    size: int = attrs.field(default=RUN, validator=at_least(1, "Give 13, as for GPT-3."), kw_only=True)
    tolerated: int = attrs.field(default=0, validator=at_least(0, "Give 0 to drop on any."), kw_only=True)

    def __call__(self, documents: Iterator[Document]) -> Iterator[Document]:
        """Yield what shares nothing, in the order in which it comes."""
        if isinstance(self.against, PreCached):
            self.against.pre_cache()
        runs = Runs.of(self.against.get_data_generator(), self.size)
        for document in documents:
            if runs.shared_with(document).total() > self.tolerated:
                drop(f"shares {self.size} words in a row with a document held out", example=document.id)
            else:
                yield document

    __or__ = then


def hashes_of(text: str, size: int = RUN) -> UInt64[np.ndarray, "runs"]:
    """A hash of each run of `size` words, in the order of the text."""
    words = _WORD.findall(text.casefold())
    if len(words) < size:
        return np.empty(0, np.uint64)
    known = {word: blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in set(words)}
    hashes = np.frombuffer(b"".join(known[word] for word in words), np.uint64)
    runs = np.zeros(len(words) - size + 1, np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        for place in range(size):
            runs = (runs ^ (runs >> np.uint64(29))) * _BASE + hashes[place : place + len(runs)]
    return runs
