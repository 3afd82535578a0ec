"""How fast is writing with the key-value cache, against transformers' `generate` with the same weights, on one core?

    python -m venv peers && peers/bin/pip install . transformers
    taskset -c 0 peers/bin/python experiments/generation_speed/measure.py peer --rounds 5
    taskset -c 0 peers/bin/python experiments/generation_speed/measure.py shared --rounds 5

`peer`: a model of 17 million parameters (6 layers of 384, 8192 tokens), exported by `save_pretrained_dir` and loaded
by transformers; both take the likeliest token always, and must write the same. 64 tokens of prompt, 128 new ones;
batches of 1, of 8, and of 8 prompts of different lengths (transformers: padded on the left). They take turns; tokens
per second are of the median round, the ratio is the median of the ratios within rounds.

`shared`: ten texts that link to one document of 512 tokens and go on for 16; with one library, which encodes the
document once, with a library for each text, and without a cache. Prints one JSON object.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec, Sampling
from gptlab.models.context import Context
from gptlab.models.generation import Cached, Library, NextLogits, WholeContext
from gptlab.models.hugging_face import family_settings, save_pretrained_dir
from gptlab.types import DocumentId, Prompt, TokenizedDocument

VOCAB = 8192
SHAPE = {"layers": 6, "width": 384, "heads": 6, "vocab_size": VOCAB, "max_seq_len": 1024}
GREEDY = Sampling(temperature=0)


class Numbers:
    """A tokenizer whose words are the tokens' numbers: what is compared is the model, not the text."""

    vocab_size, end_of_text = VOCAB, 0

    def encode(self, text: str) -> list[int]:
        return [int(word) for word in text.split()]

    def token_bytes(self, token: int) -> bytes:
        return f"{token} ".encode()


def fresh(family: str, **changes: object) -> DagTransformer:
    """Random weights, large enough that what comes next depends on what came before."""
    cfg = DagTransformerConfig(**(SHAPE | family_settings(family) | {"mask": MaskSpec("causal")} | changes))
    model = DagTransformer.instantiate(cfg)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.02)
    return model


def peer(family: str, rounds: int, new: int) -> dict[str, object]:
    """Tokens per second of both, and whether they write the same."""
    model = fresh(family)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = save_pretrained_dir(model, Path(folder) / "model", family=family)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(place).eval()
    rng = np.random.default_rng(0)
    results: dict[str, object] = {}
    for name, lengths in {
        "batch 1": [64],
        "batch 8": [64] * 8,
        "batch 8, ragged": [8, 24, 40, 56, 72, 88, 104, 120],
    }.items():
        texts = [rng.integers(1, VOCAB, length).tolist() for length in lengths]
        prompts = [Prompt(text="".join(f"{token} " for token in text), max_new_tokens=new) for text in texts]
        writer = model.reading(Numbers(), sampling=GREEDY, batch_size=len(texts))
        longest = max(lengths)
        ids = torch.tensor([[0] * (longest - len(text)) + text for text in texts])
        seen = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts])

        def ours(writer: DagTransformer = writer, prompts: list[Prompt] = prompts) -> list[list[int]]:
            return [Numbers().encode(each.text) for each in writer.inference(iter(prompts))]

        def peers(ids: torch.Tensor = ids, seen: torch.Tensor = seen) -> list[list[int]]:
            out = theirs.generate(
                ids, attention_mask=seen, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0
            )
            return out[:, ids.shape[1] :].tolist()

        same = sum(a == b for a, b in zip(ours(), peers(), strict=True))
        times = turns({"gptlab": ours, "transformers": peers}, rounds)
        results[name] = {
            "tokens/s": {who: round(len(texts) * new / statistics.median(of)) for who, of in times.items()},
            "times transformers": ratio(times["transformers"], times["gptlab"]),
            "texts that are equal": f"{same} of {len(texts)}",
        }
    return {"family": family, "parameters": model.parameter_count(), "new tokens": new, "rounds": rounds, **results}


def shared(rounds: int) -> dict[str, object]:
    """What it saves that a document is encoded once for ten linkers."""
    results: dict[str, object] = {"rounds": rounds}
    for within in ("row", "document"):
        model = fresh("qwen3", mask=MaskSpec("from_link"), positions_within=within)
        library = Library(model.network)
        write_ten(lambda library=library: Cached(library))
        times = turns(
            {
                "encoded once": lambda model=model: write_ten(shared_library(model)),
                "encoded by every text": lambda model=model: write_ten(lambda: Cached(Library(model.network))),
                "no cache": lambda model=model: write_ten(lambda: WholeContext(model.network), texts=1),
            },
            rounds,
        )
        times["no cache"] = [10 * of_one for of_one in times["no cache"]]
        results[f"positions within the {within}"] = {
            "encodings": library.encodings,
            "seconds": {name: round(statistics.median(of), 3) for name, of in times.items()},
            "times faster than encoded by every text": ratio(times["encoded by every text"], times["encoded once"]),
            "times faster than no cache": ratio(times["no cache"], times["encoded once"]),
        }
    return results


def shared_library(model: DagTransformer) -> Callable[[], NextLogits]:
    """A new library for ten texts."""
    library = Library(model.network)
    return lambda: Cached(library)


def write_ten(next_logits: Callable[[], NextLogits], texts: int = 10) -> None:
    """Ten texts, one after the other: a link, its document, 16 tokens more."""
    rng = np.random.default_rng(1)
    target = document("Target", rng.integers(1, VOCAB, 511).tolist())
    for _ in range(texts):
        step = next_logits()
        context = Context(document("Own", rng.integers(1, VOCAB, 16).tolist()), room=600)
        context.link(len(context.tokens) - 1, target.id)
        context.read(target)
        for _ in range(16):
            context.write(int(step([context])[0].argmax()))


def document(name: str, tokens: list[int]) -> TokenizedDocument:
    """Without links."""
    return TokenizedDocument(
        id=DocumentId(name),
        title=name,
        tokens=np.array([*tokens, 0], np.uint16),
        link_positions=np.zeros(0, np.int32),
        link_targets=(),
    )


def turns(run: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, by turns."""
    times: dict[str, list[float]] = {name: [] for name in run}
    for _ in range(rounds):
        for name, once in run.items():
            start = time.perf_counter()
            once()
            times[name].append(time.perf_counter() - start)
    return times


def ratio(above: list[float], below: list[float]) -> float:
    """The median of the ratios within rounds."""
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 2)


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["peer", "shared"])
    parser.add_argument("--family", default="qwen3", choices=["llama", "qwen3", "gpt2"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--new", type=int, default=128, help="tokens that are written")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = peer(chosen.family, chosen.rounds, chosen.new) if chosen.what == "peer" else shared(chosen.rounds)
    print(json.dumps({"torch": torch.__version__, **found}, indent=2))


if __name__ == "__main__":
    main()
