"""How many multiple-choice questions a second, against lm-evaluation-harness's Hugging Face backend, on one core?

    python -m venv peers && peers/bin/pip install '.[eval]'
    taskset -c 0 peers/bin/python experiments/multiple_choice_speed/measure.py --rounds 3 > result.json

The same random weights in both (Qwen3's shape, 4 layers of 256, 4096 tokens), float32, one thread, the same rows,
text in and log-likelihoods out. The rows are Python's own reference documentation, cut to the lengths of the usual
tasks: no data set is needed, and the time depends on nothing but lengths. Batch sizes are those that did best of a
few that were tried (`--batches`). They take turns; questions a second are of the median round, the ratio is the
median of the ratios within rounds. The largest relative difference of a log-likelihood is told too. Prints one
JSON object.
"""

import argparse
import importlib.metadata
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from lm_eval.models.huggingface import HFLM

from gptlab.benchmarks import score_questions
from gptlab.benchmarks.continuations import EncodeQuestions
from gptlab.benchmarks.likelihood import BATCH_TOKENS
from gptlab.benchmarks.prefix_trees import prefix_trees
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.models.hugging_face import family_settings, save_pretrained_dir
from gptlab.sources import PythonDocumentation
from gptlab.tokenizers import LearnedBPE
from gptlab.types import Question

VOCAB = 4096
SHAPES = {
    "as HellaSwag": {"context": 64, "choices": 4, "choice": 18, "examples": 0},
    "as ARC": {"context": 24, "choices": 4, "choice": 4, "examples": 0},
    "as PIQA": {"context": 10, "choices": 2, "choice": 18, "examples": 0},
    "as MMLU, 5 examples": {"context": 60, "choices": 4, "choice": 0, "examples": 5},
}
"""Words of a context and of a choice, about those of the data sets; MMLU's choices are letters."""


def fresh() -> DagTransformer:
    """Random weights, large enough that choices differ."""
    shape = {"layers": 4, "width": 256, "heads": 4, "vocab_size": VOCAB, "max_seq_len": 1024}
    model = DagTransformer.instantiate(DagTransformerConfig(**(family_settings("qwen3") | shape)))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.02)
    return model


def questions(shape: dict[str, int], count: int, seed: int = 0) -> list[Question]:
    """Rows of such lengths; each number of words is drawn between half of it and half more."""
    words = " ".join(document.text for document in PythonDocumentation().get_data_generator()).split()
    rng = np.random.default_rng(seed)

    def some(size: int) -> str:
        start, length = int(rng.integers(len(words) - 500)), int(rng.integers(size // 2 + 1, size + size // 2 + 1))
        return " ".join(words[start : start + length])

    letters = ("A", "B", "C", "D")
    preamble = "".join(f"{some(shape['context'])}\nAnswer: {letters[n % 4]}\n\n" for n in range(shape["examples"]))
    rows = []
    for _ in range(count):
        chosen = tuple(some(shape["choice"]) for _ in range(shape["choices"])) if shape["choice"] else letters
        context = f"{some(shape['context'])}\nAnswer:"
        rows.append(Question(preamble=preamble, context=context, choices=chosen, answer=0))
    return rows


def harness_of(model: DagTransformer, tokenizer: LearnedBPE, batch_size: int, folder: Path) -> Any:
    """The harness's backend on the export."""
    if not folder.exists():
        save_pretrained_dir(model, folder, tokenizer=tokenizer)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return HFLM(
        pretrained=theirs,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        batch_size=batch_size,
        max_length=1024,
        device="cpu",
    )


def measured(run: dict[str, Callable[[], list[float]]], rounds: int, count: int) -> dict[str, Any]:
    """Both by turns, and how far apart their answers are."""
    times: dict[str, list[float]] = {name: [] for name in run}
    answers: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, once in run.items():
            start = time.perf_counter()
            answers[name] = np.array(once())
            times[name].append(time.perf_counter() - start)
    ours, theirs = answers["gptlab"], answers["lm-eval"]
    ratios = [theirs / ours for ours, theirs in zip(times["gptlab"], times["lm-eval"], strict=True)]
    return {
        "questions/s": {name: round(count / statistics.median(of), 2) for name, of in times.items()},
        "times lm-eval": round(statistics.median(ratios), 2),
        "largest relative difference": float(np.max(np.abs(ours - theirs) / np.abs(theirs))),
    }


def compare(counts: dict[str, int], rounds: int, batch_tokens: int, batch_size: int) -> dict[str, Any]:
    """All shapes."""
    model = fresh()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = LearnedBPE(corpus=PythonDocumentation(), vocab_size=VOCAB, cache=Path(folder))
        harness = harness_of(model, tokenizer, batch_size, Path(folder) / "export")
        found: dict[str, Any] = {}
        for name, count in counts.items():
            rows = questions(SHAPES[name], count)
            requests = [
                SimpleNamespace(args=(row.prompt, row.delimiter + choice)) for row in rows for choice in row.choices
            ]

            def ours(rows: list[Question] = rows) -> list[float]:
                scores = score_questions(rows, model, tokenizer, batch_tokens=batch_tokens)
                return [choice.total for score in scores for choice in score.choices]

            def theirs(requests: list[Any] = requests) -> list[float]:
                return [total for total, _ in harness.loglikelihood(requests, disable_tqdm=True)]

            asked = list(EncodeQuestions(tokenizer)(iter(rows)))
            found[name] = {
                "questions": count,
                "tokens read": {
                    "gptlab": sum(map(len, prefix_trees(asked))),
                    "lm-eval": sum(map(len, {each.read for each in asked})),  # it too reads what is all the same once
                },
                **measured({"gptlab": ours, "lm-eval": theirs}, rounds, count),
            }
    return {
        "torch": torch.__version__,
        "lm-eval": importlib.metadata.version("lm_eval"),
        "transformers": transformers.__version__,
        "parameters": model.parameter_count(),
        "rounds": rounds,
        "batch": {"gptlab, tokens": batch_tokens, "lm-eval, rows": batch_size},
        "shapes": found,
    }


def main() -> None:
    """Measure, or try batch sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=48, help="of each shape; a third of them with examples")
    parser.add_argument("--batches", action="store_true", help="try batch sizes of both, one round each")
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS, help="of gptlab")
    parser.add_argument("--batch-size", type=int, default=32, help="rows, of lm-eval")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    counts = {name: chosen.questions // (3 if shape["examples"] else 1) for name, shape in SHAPES.items()}
    if chosen.batches:
        for tokens, rows in ((1024, 1), (2048, 4), (4096, 8), (8192, 16), (16384, 32)):
            found = compare(counts, 1, tokens, rows)
            told = {name: each["questions/s"] for name, each in found["shapes"].items()}
            sys.stderr.write(f"{tokens} tokens, {rows} rows: {told}\n")
        return
    print(json.dumps(compare(counts, chosen.rounds, chosen.batch_tokens, chosen.batch_size), indent=2))


if __name__ == "__main__":
    main()
