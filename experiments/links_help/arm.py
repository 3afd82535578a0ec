"""One arm of `links_help`: the same documents are learned in the same order, with something else to read before them.

python -m experiments.links_help.arm --arm A5 --seed 0

A1  random documents in the row   document mask   nothing else is read
A2  random documents in the row   causal mask
A4  linked documents              causal mask
A5  linked documents              link mask: those that it links to, each from its link on
A6  as A5, on a graph of false links with the same degrees
A7  those most similar by BM25    causal mask
A8  as A5, the links followed depth first; A8w: by a random walk
A9  as A5, and through links of links

A3 (linked documents, document mask) learns exactly what A1 does, since the loss counts on the root alone.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from experiments.links_help.similar import LinkSimilar
from experiments.links_help.stages import LearnLast, RewireLinks, RootLast
from gptlab.benchmarks import HeldOutLoss
from gptlab.experiment import Evaluation, FlatRunOptions, Recipe, RunOptions, main, run
from gptlab.graph import BreadthFirst, DepthFirst, RandomOrder, RandomWalk, Split, TraverseLinks, VisitPolicy
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.packing import Collate, Pack, PackedRows, Shuffled
from gptlab.pipeline import SourcePipeline, pipeline
from gptlab.sources import ArticleFolder, LinkedFactsWiki, PythonPackages
from gptlab.tokenizers import LearnedBPE, Tokenize, Truncate
from gptlab.training import TrainerConfig
from gptlab.types import Batch, Document, TokenizedDocument

Arm = Literal["A1", "A2", "A4", "A5", "A6", "A7", "A8", "A8w", "A9"]

ARMS: Mapping[Arm, tuple[VisitPolicy, MaskSpec]] = {
    "A1": (RandomOrder(), MaskSpec(kind="document")),
    "A2": (RandomOrder(), MaskSpec(kind="causal")),
    "A4": (BreadthFirst(), MaskSpec(kind="causal")),
    "A5": (BreadthFirst(), MaskSpec(kind="from_link")),
    "A6": (BreadthFirst(), MaskSpec(kind="from_link")),
    "A7": (BreadthFirst(), MaskSpec(kind="causal")),
    "A8": (DepthFirst(), MaskSpec(kind="from_link")),
    "A8w": (RandomWalk(), MaskSpec(kind="from_link")),
    "A9": (BreadthFirst(), MaskSpec(kind="from_link", ancestors=True)),
}


@attrs.frozen(kw_only=True)
class Settings:
    """Train one arm.

    Attributes:
        arm: which.
        data: `facts`, the fictional encyclopedia, or `python`, the installed packages.
        pages: of the encyclopedia.
        seed: of weights, walks and the order of rows; the documents and the split stay.
        held_out: share of the documents that is kept from training.
        batch_size: rows in a step.
        model: its mask is the arm's.
        trainer: the same for all arms.
        cache: where prepared data is kept.
    """

    arm: Arm = "A5"
    data: Literal["facts", "python"] = "facts"
    pages: int = 12000
    seed: int = 0
    held_out: float = 0.1
    batch_size: int = 16
    model: DagTransformerConfig = DagTransformerConfig(
        layers=2, width=96, heads=4, vocab_size=1024, max_seq_len=256, init_scale=0.2
    )
    trainer: TrainerConfig = TrainerConfig(steps=1000, learning_rate=4e-3, evaluate_every=200, checkpoint_every=200)
    cache: Path = Path(".gptlab/cache")
    run: FlatRunOptions = RunOptions()


@attrs.frozen(kw_only=True)
class Corpus:
    """The documents of both parts, which are the same for every arm and seed."""

    documents: ArticleFolder | PythonPackages
    wiki: LinkedFactsWiki | None
    tokenizer: LearnedBPE
    settings: Settings

    def part(self, part: Literal["train", "held_out"]) -> SourcePipeline[Document]:
        """Documents as text."""
        return pipeline(self.documents, Split(part, self.settings.held_out))

    def tokenized(self, part: Literal["train", "held_out"]) -> SourcePipeline[TokenizedDocument]:
        """Documents as tokens, cut alike for every arm."""
        return pipeline(self.part(part), Tokenize(self.tokenizer), Truncate(self.settings.model.max_seq_len // 2))


def corpus(settings: Settings) -> Corpus:
    """What all arms read."""
    wiki = LinkedFactsWiki(pages=settings.pages, seed=0, cache=settings.cache) if settings.data == "facts" else None
    documents = PythonPackages() if wiki is None else ArticleFolder(wiki, cache=settings.cache)
    train = pipeline(documents, Split("train", settings.held_out))
    tokenizer = LearnedBPE(corpus=train, vocab_size=settings.model.vocab_size, cache=settings.cache)
    return Corpus(documents=documents, wiki=wiki, tokenizer=tokenizer, settings=settings)


def rows(documents: SourcePipeline[TokenizedDocument], arm: Arm, settings: Settings) -> PackedRows:
    """One row for each document: it stands last, after what the arm reads before it."""
    seq_len = settings.model.max_seq_len
    relinked = {"A6": RewireLinks(), "A7": LinkSimilar()}
    linked = pipeline(documents, relinked[arm]) if arm in relinked else documents
    traverse = TraverseLinks(ARMS[arm][0], seed=settings.seed, budget=seq_len)
    return PackedRows(pipeline(linked, traverse, RootLast(), Pack(seq_len)), cache=settings.cache)


def recipe(settings: Settings = Settings()) -> Recipe[Batch]:
    """The arm's data and model."""
    data = corpus(settings)
    train, held_out = (rows(data.tokenized(part), settings.arm, settings) for part in ("train", "held_out"))
    held_out_batches = pipeline(held_out, Collate(settings.batch_size), LearnLast())
    model = attrs.evolve(settings.model, mask=ARMS[settings.arm][1])
    return Recipe(
        data=pipeline(Shuffled(train, seed=settings.seed), Collate(settings.batch_size), LearnLast()),
        model=DagTransformer.instantiate(model, seed=settings.seed),
        trainer=settings.trainer,
        held_out=held_out_batches,
        evaluations=(
            Evaluation(
                name="held-out documents", benchmark=HeldOutLoss(tokenizer=data.tokenizer), data=held_out_batches
            ),
        ),
        keep=lambda: {"tokenizer": data.tokenizer.table},
    )


if __name__ == "__main__":
    sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
