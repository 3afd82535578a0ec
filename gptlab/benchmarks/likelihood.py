"""Likelihoods of continuations: the obvious way for any model, and trees of shared prefixes for a `Transformer`.

The obvious way reads each continuation in a row of its own (`ContinuationRows`) and is the definition; a property
test holds the trees to it. They compute a context once for all of its choices, logits only where they are asked for,
and batch by length. How much faster that is: `experiments/multiple_choice_speed`.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import attrs
import numpy as np

from gptlab.benchmarks.continuations import Continuation, ContinuationRows, EncodeQuestions, fitted
from gptlab.benchmarks.prefix_trees import PrefixTree, prefix_trees
from gptlab.benchmarks.tree_pass import Likelihood, score_trees
from gptlab.models.generation.next_logits import evaluating
from gptlab.models.transformer import Transformer
from gptlab.pipeline import AtMost
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import HasAxes, Tokenizer
from gptlab.training import TrainableModel, scored
from gptlab.types import Question

AT_ONCE = 4096
"""Continuations that are sorted together: enough to be of like lengths, few enough to be held."""

BATCH_TOKENS = 8192
"""Of a batch, padding included."""


def longest_row(model: object) -> int | None:
    """The tokens of the longest row that a model reads; None where it does not say."""
    size = model.axes().get("seq") if isinstance(model, HasAxes) else None
    return size.size if isinstance(size, AtMost) else size


def score(
    continuations: Iterable[Continuation],
    model: TrainableModel[Any, Any],
    *,
    batch_tokens: int = BATCH_TOKENS,
    share_prefixes: bool = True,
) -> Iterator[Likelihood]:
    """The likelihood of each continuation, in order; `AT_ONCE` are read ahead.

    Args:
        continuations: a context that is too long for the model is cut on the left, and that is counted.
        model: from batches to `token_losses` and, for ranks, `logits`.
        batch_tokens: of a batch, padding included, at most; one row may be longer.
        share_prefixes: False for the definition, whatever the model.

    Raises:
        ValueError: a continuation is longer than the model's rows.
    """
    remaining, seq_len = iter(continuations), longest_row(model)
    while group := [fitted(each, seq_len) for each in islice(remaining, AT_ONCE)]:
        if share_prefixes and isinstance(model.network, Transformer):
            yield from _by_trees(group, model.network, batch_tokens)
        else:
            yield from _by_rows(group, model, batch_tokens)


def _by_trees(group: Sequence[Continuation], network: Transformer, batch_tokens: int) -> list[Likelihood]:
    found: dict[int, Likelihood] = {}
    with evaluating(network):
        for trees in _batches(prefix_trees(group), batch_tokens):
            found.update(score_trees(network, trees, group))
    return [found[number] for number in range(len(group))]


def _batches(trees: list[PrefixTree], batch_tokens: int) -> Iterator[list[PrefixTree]]:
    """Trees of like sizes, the largest first: what does not fit into memory does not fit at the start."""
    batch: list[PrefixTree] = []
    for tree in sorted(trees, key=len, reverse=True):
        if batch and len(batch[0]) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(tree)
    if batch:
        yield batch


def _by_rows(group: Sequence[Continuation], model: TrainableModel[Any, Any], batch_tokens: int) -> list[Likelihood]:
    order = sorted(range(len(group)), key=lambda number: -len(group[number].read))
    rows = ContinuationRows(batch_tokens=batch_tokens)(group[number] for number in order)
    found: dict[int, Likelihood] = {}
    for batch, output in scored(model, rows):
        losses = output.token_losses.double().cpu().numpy()
        ranks = None
        if output.logits is not None:
            targets = output.logits.new_tensor(np.maximum(batch.targets, 0)).long()[..., None]
            ranks = (output.logits > output.logits.gather(-1, targets)).sum(dim=-1).cpu().numpy()
        for row, is_asked in enumerate(batch.targets >= 0):
            found[order[len(found)]] = Likelihood(
                log_probs=-losses[row][is_asked], ranks=None if ranks is None else ranks[row][is_asked]
            )
    return [found[number] for number in range(len(group))]


@attrs.frozen(kw_only=True, eq=False)
class QuestionScore:
    """What a model made of one question: the likelihood of each of its choices."""

    question: Question
    choices: tuple[Likelihood, ...]


def score_questions(
    questions: Iterable[Question],
    model: TrainableModel[Any, Any],
    tokenizer: Tokenizer,
    *,
    batch_tokens: int = BATCH_TOKENS,
    only_right: bool = False,
) -> Iterator[QuestionScore]:
    """The likelihoods of the choices of each question, in order.

    Args:
        questions: read some thousands ahead.
        model, batch_tokens: as in `score`.
        tokenizer: the model's.
        only_right: score the right choice alone.
    """
    asked: deque[Question] = deque()

    def remember() -> Iterator[Question]:
        for question in track(questions, "questions", unit="questions"):
            asked.append(question)
            yield question

    likelihoods = score(EncodeQuestions(tokenizer, only_right)(remember()), model, batch_tokens=batch_tokens)
    while (first := next(likelihoods, None)) is not None:
        question = asked.popleft()
        further = 0 if only_right else len(question.choices) - 1
        yield QuestionScore(question=question, choices=(first, *islice(likelihoods, further)))
