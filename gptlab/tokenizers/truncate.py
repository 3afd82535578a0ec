"""Long documents cut to their beginning, so that a row has room for the documents that they link to.

Cutting comes before the link graph: what is cut off links to nothing, so a traversal follows only links that a
reader of the row can see. Real articles have thousands of tokens; without a cut, one of them fills a short row alone.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop
from gptlab.tokenizers.errors import TokenizerError
from gptlab.types import TokenizedDocument
from gptlab.types.validators import at_least


@attrs.frozen
class Truncate:
    """Keep the first `max_tokens` tokens of each document, the last of them end-of-text.

    Attributes:
        max_tokens: end-of-text included. Links that are complete only after the cut are lost and counted.

    >>> Truncate(1024)
    Truncate(max_tokens=1024)
    """

    max_tokens: int = attrs.field(
        validator=at_least(
            2, "One is end-of-text. Half of a row leaves room for linked documents.", error=TokenizerError
        )
    )

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[TokenizedDocument]:
        """Yield every document, cut where it is longer."""
        for document in documents:
            if len(document.tokens) <= self.max_tokens:
                yield document
                continue
            drop("end of a long document (it is cut)", example=document.title)
            kept = int(np.searchsorted(document.link_positions, self.max_tokens - 1))
            drop("link cut off with the end of its document", count=len(document.link_targets) - kept)
            yield attrs.evolve(
                document,
                tokens=np.concatenate([document.tokens[: self.max_tokens - 1], document.tokens[-1:]]),
                link_positions=document.link_positions[:kept],
                link_targets=document.link_targets[:kept],
            )

    __or__ = then
