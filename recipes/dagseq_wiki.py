"""DAGSeq2DAGSeq on Wikipedia: documents are read together with the documents that they link to.

python -m recipes.dagseq_wiki                              an embedded wiki, made on the spot
python -m recipes.dagseq_wiki --wiki simplewiki            a Wikipedia, downloaded once
python -m recipes.dagseq_wiki --dump enwiki.xml.bz2        any MediaWiki export
python -m recipes.dagseq_wiki --markdown my-notes          a folder of Markdown
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from gptlab.benchmarks import HeldOutLoss, LinkGain, RestatedFacts
from gptlab.experiment import (
    Evaluation,
    ExperimentError,
    FlatRunOptions,
    Folders,
    KeepTokenizer,
    Recipe,
    RunOptions,
    WriteAfterLinks,
    main,
    run,
)
from gptlab.graph import (
    BreadthFirst,
    DepthFirst,
    RandomOrder,
    RandomWalk,
    Split,
    StoredDocuments,
    TraverseLinks,
    VisitPolicy,
)
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.packing import Collate, Pack, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.pipeline.protocols import Source
from gptlab.sources import (
    ArticleFolder,
    LinkedFacts,
    LinkedFactsWiki,
    MarkdownFolder,
    WikipediaDownload,
    WikipediaDump,
)
from gptlab.tokenizers import LearnedBPE, Tokenize, Truncate
from gptlab.training import TrainerConfig
from gptlab.types import Batch, Document

POLICIES: Mapping[str, VisitPolicy] = {
    "breadth_first": BreadthFirst(),
    "depth_first": DepthFirst(),
    "random_walk": RandomWalk(),
    "random": RandomOrder(),
}


@attrs.frozen(kw_only=True)
class Settings:
    """Train a transformer whose documents may attend to the documents that they link to.

    Attributes:
        wiki: a Wikimedia wiki by the name of its database, such as simplewiki; its newest dump is downloaded once.
        contact: an address at which Wikimedia can reach you; needed for the first download, then remembered.
        dump: a MediaWiki XML export, plain or packed as .bz2, .gz or .xz.
        markdown: a folder of Markdown files with links, such as an Obsidian vault.
        pages: of the embedded wiki, which is used when none of these is given.
        seed: of everything that is drawn: wiki, walks, order of rows, weights.
        held_out: share of the documents that is kept from training.
        traversal: how links are followed from each document.
        max_document: tokens of one document, so that a row has room for what it links to; half a row when not given.
        batch_size: rows in a training step.
        model: its vocab_size and max_seq_len are the tokenizer's and the rows' as well.
        cache: where prepared data is kept and found again.
    """

    wiki: str | None = None
    contact: str | None = None
    dump: Path | None = None
    markdown: Path | None = None
    pages: int = 6000
    seed: int = 0
    held_out: float = 0.2
    traversal: Literal["breadth_first", "depth_first", "random_walk", "random"] = "breadth_first"
    max_document: int | None = None
    batch_size: int = 16
    model: DagTransformerConfig = DagTransformerConfig(
        layers=2, width=96, heads=4, vocab_size=1024, max_seq_len=256, init_scale=0.2
    )
    trainer: TrainerConfig = TrainerConfig(steps=700, learning_rate=4e-3, evaluate_every=100, checkpoint_every=100)
    cache: Path = Path(".gptlab/cache")
    run: FlatRunOptions = RunOptions()


def recipe(settings: Settings = Settings()) -> Recipe[Batch]:
    """The data path from source to model, and what is measured at its end."""
    given = [name for name in ("wiki", "dump", "markdown") if getattr(settings, name) is not None]
    if len(given) > 1:
        where = " and ".join(f"--{name}" for name in given)
        raise ExperimentError(where, got=f"{len(given)} sources", wanted="one of them", do="Leave the others out.")
    invented = LinkedFactsWiki(pages=settings.pages, seed=settings.seed, cache=settings.cache)
    documents: Source[Document] = invented
    if settings.wiki is not None:
        documents = WikipediaDownload(wiki=settings.wiki, contact=settings.contact, cache=settings.cache)
    elif settings.dump is not None:
        documents = WikipediaDump(path=settings.dump, cache=settings.cache)
    elif settings.markdown is not None:
        documents = MarkdownFolder(settings.markdown)
    articles = ArticleFolder(documents, cache=settings.cache)

    train, held_out = Split("train", settings.held_out), Split("held_out", settings.held_out)
    tokenizer = LearnedBPE(
        corpus=pipeline(articles, train), vocab_size=settings.model.vocab_size, cache=settings.cache
    )
    seq_len = settings.model.max_seq_len

    def rows(part: Split) -> PackedRows:
        documents = StoredDocuments(
            pipeline(
                articles,
                part,
                Tokenize(tokenizer),
                Truncate(seq_len // 2 if settings.max_document is None else settings.max_document),
            ),
            cache=settings.cache,
        )
        return PackedRows(
            pipeline(
                documents,
                TraverseLinks(POLICIES[settings.traversal], seed=settings.seed, budget=seq_len),
                Pack(seq_len),
            ),
            cache=settings.cache,
        )

    held_out_rows = rows(held_out)
    held_out_batches = pipeline(held_out_rows, Collate(settings.batch_size))
    evaluations = [
        Evaluation(name="held-out documents", benchmark=HeldOutLoss(tokenizer=tokenizer), data=held_out_batches),
        Evaluation(name="tokens after a link", benchmark=LinkGain(), data=held_out_rows),
    ]
    if not given:
        facts = RestatedFacts(
            facts=LinkedFacts(invented), documents=pipeline(articles, held_out), tokenizer=tokenizer
        )
        evaluations.append(
            Evaluation(name="facts that only the linked document tells", benchmark=facts, data=held_out_rows)
        )
    return Recipe(
        data=pipeline(Shuffled(rows(train), seed=settings.seed), Collate(settings.batch_size)),
        model=DagTransformer.instantiate(settings.model, seed=settings.seed),
        trainer=settings.trainer,
        held_out=held_out_batches,
        evaluations=tuple(evaluations),
        writing=WriteAfterLinks(documents=pipeline(articles, held_out), tokenizer=tokenizer),
        picture=held_out_rows,
        keep=KeepTokenizer(tokenizer),
        places=Folders({"documents": articles}),
    )


__test__ = True
__test_name__ = "dagseq_wiki"


def gptlab_examples(folder: Path) -> dict[str, object]:
    """A tiny run's data and model, which `pytest --gptlab recipes` puts to their laws."""
    tiny = recipe(
        Settings(
            pages=60,
            batch_size=2,
            model=attrs.evolve(Settings().model, layers=1, width=16, vocab_size=300, max_seq_len=64),
            cache=folder,
        )
    )
    return {"data": tiny.data, "model": tiny.model}


if __name__ == "__main__":
    sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
