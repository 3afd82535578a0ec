"""What comes next, two ways: the definition, which encodes the whole context again, and the cache, held to it.

What the cache computes again, when a context changes, is one rule: *of the document being written, everything from
the first token on whose sight has changed*. Sight is which documents a token sees and how far before it they stand.
So, when a link is complete and its target read:

- `from_link`: nothing. No token up to here sees the target; its keys are put beside those held, for what comes.
- `whole_document`: the whole document being written, for all of it sees the target now.
- `causal`: the same. `document`: nothing, ever.
- positions in the row: a new document stands before the others, so that nothing that is held moves against the
  document being written, and rotary angles are relative. If it links to one that is held, it stands behind that one,
  which is moved: then everything from the first link to that one on is computed again, and so are documents that
  see one which moved against them.
- positions within each document: nothing moves.
- learned positions in the row are absolute: whatever stands behind a new document is computed again.
- a document that made room: everything from its first link on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import attrs
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from gptlab.models.context import Context
from gptlab.models.generation.library import Library, Sight
from gptlab.models.generation.memory import Memory
from gptlab.models.tensors import batch_tensors
from gptlab.models.transformer import Transformer


@runtime_checkable
class NextLogits(Protocol):
    """What a model is to a writer.

    >>> class Even:
    ...     def __call__(self, contexts):
    ...         return np.zeros((len(contexts), 257), np.float32)
    ...     def apart(self):
    ...         return self
    """

    def __call__(self, contexts: Sequence[Context], /) -> Float32[np.ndarray, "contexts vocab"]:
        """The logits of the token after each context's last."""

    def apart(self) -> "NextLogits":
        """The same for other contexts, between two calls for these."""


@attrs.frozen(eq=False)
class WholeContext:
    """Every context as a batch of one row, encoded again for every token: the definition.

    Attributes:
        network: called as `Transformer` is.
    """

    network: nn.Module

    @torch.no_grad()
    def __call__(self, contexts: Sequence[Context]) -> Float32[np.ndarray, "contexts vocab"]:
        """The logits of the token after each context's last."""
        with evaluating(self.network):
            return np.stack([self._of(context) for context in contexts])

    def _of(self, context: Context) -> Float32[np.ndarray, "vocab"]:
        fields = batch_tensors(context.batch(), next(self.network.parameters()).device)
        logits, *_ = self.network(**{name: field for name, field in fields.items() if name != "targets"})
        last: Float32[np.ndarray, "vocab"] = logits[0, -1].float().cpu().numpy()
        return last

    def apart(self) -> "WholeContext":
        """The same for other contexts, between two calls for these."""
        return self


@attrs.define(eq=False)
class Row:
    """What is held of one context.

    Attributes:
        context: whose row it is.
        changes: `Context.changes` when its sight was last looked at; -1 for never.
        sight: what the document being written saw then.
    """

    context: Context
    changes: int = -1
    sight: Sight = attrs.field(factory=lambda: Sight(frozenset(), 0))


class Cached:
    """Keys and values are kept between calls: a call computes the tokens that are new since the last one.

    Contexts may come and go between calls; one that is left out is forgotten.

    Attributes:
        library: encoded documents, shared by all contexts.
        computed: tokens of documents being written that were computed, those computed again counted again.
    """

    def __init__(self, library: Library) -> None:
        """Nothing is held yet."""
        self.library = library
        self.computed = 0
        self._rows: list[Row] = []
        self._memory = self._empty(0)

    def apart(self) -> "Cached":
        """The same for other contexts, between two calls for these: only the library is shared."""
        return Cached(self.library)

    @torch.inference_mode()
    def __call__(self, contexts: Sequence[Context]) -> Float32[np.ndarray, "contexts vocab"]:
        """The logits of the token after each context's last."""
        self._take(contexts)
        for number, row in enumerate(self._rows):
            if len(self._memory.own[number]) == len(row.context.tokens):  # asked again: nothing was written since
                self._forget_last(number, row)
            if row.context.changes != row.changes:
                self._look(number, row)
            done = len(self._memory.own[number])
            if row.context.tokens[done:-1]:
                self._compute(range(number, number + 1), [row.context.tokens[done:-1]])
        hidden = self._compute(range(len(self._rows)), [row.context.tokens[-1:] for row in self._rows])
        network = self.library.network
        logits: Float32[np.ndarray, "contexts vocab"] = (
            network.logits(network.final_norm(hidden))[:, -1].float().cpu().numpy()
        )
        return logits

    def _compute(self, rows: range, tokens: list[list[int]]) -> Tensor:
        self.computed += len(rows) * len(tokens[0])
        starts = [self._rows[row].sight.start for row in rows]
        return self.library.hidden(self._memory, rows, tokens, starts)

    def _take(self, contexts: Sequence[Context]) -> None:
        """Have a row for each context, in their order."""
        if [id(row.context) for row in self._rows] == [id(context) for context in contexts]:
            return
        held = {id(row.context): number for number, row in enumerate(self._rows)}
        sources = [held.get(id(context)) for context in contexts]
        self._memory = self._memory.rearranged(sources)
        self._rows = [
            Row(context) if source is None else self._rows[source]
            for context, source in zip(contexts, sources, strict=True)
        ]

    def _look(self, number: int, row: Row) -> None:
        """See what the context shows now, and forget what was computed from anything else."""
        sight, encoded = self.library.sights(row.context.arranged())
        done = len(self._memory.own[number])
        changed = sight.seen ^ row.sight.seen
        valid = 0 if sight.start != row.sight.start else min([done, *(at for at, _, _ in changed)])
        added = sight.seen - row.sight.seen
        if valid < done or added != changed:
            self._memory.rewind(number, valid)
            added = sight.seen
        for at, key, moved_by in sorted(added):
            self._memory.add_document(number, encoded[key], at, moved_by)
        row.sight, row.changes = sight, row.context.changes

    def _forget_last(self, number: int, row: Row) -> None:
        self._memory.rewind(number, len(row.context.tokens) - 1)
        row.sight, row.changes = Sight(frozenset(), row.sight.start), -1

    def _empty(self, rows: int) -> Memory:
        return Memory(self.library.cfg, rows, self.library.dtype, self.library.device)


def next_logits_of(network: nn.Module, *, is_cached: bool = True) -> NextLogits:
    """The way that suits the network: the cache for a `Transformer`, unless it is not wanted."""
    if is_cached and isinstance(network, Transformer):
        return Cached(Library(network))
    return WholeContext(network)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode that was."""
    was_training = network.training
    if was_training:
        network.eval()
    try:
        yield
    finally:
        if was_training:
            network.train()
