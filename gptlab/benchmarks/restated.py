"""The first evidence that the method works: facts that only a linked document tells, with its edge and without.

Held-out rows, one set of weights, every row scored twice (`gptlab.benchmarks.paired`). A model that reads its links
has a lower loss on the restated answers with the edges than without; one that cannot stays at `log(choices)` on both.
Facts are paired with themselves, and errors are clustered by the document that states them, since its linkers all
repeat the same words.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from jaxtyping import Float64

from gptlab.benchmarks.answers import RestatedAnswer, find_answers
from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.paired import PairedOutput, clustered_mean, score_with_and_without_edges
from gptlab.packing import Collate
from gptlab.pipeline import source_of
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source, Tokenizer
from gptlab.sources.linked_facts import Fact
from gptlab.training import TrainableModel
from gptlab.types import Document, PackedSequence
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True, eq=False)
class RestatedFacts:
    """Loss and accuracy on restated answers, with the linked documents visible and with the edges cut.

    Attributes:
        facts: as their source lists them; those of documents outside the rows are passed over.
        documents: the documents that the rows were made of, for their characters.
        tokenizer: the rows' own.
        batch_size: rows at a time; both outputs with their logits are held at once.
        max_rows: of the data; None: all.
    """

    facts: Source[Fact] = attrs.field(validator=source_of(Fact))
    documents: Source[Document] = attrs.field(validator=source_of(Document))
    tokenizer: Tokenizer
    batch_size: int = attrs.field(default=8, validator=at_least(1))
    max_rows: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))

    def calculate(self, data: Source[PackedSequence], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score every restated answer that the rows hold with its path of edges.

        Args:
            data: held-out rows.
            model: yields `token_losses` and, in evaluation mode, `logits`.

        Returns:
            For each kind of fact, and for `all`, under `<kind>_<figure>`:
            `n`, answers; `targets`, documents that state them (the clusters);
            `loss`, nats for a whole answer, and `loss_cut`; `chance_loss`, that of a guess among the choices;
            `gain` = `loss_cut - loss`, with `gain_stderr`;
            `accuracy` and `accuracy_cut`, answers whose every token is the model's first choice, `chance`,
            and `accuracy_gain` with `accuracy_gain_stderr`;
            `choice_accuracy`, `choice_accuracy_cut` and `choice_chance`: the first token, among the choices' only.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
        """
        check_data(self, data, model, Collate(self.batch_size))
        rows = list(itertools.islice(data.get_data_generator(), self.max_rows))
        answers = find_answers(
            self.facts.get_data_generator(), self.documents.get_data_generator(), self.tokenizer, rows
        )
        by_row: dict[int, list[RestatedAnswer]] = {}
        for answer in answers:
            by_row.setdefault(answer.row, []).append(answer)
        wanted = sorted(by_row)
        scores: list[AnswerScore] = []
        for pair in score_with_and_without_edges(
            track(
                (rows[number] for number in wanted), "restated facts", total=float(len(wanted)), unit="rows", every=8
            ),
            model,
            self.batch_size,
        ):
            numbers = wanted[pair.first_row : pair.first_row + len(pair.rows)]
            for within, number in enumerate(numbers):
                scores += [_score(pair, within, answer) for answer in by_row[number]]
        return figures_by_kind(scores)


@attrs.frozen(kw_only=True)
class AnswerScore:
    """What a model made of one answer: (with edges, cut) each.

    Attributes:
        answer: which.
        loss: nats for the whole answer.
        is_right: whether every token was the model's first choice.
        is_chosen: whether the first token was its first choice among the choices' first tokens.
    """

    answer: RestatedAnswer
    loss: tuple[float, float]
    is_right: tuple[bool, bool]
    is_chosen: tuple[bool, bool]


def figures_by_kind(scores: Sequence[AnswerScore]) -> dict[str, float]:
    """The figures that `RestatedFacts.calculate` returns; kinds in the order in which they first appear."""
    kinds = list(dict.fromkeys(score.answer.kind for score in scores))
    figures: dict[str, float] = {}
    for kind in [*kinds, "all"]:
        chosen = [score for score in scores if kind in (score.answer.kind, "all")]
        figures |= {f"{kind}_{name}": value for name, value in _figures(chosen).items()}
    return figures


def _figures(scores: Sequence[AnswerScore]) -> dict[str, float]:
    targets = np.array([score.answer.target for score in scores])
    loss, right, chosen = (
        np.array([getattr(score, name) for score in scores], dtype=np.float64).reshape(-1, 2)
        for name in ("loss", "is_right", "is_chosen")
    )
    gain, gain_stderr = clustered_mean(loss[:, 1] - loss[:, 0], targets)
    accuracy_gain, accuracy_gain_stderr = clustered_mean(right[:, 0] - right[:, 1], targets)
    return {
        "n": float(len(scores)),
        "targets": float(len(set(targets.tolist()))),
        "loss": _mean(loss[:, 0]),
        "loss_cut": _mean(loss[:, 1]),
        "chance_loss": _mean([math.log(score.answer.choices) for score in scores]),
        "gain": gain,
        "gain_stderr": gain_stderr,
        "accuracy": _mean(right[:, 0]),
        "accuracy_cut": _mean(right[:, 1]),
        "chance": _mean([1 / score.answer.choices for score in scores]),
        "accuracy_gain": accuracy_gain,
        "accuracy_gain_stderr": accuracy_gain_stderr,
        "choice_accuracy": _mean(chosen[:, 0]),
        "choice_accuracy_cut": _mean(chosen[:, 1]),
        "choice_chance": _mean([score.answer.choice_chance for score in scores]),
    }


def _score(pair: PairedOutput, within: int, answer: RestatedAnswer) -> AnswerScore:
    """The token at position p is predicted at p - 1."""
    asked = slice(answer.first - 1, answer.end - 1)
    right_tokens = pair.rows[within].tokens[answer.first : answer.end].tolist()
    outputs = (pair.linked, pair.cut)
    logits = [output.logits[within, asked] for output in outputs]
    best = [each.argmax(dim=-1).tolist() for each in logits]
    choices = list(answer.choice_tokens)
    chosen = [choices[int(each[0, choices].argmax())] for each in logits]
    losses = [float(output.token_losses[within, asked].sum()) for output in outputs]
    return AnswerScore(
        answer=answer,
        loss=(losses[0], losses[1]),
        is_right=(best[0] == right_tokens, best[1] == right_tokens),
        is_chosen=(chosen[0] == right_tokens[0], chosen[1] == right_tokens[0]),
    )


def _mean(values: Float64[np.ndarray, "answers"] | list[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
