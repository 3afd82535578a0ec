"""Specificity against losses by hand: for a model that copies what its edges show, one that copies whatever stands
earlier in the row, and one that does not look."""

import math

import numpy as np
import pytest
from tiny_world import CHOICES, CopiesWhatItSees, Items, Words, world

from gptlab.benchmarks import LinkSpecificity
from gptlab.benchmarks.link_specificity import CONTEXTS
from gptlab.packing import cut_edges, stack
from gptlab.pipeline import ContractError, Drops, watching
from gptlab.storage import from_config, to_config
from gptlab.tokenizers.tokenize import tokenize_document
from gptlab.types import TokenizedDocument

TOKENIZER = Words(CHOICES)


def documents(count: int) -> Items:
    groups, _ = world(count)
    return Items([tokenize_document(each, TOKENIZER) for group in groups for each in group], TokenizedDocument)


def model(**options) -> CopiesWhatItSees:
    return CopiesWhatItSees(TOKENIZER.vocab_size, **options)


def test_a_model_that_reads_its_links_gains_from_the_linked_document_and_from_no_other():
    benchmark = LinkSpecificity(seq_len=256, common=0)
    figures = benchmark.calculate(documents(12), model())
    assert figures["edges"] == figures["targets"] == 12
    assert figures["specificity"] > 3 * figures["specificity_stderr"] > 0
    assert figures["specificity"] == pytest.approx(figures["loss_random"] - figures["loss_linked"])
    assert figures["loss_linked"] < figures["loss_random"] <= figures["loss_alone"] + 1e-6
    causal = benchmark.calculate(documents(12), model(ignores_edges=True))
    assert causal["specificity"] > 3 * causal["specificity_stderr"] > 0  # it reads what is linked, edge or not
    blind = benchmark.calculate(documents(12), model(context=200))  # nothing ever repeats 200 tokens
    assert blind["specificity"] == blind["specificity_stderr"] == 0


def test_every_token_after_the_link_is_scored_once_and_none_before():
    items = list(documents(5).items)
    scores = LinkSpecificity(seq_len=256, common=0, batch_size=2).scores(documents(5), model())
    by_id = {document.id: document for document in items}
    assert scores.losses.shape == scores.is_right.shape == (len(CONTEXTS), len(scores.edge))
    for number, target in enumerate(scores.targets):
        linker = by_id[f"L{target[1:]}"]
        own = scores.edge == number
        after = len(linker.tokens) - 2 - int(linker.link_positions[0])
        assert scores.distance[own].tolist() == list(range(after))
    assert set(scores.targets) == {f"T{number}" for number in range(5)}


def test_a_pair_that_is_left_out_is_not_scored_and_is_counted():
    data = documents(6)
    whole = LinkSpecificity(seq_len=256, common=0).scores(data, model())
    with watching(Drops()) as drops:
        benchmark = LinkSpecificity(seq_len=256, common=0, without=(("L2", "T2"), ("L3", "T4")))
        scores = benchmark.scores(data, model())
    assert set(scores.targets) == set(whole.targets) - {"T2"}
    assert drops.counts["edge that the caller left out"] == 1
    assert from_config(to_config(benchmark)) == benchmark


def test_losses_are_those_of_the_rows_scored_one_by_one():
    benchmark = LinkSpecificity(seq_len=256, common=0, batch_size=3)
    reader = model()
    scores = benchmark.scores(documents(4), reader)
    rows = list(benchmark._rows(iter(documents(4).items)))
    for place, row in enumerate(rows):
        number, context = divmod(place, 3)
        losses = next(reader.forward(iter([stack([row])]))).token_losses[0].double().numpy()
        tail = losses[row.length - 2 - int((scores.edge == number).sum()) : row.length - 2]
        assert scores.losses[context, scores.edge == number] == pytest.approx(tail, abs=1e-6)


def test_alone_is_the_linked_row_with_this_one_edge_cut():
    benchmark = LinkSpecificity(seq_len=256, common=0)
    reader = model()
    rows = list(benchmark._rows(iter(documents(3).items)))
    for linked, alone in zip(rows[::3], rows[2::3], strict=True):
        whole = next(reader.forward(iter([cut_edges(stack([linked]))]))).token_losses[0]
        single = next(reader.forward(iter([stack([alone])]))).token_losses[0]
        begin = int(linked.starts[1])
        assert whole[begin : linked.length].numpy() == pytest.approx(single[: alone.length].numpy(), abs=1e-6)


def test_copyable_tokens_are_in_the_target_new_in_the_linker_and_not_common():
    items = list(documents(6).items)
    by_id = {document.id: document for document in items}
    scores = LinkSpecificity(seq_len=256, common=0).scores(documents(6), model())
    answers = 0
    for number, target in enumerate(scores.targets):
        linker, own = by_id[f"L{target[1:]}"].tokens.tolist(), scores.edge == number
        first = len(linker) - 1 - int(own.sum())
        for place, is_copyable in enumerate(scores.is_copyable[own].tolist()):
            token = linker[first + place]
            wanted = token in by_id[target].tokens and token not in linker[: first + place]
            assert is_copyable == wanted
            answers += is_copyable and token > 256
    assert answers == 6  # each linker repeats one word of the page that it links to
    none = LinkSpecificity(seq_len=256, common=10_000).calculate(documents(6), model())
    assert none["copyable_tokens"] == 0 and math.isnan(none["copyable_specificity"])


def test_the_same_seed_draws_the_same_edges_and_documents():
    def rows(seed):
        return list(LinkSpecificity(seq_len=256, seed=seed, max_edges=4)._rows(iter(documents(12).items)))

    assert rows(1) == rows(1) and rows(1) != rows(2) and len(rows(1)) == 12
    for linked, other, alone in zip(*[iter(rows(3))] * 3, strict=True):
        assert linked.ids[-1] == other.ids[-1] == alone.ids[0]
        assert other.ids[0] not in linked.ids and np.array_equal(alone.starts, [0])
        assert other.edges[0, 2] - other.starts[1] == linked.edges[0, 2] - linked.starts[1]


def test_what_does_not_fit_is_dropped_and_counted():
    drops = Drops()
    with watching(drops):
        figures = LinkSpecificity(seq_len=60).calculate(documents(4), model())
    assert figures["edges"] == 0 and math.isnan(figures["specificity"])
    assert dict(drops.counts) == {"edge whose documents do not fit in the row": 4}


def test_other_data_are_refused_before_they_are_read():
    with pytest.raises(ContractError, match="LinkSpecificity"):
        LinkSpecificity(seq_len=64).calculate(Items(["text"], str), model())
