"""What does the trainer cost over a loop written by hand, and over Lightning and transformers' Trainer?

    python -m venv peers && peers/bin/pip install . lightning 'transformers[torch]'
    peers/bin/python experiments/trainer_overhead/run.py [--rounds 9] [--steps 12]

The model and the packed rows of `recipes.dagseq_wiki` (a third of a million parameters, 16 rows of 256 tokens), fused
AdamW, clipping at 1, a learning rate that changes each step. All train a copy of the same weights on the same
batches, and must end with the same loss. `TorchTrainer` runs with everything on: metrics to disk, a bar on a
terminal, run-time checks. The peers run with their loggers, bars and checkpoints off. A step's time is that from
asking for a batch to asking for the next. The contenders take turns, a few steps each, in an order that changes; a
ratio is the median over rounds of the ratio of medians within a round, and its interval a bootstrap over rounds. The
data figures are `data_seconds` over `seconds` of the run's own metrics. Writes `result.json` beside this file, or
`result_small.json` with `--small`: a model whose step takes milliseconds, where what a trainer does itself is seen.
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import numpy as np
import torch
from rich.console import Console
from torch.utils.data import DataLoader, IterableDataset

from gptlab.experiment.console import ConsoleObserver
from gptlab.models import DagTransformer
from gptlab.models.tensors import batch_tensors
from gptlab.packing import Collate, Shuffled
from gptlab.pipeline import pipeline, watching
from gptlab.training import TorchTrainer, TrainerConfig, learning_rate
from gptlab.types import Batch
from recipes.dagseq_wiki import Settings, recipe

HERE = Path(__file__).parent
WARM = 2
"""Steps of each turn that are not counted."""

Times = list[float]


@attrs.frozen(eq=False)
class Watched:
    """The batches of a source, noting when each is asked for."""

    source: Any
    asked: Times

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        for batch in self.source.get_data_generator(start):
            self.asked.append(time.perf_counter())
            yield batch


def configuration(steps: int) -> TrainerConfig:
    return TrainerConfig(steps=steps, learning_rate=1e-3, warmup_steps=5, checkpoint_every=10**6)


def by_hand(model: DagTransformer, source: Watched, steps: int) -> float:
    """The loop that anyone would write."""
    cfg = configuration(steps)
    network = model.network.train()
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": cfg.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=cfg.learning_rate, betas=cfg.betas, fused=True)
    batches = source.get_data_generator()
    value = 0.0
    for step in range(steps):
        _, losses, _ = network(**batch_tensors(batch := next(batches), model.device))
        loss = losses.sum() / int((batch.targets >= 0).sum())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(cfg, step)
        optimizer.step()
        optimizer.zero_grad()
        value = loss.item()
    return value


def ours(model: DagTransformer, source: Watched, steps: int, *, bar: bool = True) -> float:
    """With metrics, bar and checks."""
    checked = Watched(source.source.checked("first"), source.asked)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        console = Console(file=nowhere, force_terminal=True, width=120) if bar else None
        logger = logging.Logger("run")
        with ConsoleObserver(logger, console) as observer, watching(observer):
            TorchTrainer.instantiate(
                configuration(steps), model, checked, directory=Path(folder), logger=logger
            ).train()
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    return float(json.loads(lines[-1])["loss"])


class Stream(IterableDataset):  # type: ignore[type-arg]
    """What a DataLoader reads."""

    def __init__(self, source: Watched) -> None:
        self.source = source

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for batch in self.source.get_data_generator():
            yield batch_tensors(batch, torch.device("cpu"))


def loss_of(network: torch.nn.Module, fields: dict[str, torch.Tensor]) -> torch.Tensor:
    _, losses, _ = network(**fields)
    return losses.sum() / (fields["targets"] >= 0).sum().clamp(min=1)


def lightning(model: DagTransformer, source: Watched, steps: int) -> float:
    """Lightning, as lean as it gets."""
    import lightning as L  # noqa: N812, PLC0415 - a peer

    cfg, last = configuration(steps), [0.0]

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.network

        def training_step(self, fields: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            loss = loss_of(self.network, fields)
            last[0] = loss.detach().item()
            return loss

        def configure_optimizers(self) -> Any:
            parameters = list(self.parameters())
            groups = [
                {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": cfg.weight_decay},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ]
            optimizer = torch.optim.AdamW(groups, lr=cfg.learning_rate, betas=cfg.betas, fused=True)
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: learning_rate(cfg, min(step, steps - 1)) / cfg.learning_rate
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    trainer = L.Trainer(
        max_steps=steps,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    trainer.fit(Module().train(), DataLoader(Stream(source), batch_size=None))
    return last[0]


def transformers(model: DagTransformer, source: Watched, steps: int) -> float:
    """transformers' Trainer, as lean as it gets."""
    from transformers import Trainer, TrainingArguments  # noqa: PLC0415 - a peer

    cfg, last = configuration(steps), [0.0]

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.network

        def forward(self, **fields: torch.Tensor) -> dict[str, torch.Tensor]:
            loss = loss_of(self.network, fields)
            last[0] = loss.detach().item()
            return {"loss": loss}

    class Rated(Trainer):  # type: ignore[misc]
        def create_optimizer(self, *_: Any) -> Any:
            parameters = list(self.model.parameters())
            groups = [
                {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": cfg.weight_decay},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ]
            self.optimizer = torch.optim.AdamW(groups, lr=cfg.learning_rate, betas=cfg.betas, fused=True)
            return self.optimizer

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                self.optimizer, lambda step: learning_rate(cfg, min(step, steps - 1)) / cfg.learning_rate
            )
            return self.lr_scheduler

        def get_train_dataloader(self) -> Any:
            return DataLoader(Stream(source), batch_size=None)

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            max_grad_norm=1.0,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        )
        Rated(model=Module().train(), args=arguments, train_dataset=Stream(source)).train()
    return last[0]


