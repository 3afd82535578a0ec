"""No language model: does one document link to another? Other records and another model, the same contracts.

python -m recipes.link_prediction                          Python modules and their imports
python -m recipes.link_prediction --markdown my-notes      notes and their links
"""

import sys
from pathlib import Path

import attrs

from gptlab.benchmarks import LinkAccuracy
from gptlab.experiment import Evaluation, FlatRunOptions, KeepTokenizer, Recipe, RunOptions, main, run
from gptlab.graph import Split
from gptlab.models import LinkPairs, LinkPredictor, LinkPredictorConfig, SampleLinks
from gptlab.pipeline import pipeline
from gptlab.sources import MarkdownFolder, PythonPackages
from gptlab.tokenizers import LearnedBPE, Tokenize
from gptlab.training import TrainerConfig


@attrs.frozen(kw_only=True)
class Settings:
    """Train a model that scores pairs of documents by whether the first links to the second.

    Attributes:
        markdown: a folder of Markdown files; the modules of `packages` when not given.
        packages: names of installed distributions.
        seed: of pairs and weights.
        held_out: share of the documents that is kept from training.
        pairs: in a batch; half of them are links.
        length: tokens of each document that are looked at.
        model: its vocab_size is the tokenizer's as well.
        cache: where prepared data is kept and found again.
    """

    markdown: Path | None = None
    packages: tuple[str, ...] = ("attrs", "cattrs", "beartype", "hypothesis", "rich", "pytest", "tyro")
    seed: int = 0
    held_out: float = 0.2
    pairs: int = 64
    length: int = 256
    model: LinkPredictorConfig = LinkPredictorConfig(vocab_size=2048)
    trainer: TrainerConfig = TrainerConfig(steps=300, learning_rate=3e-3)
    cache: Path = Path(".gptlab/cache")
    run: FlatRunOptions = RunOptions()


def recipe(settings: Settings = Settings()) -> Recipe[LinkPairs]:
    """Documents to pairs to scores."""
    source = PythonPackages(settings.packages) if settings.markdown is None else MarkdownFolder(settings.markdown)
    train, held_out = (pipeline(source, Split(part, settings.held_out)) for part in ("train", "held_out"))
    tokenizer = LearnedBPE(corpus=train, vocab_size=settings.model.vocab_size, cache=settings.cache)

    def pairs(epochs: int) -> SampleLinks:
        return SampleLinks(batch_size=settings.pairs, length=settings.length, seed=settings.seed, epochs=epochs)

    held_out_pairs = pipeline(held_out, Tokenize(tokenizer), pairs(1))
    return Recipe(
        # As many epochs as steps is always enough: an epoch has one batch or more.
        data=pipeline(train, Tokenize(tokenizer), pairs(settings.trainer.steps)),
        model=LinkPredictor.instantiate(settings.model, seed=settings.seed),
        trainer=settings.trainer,
        held_out=held_out_pairs,
        evaluations=(Evaluation(name="held-out pairs", benchmark=LinkAccuracy(), data=held_out_pairs),),
        keep=KeepTokenizer(tokenizer),
    )


__test__ = True
__test_name__ = "link_prediction"


def gptlab_examples(folder: Path) -> dict[str, object]:
    """A tiny run's data and model, which `pytest --gptlab recipes` puts to their laws."""
    tiny = recipe(
        Settings(
            packages=("attrs",),
            pairs=4,
            length=16,
            model=attrs.evolve(Settings().model, width=8, vocab_size=300),
            cache=folder,
        )
    )
    return {"data": tiny.data, "model": tiny.model}


if __name__ == "__main__":
    sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
