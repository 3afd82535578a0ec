"""A language model on plain text, without links: the nanoGPT case.

python -m recipes.plain_text                       Python's own documentation
python -m recipes.plain_text --text my-folder      any text files
"""

import sys
from pathlib import Path

import attrs

from gptlab.benchmarks import HeldOutLoss
from gptlab.experiment import Evaluation, FlatRunOptions, KeepTokenizer, Recipe, RunOptions, main, run
from gptlab.graph import Split
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.packing import Collate, Concatenate, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import PythonDocumentation, TextFiles
from gptlab.tokenizers import LearnedBPE, Tokenize
from gptlab.training import TrainerConfig
from gptlab.types import Batch


@attrs.frozen(kw_only=True)
class Settings:
    """Train a causal language model on text files.

    Attributes:
        text: a folder of text files, or one file; Python's reference documentation when not given.
        pattern: which files of the folder.
        seed: of order and weights.
        held_out: share of the documents that is kept from training.
        batch_size: rows in a training step.
        model: its vocab_size and max_seq_len are the tokenizer's and the rows' as well.
        cache: where prepared data is kept and found again.
    """

    text: Path | None = None
    pattern: str = "**/*.txt"
    seed: int = 0
    held_out: float = 0.1
    batch_size: int = 16
    model: DagTransformerConfig = DagTransformerConfig(
        layers=2, width=96, heads=4, vocab_size=2048, max_seq_len=256, mask=MaskSpec("causal"), attention="dense"
    )
    trainer: TrainerConfig = TrainerConfig(steps=400, learning_rate=4e-3)
    cache: Path = Path(".gptlab/cache")
    run: FlatRunOptions = RunOptions()


def recipe(settings: Settings = Settings()) -> Recipe[Batch]:
    """Documents back to back, cut wherever a row is full."""
    source = PythonDocumentation() if settings.text is None else TextFiles(settings.text, settings.pattern)
    train, held_out = (pipeline(source, Split(part, settings.held_out)) for part in ("train", "held_out"))
    tokenizer = LearnedBPE(corpus=train, vocab_size=settings.model.vocab_size, cache=settings.cache)
    pack = pipeline(Tokenize(tokenizer), Concatenate(settings.model.max_seq_len))
    held_out_batches = pipeline(PackedRows(held_out | pack, cache=settings.cache), Collate(settings.batch_size))
    benchmark = HeldOutLoss(tokenizer=tokenizer)
    return Recipe(
        data=pipeline(
            Shuffled(PackedRows(train | pack, cache=settings.cache), seed=settings.seed), Collate(settings.batch_size)
        ),
        model=DagTransformer.instantiate(settings.model, seed=settings.seed),
        trainer=settings.trainer,
        held_out=held_out_batches,
        evaluations=(Evaluation(name="held-out documents", benchmark=benchmark, data=held_out_batches),),
        keep=KeepTokenizer(tokenizer),
    )


__test__ = True
__test_name__ = "plain_text"


def gptlab_examples(folder: Path) -> dict[str, object]:
    """A tiny run's data and model, which `pytest --gptlab recipes` puts to their laws."""
    tiny = recipe(
        Settings(
            batch_size=2,
            model=attrs.evolve(Settings().model, layers=1, width=16, vocab_size=300, max_seq_len=64),
            cache=folder,
        )
    )
    return {"data": tiny.data, "model": tiny.model}


if __name__ == "__main__":
    sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
