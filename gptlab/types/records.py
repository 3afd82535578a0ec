"""The records that flow from stage to stage: nominal, frozen, keyword-only, shapes in their fields.

A record is what two neighbours agree on, so it holds what the next stage needs and nothing that can be derived.
Structure is carried, never parsed again: a link is found once, in the source, and goes on as a span of
characters, a token position, an edge of a row. Arrays are never changed once a record holds them.

Axis names mean the same everywhere: `tokens` of one document, `links` of one document, `documents` and `edges`
of one walk or row, `seq` the fixed length of a row, `batch` rows.
"""

from collections.abc import Mapping
from typing import Literal

import attrs
import numpy as np
from jaxtyping import Int32, UInt16, UInt32

from gptlab.types.identity import DocumentId
from gptlab.types.links import Link

_array = attrs.cmp_using(eq=np.array_equal)

TokenArray = UInt16[np.ndarray, "tokens"] | UInt32[np.ndarray, "tokens"]
"""The tokens of one document; 16 bits where the vocabulary has at most 65,536 entries."""

Flag = Literal["disambiguation", "list"]


@attrs.frozen(kw_only=True)
class Document:
    """One document as text, with its links as spans.

    Attributes:
        id: its identity, `document_id(title)`.
        title: for people, as its source writes it.
        text: Markdown (or source code) without the title. In Markdown a link reads `[anchor](Target_title)`.
        links: ordered by position, not overlapping.
        flags: what kind of page it is, where a traversal may want to leave it out.
    """

    id: DocumentId
    title: str
    text: str
    links: tuple[Link, ...] = ()
    flags: frozenset[Flag] = frozenset()


@attrs.frozen(kw_only=True)
class TokenizedDocument:
    """One document as tokens, with its links as token positions.

    Attributes:
        tokens: the title as first line, the text, and end-of-text as the last token.
        link_positions: for each link the index of the token that completes it: a query at this index or later,
            in the same document, may see the target. Ascending.
        link_targets: as long as `link_positions`.
    """

    id: DocumentId
    title: str
    tokens: TokenArray = attrs.field(eq=_array)
    link_positions: Int32[np.ndarray, "links"] = attrs.field(eq=_array)
    link_targets: tuple[DocumentId, ...]
    flags: frozenset[Flag] = frozenset()


@attrs.frozen(kw_only=True)
class Walk:
    """Documents found by following links from a root, in an order in which every kept link points backwards.

    Attributes:
        documents: targets first; no document twice.
        visited: `visited[i]` is when `documents[i]` was reached: 0 is the root. What must be cut is cut
            from the last reached.
        edges: one row per kept link, (linker, target, position): indices into `documents`, and the token of the
            linker at which the link is complete; target < linker. Sorted; one edge per pair, the first link's.
        dropped: links that are no edges, counted by reason (`cycle`, `budget`, `missing`).
    """

    documents: tuple[TokenizedDocument, ...]
    visited: Int32[np.ndarray, "documents"] = attrs.field(eq=_array)
    edges: Int32[np.ndarray, "edges 3"] = attrs.field(eq=_array)
    dropped: Mapping[str, int]


@attrs.frozen(kw_only=True)
class PackedSequence:
    """One training row of exactly `seq` tokens: documents back to back, padding (if any) at the end.

    Attributes:
        tokens: padding repeats `end_of_text`.
        starts: where each document begins, ascending; the first is 0.
        ids: whose documents they are.
        edges: (linker, target, position): indices into `starts`, and the index in the row of the token that
            completes the link; target < linker. Sorted.
        length: tokens before the padding.
        end_of_text: the token that closes every document, so that document numbers follow from `tokens` alone.
        dropped: links that the row could not hold, counted by reason.
        cut: tokens of its documents that are not in the row.
    """

    tokens: UInt16[np.ndarray, "seq"] | UInt32[np.ndarray, "seq"] = attrs.field(eq=_array)
    starts: Int32[np.ndarray, "documents"] = attrs.field(eq=_array)
    ids: tuple[DocumentId, ...]
    edges: Int32[np.ndarray, "edges 3"] = attrs.field(eq=_array)
    length: int
    end_of_text: int
    dropped: Mapping[str, int]
    cut: int = 0


@attrs.frozen(kw_only=True)
class Batch:
    """Rows stacked for a model. Padding is -1 in every field but `tokens`.

    Attributes:
        tokens: what the model reads.
        targets: the next token; -1 where there is none to learn: padding, and the step from one document
            to the next, which no document can know.
        documents: number of the document within its row, the exclusive cumsum over end-of-text.
        positions: index within the row, from which rotary angles are made.
        edges: as in `PackedSequence`; rows with fewer edges are filled with -1.
    """

    tokens: Int32[np.ndarray, "batch seq"] = attrs.field(eq=_array)
    targets: Int32[np.ndarray, "batch seq"] = attrs.field(eq=_array)
    documents: Int32[np.ndarray, "batch seq"] = attrs.field(eq=_array)
    positions: Int32[np.ndarray, "batch seq"] = attrs.field(eq=_array)
    edges: Int32[np.ndarray, "batch edges 3"] = attrs.field(eq=_array)


@attrs.frozen(kw_only=True)
class Prompt:
    """What a person asks a model to continue."""

    text: str
    title: str = ""
    max_new_tokens: int = 128
    seed: int = 0


@attrs.frozen(kw_only=True)
class Generation:
    """What a model wrote, and which linked documents it had read when it wrote it.

    Attributes:
        text: the continuation, without the prompt.
        read: (characters of `text` written before, document read), in the order of reading.
        missing: targets of completed links that the store does not hold.
        written_first: those of them that the model wrote itself, to read them, before it went on.
        evicted: (characters of `text` written before, document that made room for one that was read then).
        ended_by: what it came to: the most tokens asked for, the end of the document, or a stop string.
    """

    prompt: Prompt
    text: str
    read: tuple[tuple[int, DocumentId], ...] = ()
    missing: tuple[DocumentId, ...] = ()
    written_first: tuple[DocumentId, ...] = ()
    evicted: tuple[tuple[int, DocumentId], ...] = ()
    ended_by: Literal["length", "end_of_text", "stop"] = "length"


@attrs.frozen(kw_only=True)
class ShortAnswer:
    """A question that a few words answer, or that a grader judges.

    Attributes:
        prompt: what the model continues; without a space at its end, which tokenizers put before the next word.
        answers: all that are right; none where only a grader can tell.
        title: of the document that the prompt begins, where it begins one.
        cluster: questions of one cluster depend on each other (they ask about the same document, say); empty: this
            one depends on no other.
    """

    prompt: str
    answers: tuple[str, ...] = ()
    title: str = ""
    cluster: str = ""