def turn(
    contender: Callable[[DagTransformer, Watched, int], float], model: DagTransformer, source: Any, steps: int
) -> tuple[float, float]:
    """Median seconds of a step, and the last loss."""
    watched = Watched(source, [])
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        loss = contender(model.copy(), watched, steps)
    gaps = [after - before for before, after in itertools.pairwise(watched.asked[:steps])]
    return statistics.median(gaps[WARM:]), loss


def waiting(model: DagTransformer, source: Any, steps: int) -> float:
    """The share of a run's time in which a step waits for its batch."""
    with tempfile.TemporaryDirectory() as folder:
        TorchTrainer.instantiate(configuration(steps), model, source, directory=Path(folder)).train()
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    waited = [line["data_seconds"] for line in lines[WARM:]]
    return sum(waited) / (lines[-1]["seconds"] - lines[WARM - 1]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--pages", type=int, default=1500)
    parser.add_argument("--small", action="store_true", help="a model whose step takes milliseconds")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in ("lightning.pytorch", "lightning", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as cache:
        settings = Settings(pages=asked.pages, cache=Path(cache))
        if asked.small:
            tiny = attrs.evolve(settings.model, layers=1, width=32, heads=1, vocab_size=512, max_seq_len=128)
            settings = attrs.evolve(settings, batch_size=2, model=tiny)
        made = recipe(settings)
        made.pre_cache()
        model, source = made.model, made.data
        assert isinstance(model, DagTransformer)
        contenders = {
            "by hand": by_hand,
            "gptlab": ours,
            "gptlab without its bar": functools.partial(ours, bar=False),
            "lightning": lightning,
            "transformers": transformers,
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        losses: dict[str, float] = {}
        for number in range(asked.rounds):
            names = list(contenders)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                seconds, losses[name] = turn(contenders[name], model, source, asked.steps)
                times[name].append(seconds)
        packed = waiting(model, source, 36)
        online = _online(made)
        result = {
            "date": "2026-11-24",
            "rounds": asked.rounds,
            "steps of a turn": asked.steps,
            "seconds of a step": {name: statistics.median(each) for name, each in times.items()},
            "over the loop by hand": {name: _ratio(each, times["by hand"]) for name, each in times.items()},
            "95 % interval": {name: _interval(each, times["by hand"]) for name, each in times.items()},
            "over gptlab": {name: _ratio(each, times["gptlab"]) for name, each in times.items()},
            "last loss": losses,
            "waiting for data, packed rows": packed,
            "waiting for data, packing online": waiting(model, online, 36),
        }
    (HERE / ("result_small.json" if asked.small else "result.json")).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _ratio(times: Times, base: Times) -> float:
    return statistics.median(a / b for a, b in zip(times, base, strict=True))


def _interval(times: Times, base: Times) -> list[float]:
    """Of the median ratio, by a bootstrap over rounds."""
    ratios = np.array(times) / np.array(base)
    drawn = np.random.default_rng(0).integers(len(ratios), size=(2000, len(ratios)))
    return np.quantile(np.median(ratios[drawn], axis=1), [0.025, 0.975]).round(4).tolist()


def _online(made: Any) -> Any:
    """The same rows, packed while the model trains rather than before."""
    shuffled = made.data.parts[0]
    assert isinstance(shuffled, Shuffled)
    return pipeline(shuffled.rows.rows, Collate(made.data.parts[1].batch_size))


if __name__ == "__main__":
    main()
