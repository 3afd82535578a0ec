"""DAGSeq2DAGSeq on Python: modules of installed packages, read together with the modules that they import.

python -m recipes.dagseq_python                            packages that gptlab itself needs
python -m recipes.dagseq_python --packages torch numpy     others that are installed
"""

import sys
from pathlib import Path

import attrs

from gptlab.benchmarks import HeldOutLoss, LinkGain
from gptlab.experiment import (
    Evaluation,
    FlatRunOptions,
    KeepTokenizer,
    Recipe,
    RunOptions,
    WriteAfterLinks,
    main,
    run,
)
from gptlab.graph import BreadthFirst, Split, TraverseLinks
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.packing import Collate, Pack, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import PythonPackages
from gptlab.tokenizers import LearnedBPE, Tokenize, Truncate
from gptlab.training import TrainerConfig
from gptlab.types import Batch


@attrs.frozen(kw_only=True)
class Settings:
    """Train a transformer whose Python modules may attend to the modules that they import.

    Attributes:
        packages: names of installed distributions.
        seed: of walks, order and weights.
        held_out: share of the modules that is kept from training.
        batch_size: rows in a training step.
        model: its vocab_size and max_seq_len are the tokenizer's and the rows' as well.
        cache: where prepared data is kept and found again.
    """

    packages: tuple[str, ...] = ("attrs", "cattrs", "beartype", "hypothesis", "rich", "pytest", "tyro")
    seed: int = 0
    held_out: float = 0.1
    batch_size: int = 4
    model: DagTransformerConfig = DagTransformerConfig(layers=2, width=96, heads=4, vocab_size=2048, max_seq_len=1024)
    trainer: TrainerConfig = TrainerConfig(steps=300, learning_rate=4e-3)
    cache: Path = Path(".gptlab/cache")
    run: FlatRunOptions = RunOptions()


def recipe(settings: Settings = Settings()) -> Recipe[Batch]:
    """The same path as for Wikipedia, from another source."""
    modules = PythonPackages(settings.packages)
    train, held_out = Split("train", settings.held_out), Split("held_out", settings.held_out)
    tokenizer = LearnedBPE(
        corpus=pipeline(modules, train), vocab_size=settings.model.vocab_size, cache=settings.cache
    )
    seq_len = settings.model.max_seq_len
    walk_and_pack = pipeline(
        Tokenize(tokenizer),
        Truncate(seq_len // 2),  # half of a row is left for what a module imports
        TraverseLinks(BreadthFirst(), seed=settings.seed, budget=seq_len),
        Pack(seq_len),
    )
    train_rows, held_out_rows = (
        PackedRows(pipeline(modules, part, walk_and_pack), cache=settings.cache) for part in (train, held_out)
    )
    held_out_batches = pipeline(held_out_rows, Collate(settings.batch_size))
    return Recipe(
        data=pipeline(Shuffled(train_rows, seed=settings.seed), Collate(settings.batch_size)),
        model=DagTransformer.instantiate(settings.model, seed=settings.seed),
        trainer=settings.trainer,
        held_out=held_out_batches,
        evaluations=(
            Evaluation(name="held-out modules", benchmark=HeldOutLoss(tokenizer=tokenizer), data=held_out_batches),
            Evaluation(name="tokens after an import", benchmark=LinkGain(), data=held_out_rows),
        ),
        writing=WriteAfterLinks(documents=pipeline(modules, held_out), tokenizer=tokenizer),
        picture=held_out_rows,
        keep=KeepTokenizer(tokenizer),
    )


__test__ = True
__test_name__ = "dagseq_python"


def gptlab_examples(folder: Path) -> dict[str, object]:
    """A tiny run's data and model, which `pytest --gptlab recipes` puts to their laws."""
    tiny = recipe(
        Settings(
            packages=("attrs",),
            batch_size=2,
            model=attrs.evolve(Settings().model, layers=1, width=16, vocab_size=300, max_seq_len=64),
            cache=folder,
        )
    )
    return {"data": tiny.data, "model": tiny.model}


if __name__ == "__main__":
    sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
