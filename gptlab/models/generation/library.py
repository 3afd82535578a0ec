"""Documents encoded once: what a document's keys and values depend on is a short key, so they are shared by it.

Under the masks that follow links a document's hidden states are a function of its own tokens, of the documents that
it sees, of the token from which on it sees each, and of how far before it each stands (not at all where positions
are counted within each document). Of nothing else: not of who links to it, nor of where the row begins, for rotary
positions are relative and their keys can be turned. So ten linkers, in one row, in ten, or one after another, share
one encoding. Learned positions within the row are the exception: there the place is part of the key.
"""

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import cast

import attrs
import torch
from torch import Tensor

from gptlab.models.config import DagTransformerConfig
from gptlab.models.context import Arrangement
from gptlab.models.generation.few_rows import with_few_rows
from gptlab.models.generation.memory import Appending, Encoded, Memory
from gptlab.models.transformer import Block, Transformer, rotary_angles
from gptlab.types import DocumentId

MOST_TOKENS = 65_536
"""Tokens of encoded documents that are kept for the next linker; those used longest ago go first."""


@attrs.frozen
class Opening:
    """That a document is seen from a token on.

    Attributes:
        at: index of the token in the document that sees.
        document: the place of the document that is seen, in its `Arrangement`.
    """

    at: int
    document: int


def openings(arranged: Arrangement, cfg: DagTransformerConfig) -> list[tuple[Opening, ...]]:
    """For each document of a row which others it sees: the mask of `dense_mask`, document by document.

    >>> import numpy as np
    >>> row = Arrangement(ids=("A", "B"), tokens=(np.zeros(3), np.zeros(5)), edges=((1, 0, 2),))
    >>> openings(row, DagTransformerConfig(vocab_size=9))
    [(), (Opening(at=2, document=0),)]
    """
    spec, count = cfg.mask, len(arranged.tokens)
    if spec.kind == "causal":
        return [tuple(Opening(0, earlier) for earlier in range(number)) for number in range(count)]
    found: list[tuple[Opening, ...]] = []
    for number in range(count):
        opened: dict[int, int] = {}
        for linker, target, position in arranged.edges:
            if linker != number or not spec.follows_links:
                continue
            at = position if spec.kind == "from_link" else 0
            brings = [target, *(each.document for each in found[target])] if spec.ancestors else [target]
            for document in brings:
                opened[document] = min(at, opened.get(document, at))
        found.append(tuple(Opening(at, document) for document, at in sorted(opened.items())))
    return found


def _behind(sees: list[tuple[Opening, ...]], number: int) -> set[int]:
    """All that a document sees, and all that these see, and so on."""
    found: set[int] = set()
    waiting = [number]
    while waiting:
        new = {opening.document for opening in sees[waiting.pop()]} - found
        found |= new
        waiting.extend(new)
    return found


@attrs.frozen(eq=False)
class Sight:
    """What one document of a row sees, by what it is and not by where it stands.

    Attributes:
        seen: of each document seen: (token from which on, key of the encoding, how far it is moved).
        start: the first position, where that changes the encoding: learned positions within the row; else 0.
    """

    seen: frozenset[tuple[int, bytes, int]]
    start: int


class Library:
    """Encoded documents of one network, by their keys.

    Attributes:
        encodings: how many documents were encoded so far, for a trace and for tests.
    """

    def __init__(self, network: Transformer, most_tokens: int = MOST_TOKENS) -> None:
        """Nothing is encoded yet. The network's weights must not change from now on."""
        self.network, self.cfg, self.most_tokens = with_few_rows(network), network.cfg, most_tokens
        self.encodings = 0
        self._held: OrderedDict[bytes, Encoded] = OrderedDict()
        weight = network.embedding.weight
        self.dtype, self.device = weight.dtype, weight.device
        self._rotations: tuple[Tensor, Tensor] | None = None

    def sights(self, arranged: Arrangement) -> tuple[Sight, dict[bytes, Encoded]]:
        """What the last document of a row sees, and the encodings of that; what was not encoded is, targets first."""
        sees, starts = openings(arranged, self.cfg), arranged.starts
        within_row = self.cfg.positions_within == "row"
        is_learned = self.cfg.position_kind == "learned"
        last = len(arranged.tokens) - 1
        encoded: dict[int, Encoded] = {}

        def sight_of(number: int) -> Sight:
            seen = {
                (
                    opening.at,
                    encoded[opening.document].key,
                    starts[opening.document] - starts[number] if within_row and not is_learned else 0,
                )
                for opening in sees[number]
            }
            return Sight(frozenset(seen), starts[number] if within_row and is_learned else 0)

        for number in sorted(_behind(sees, last)):
            seen = {encoded[opening.document].key: encoded[opening.document] for opening in sees[number]}
            text = (arranged.ids[number], arranged.tokens[number].tolist())
            encoded[number] = self._encoded(text, sight_of(number), seen)
        return sight_of(last), {each.key: each for each in encoded.values()}

    def _encoded(self, text: tuple[DocumentId, list[int]], sight: Sight, others: dict[bytes, Encoded]) -> Encoded:
        key = blake2b(repr((text, sight.start, sorted(sight.seen))).encode(), digest_size=20).digest()
        found = self._held.get(key)
        if found is None:
            memory = Memory(self.cfg, 1, self.dtype, self.device)
            for at, other, moved_by in sorted(sight.seen):
                memory.add_document(0, others[other], at, moved_by)
            self.hidden(memory, range(1), [text[1]], [sight.start])
            found = memory.encoded(0, key)
            self.encodings += 1
        self._held[key] = found
        self._held.move_to_end(key)
        while sum(map(len, self._held.values())) > self.most_tokens and len(self._held) > 1:
            self._held.popitem(last=False)
        return found

    def hidden(self, memory: Memory, rows: range, tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Take new tokens through the network: what comes out for the last of each row, before the final norm.

        `Transformer.forward` without its kernel: keys and values are found in `memory`, and left there.

        Args:
            memory: what is seen.
            rows: of the memory.
            tokens: as many for each row.
            starts: position of the first token of each row's document.
        """
        network = self.network
        new = memory.appending(rows, len(tokens[0]))
        x = network.embedding(torch.tensor(tokens, device=self.device))
        rotation = None
        if network.position_embedding is not None:
            x = x + network.position_embedding(new.index + torch.tensor(starts, device=self.device)[:, None])
        else:
            rotation = self._rotation(new)
        x = network.embedding_norm(x)
        for layer, block in enumerate(cast(Iterable[Block], network.blocks)):
            normed = block.attention_norm(x)
            if block.conv is not None:
                normed = new.convolve(layer, block.conv, normed)
            x = x + block.attention(normed, rotation, new.attend(layer))
            x = x + block.mlp(block.mlp_norm(x))
        last: Tensor = x[:, -1:]
        return last

    def _rotation(self, new: Appending) -> tuple[Tensor, Tensor]:
        """Angles of tokens by their index in their document, from a table made once."""
        if self._rotations is None:
            positions = torch.arange(self.cfg.max_seq_len, device=self.device)[None]
            cosine, sine = rotary_angles(positions, self.cfg.head_size, self.cfg.rope_base, self.cfg.rope_scaling)
            self._rotations = cosine[0, 0], sine[0, 0]
        cosine, sine = self._rotations
        return cosine[new.index][:, None], sine[new.index][:, None]
