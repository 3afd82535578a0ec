"""The trainer without gradients keeps the same promises."""

import math
from collections.abc import Iterator

import attrs
import pytest
from tiny_torch import VOCAB, Counting, TinyModel

from gptlab.models import NGram, NGramConfig
from gptlab.pipeline import ContractError
from gptlab.pipeline.protocols import Model, Trainer
from gptlab.tokenizers import ByteLevelBPE
from gptlab.training import BPETrainer, FoldTrainer, TorchTrainer, TrainerConfig, TrainingError, mean_loss
from gptlab.training.bpe import BYTES
from gptlab.types import Batch, Document, document_id


def fresh() -> NGram:
    return NGram.instantiate(NGramConfig(vocab_size=VOCAB, order=2))


def loss(model: NGram, batches: int = 4) -> float:
    sums = [next(model.forward(iter([batch]))).loss for batch in Counting(1, batches).get_data_generator()]
    return float(sum(sums)) / batches


def test_it_returns_a_new_model_that_has_learned_and_leaves_the_given_one_alone():
    given = fresh()
    trainer = FoldTrainer.instantiate(20, given, Counting())
    trained = trainer.train()
    assert [int(seen.sum()) for _, seen in given.counts] == [0, 0]
    assert [int(seen.sum()) for _, seen in trained.counts] == [20 * 17, 20 * 17]
    assert len(trained.counts[1][0]) == VOCAB, "counting up has one successor for each token"
    assert loss(given) == pytest.approx(math.log(VOCAB)) and loss(trained) < 0.5
    assert trainer.train_input_type() is Batch and trainer.train_output_type() is NGram


def test_all_there_is_where_no_number_is_given():
    trained = FoldTrainer.instantiate(None, fresh(), Counting(batches=7)).train()
    assert int(trained.counts[0][1].sum()) == 7 * 17


@attrs.frozen
class Documents:
    def get_data_generator(self) -> Iterator[Document]:
        yield from ()


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ContractError, match="Documents"):
        FoldTrainer.instantiate(None, fresh(), Documents())


def test_both_trainers_are_trainers_by_structure_alone():
    for trainer in (
        FoldTrainer.instantiate(1, fresh(), Counting()),
        TorchTrainer.instantiate(TrainerConfig(steps=1), TinyModel(), Counting()),
    ):
        assert isinstance(trainer, Trainer) and isinstance(trainer.train(), Model)
        assert Trainer not in type(trainer).__mro__


@attrs.frozen
class Texts:
    texts: tuple[str, ...]

    def get_data_generator(self) -> Iterator[Document]:
        for number, text in enumerate(self.texts):
            yield Document(id=document_id(f"D{number}"), title=f"D{number}", text=text, links=())


def test_a_tokenizer_is_trained_through_the_same_contract():
    fresh_table = ByteLevelBPE(ranks=BYTES, vocab_size=257)
    trainer = BPETrainer.instantiate(262, fresh_table, Texts(("banana bandana " * 9,) * 3))
    assert isinstance(trainer, Trainer)
    trained = trainer.train()
    assert type(trained) is trainer.train_output_type() and trainer.train_input_type() is Document
    assert fresh_table.ranks == trainer.model.ranks == BYTES and b"an" in trained.ranks
    assert trained.vocab_size == 262 and len(trained.encode("banana")) < 6
    assert trained == trainer.train()
    with pytest.raises(TrainingError) as error:
        BPETrainer.instantiate(262, fresh_table, Counting())
    assert str(error.value) == (
        "Counting, the data source of BPETrainer\n  got     items of type Batch\n  wanted  Document\n"
        "  Train the tokenizer on a source of documents, before any stage that makes tokens of them."
    )


def test_the_scores_of_a_counting_model_are_those_of_any_other():
    class Scored(NGram):
        network = TinyModel().network  # whoever scores switches modes

    trained = FoldTrainer.instantiate(20, fresh(), Counting()).train()
    scored = Scored(trained.cfg, trained.counts)
    assert mean_loss(scored, Counting(1, 4).get_data_generator()).mean == pytest.approx(loss(trained), rel=1e-6)
