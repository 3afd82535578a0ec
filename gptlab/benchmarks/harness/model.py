"""A model as lm-evaluation-harness asks for it, and the harness told of it.

The harness asks for its own abstract class, and so is told that ours is one (`abc.ABC.register`): nothing is
inherited, and `HarnessModel` can be read, and tested, without it.
"""

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from gptlab.benchmarks.continuations import CUT, Continuation, encode_pair, rolling_windows
from gptlab.benchmarks.likelihood import BATCH_TOKENS, score
from gptlab.models import DagTransformer, Sampling
from gptlab.models.of_run import model_of, tokenizer_of
from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Tokenizer
from gptlab.tokenizers import decode_tokens
from gptlab.types import Prompt
from gptlab.types.errors import refusal

NAME = "gptlab"
"""Of the model in the harness: `--model gptlab --model_args run=experiments/...`."""

MAX_NEW_TOKENS = 256
"""Of a generation that does not say; the harness's own number."""

WRITTEN_AT_ONCE = 8
"""Prompts that are continued together."""


class HarnessModel:
    """A model as lm-evaluation-harness asks for it; requests are its `Instance` objects, of which `args` is read.

    Attributes:
        model, tokenizer: what answers.
        batch_tokens: of a batch, padding included, at most.
        rank, world_size: one process answers everything.
        cache_hook: the harness's; told every answer.
    """

    rank, world_size = 0, 1

    def __init__(self, model: DagTransformer, tokenizer: Tokenizer, *, batch_tokens: int = BATCH_TOKENS) -> None:
        """Wrap a model that is loaded; `create_from_arg_obj` loads that of a run."""
        self.model, self.tokenizer, self.batch_tokens = model, tokenizer, batch_tokens
        self.cache_hook: Any = None

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> "HarnessModel":
        """The model of a run directory, from `{"run": ..., "batch_tokens": ...}`.

        Args:
            arg_dict: what stood behind `--model_args`.
            additional_config: `device` is looked at; the harness's batch size counts rows, and is passed over.

        Raises:
            ValueError: an argument is missing or unknown, or the run has no model.
        """
        known = {"run": None, "batch_tokens": BATCH_TOKENS}
        if "run" not in arg_dict or set(arg_dict) - set(known):
            raise refusal(
                f"--model {NAME} --model_args",
                got=", ".join(f"{name}={value}" for name, value in arg_dict.items()) or "nothing",
                wanted="run=DIRECTORY and, if need be, batch_tokens=N",
                do="As in: --model_args run=experiments/20261124_101500",
            )
        run = Path(arg_dict["run"])
        model = model_of(run)
        device = (additional_config or {}).get("device")
        if device is not None:
            model.network.to(device)
        return cls(model, tokenizer_of(run), batch_tokens=int(arg_dict.get("batch_tokens", BATCH_TOKENS)))

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str, additional_config: dict[str, Any] | None = None
    ) -> "HarnessModel":
        """As `create_from_arg_obj`, from `run=...,batch_tokens=...`."""
        pairs = (part.partition("=") for part in arg_string.split(",") if part)
        return cls.create_from_arg_obj({name.strip(): value for name, _, value in pairs}, additional_config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def tokenizer_name(self) -> str:
        """Tells requests that the harness keeps from those of another tokenizer."""
        return f"{type(self.tokenizer).__name__}-{self.tokenizer.vocab_size}"

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """For each (context, continuation) its log-likelihood, and whether every token is the likeliest."""
        pairs = [request.args for request in requests]
        asked = (encode_pair(context, continuation, self.tokenizer) for context, continuation in pairs)
        found = [(each.total, each.is_within(1)) for each in self._scored(asked)]
        self._told("loglikelihood", pairs, found)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of each text, every token once, in windows as long as the model's rows."""
        texts = [request.args for request in requests]
        counts: list[int] = []

        def windows() -> Iterator[Continuation]:
            for (text,) in texts:
                size, end = self.model.cfg.max_seq_len, self.tokenizer.end_of_text
                own = list(rolling_windows(self.tokenizer.encode(text), end, size, size))
                counts.append(len(own))
                yield from own

        totals = iter([each.total for each in self._scored(windows())])
        found = [sum(next(totals) for _ in range(count)) for count in counts]
        self._told("loglikelihood_rolling", texts, found)
        return [float(total) for total in found]

    def _scored(self, asked: Iterable[Continuation]) -> Iterator[Any]:
        return score(asked, self.model, batch_tokens=self.batch_tokens)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Continue each context until one of its stop strings; greedily, unless sampling is asked for.

        A context that leaves no room is cut on the left, and that is counted.

        Raises:
            ValueError: an option is unknown, or more new tokens are asked for than the model holds.
        """
        groups: dict[str, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            groups[repr(request.args[1])].append(number)
        found = [""] * len(requests)
        for numbers in groups.values():
            how = _Options(requests[numbers[0]].args[1])
            prompts = [self._prompt(requests[number].args[0], how.max_new_tokens) for number in numbers]
            writer = self.model.reading(
                self.tokenizer, sampling=how.sampling, stop=how.until, batch_size=WRITTEN_AT_ONCE
            )
            for number, generation in zip(numbers, writer.inference(iter(prompts)), strict=True):
                found[number] = generation.text
        self._told("generate_until", [request.args for request in requests], found)
        return found

    def _prompt(self, context: str, max_new_tokens: int) -> Prompt:
        room = self.model.cfg.max_seq_len - max_new_tokens - 1
        if room < 1:
            raise refusal(
                "generate_until",
                got=f"max_gen_toks {max_new_tokens}",
                wanted=f"less than max_seq_len {self.model.cfg.max_seq_len}, with room for a context",
                do="Give the task a smaller max_gen_toks: --gen_kwargs max_gen_toks=64",
            )
        tokens = self.tokenizer.encode(context)
        kept = room
        while len(tokens) > room:  # half a character at the cut may come back as more tokens
            drop(CUT, example=context[:40])
            context = decode_tokens(tokens[-kept:], self.tokenizer).lstrip("\ufffd")
            kept -= 1
            tokens = self.tokenizer.encode(context)
        return Prompt(text=context, max_new_tokens=max_new_tokens)

    def _told(self, method: str, asked: Iterable[tuple[Any, ...]], found: Iterable[Any]) -> None:
        if self.cache_hook is not None:
            for arguments, answer in zip(asked, found, strict=True):
                self.cache_hook.add_partial(method, arguments, answer)

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Whom to tell every answer."""
        self.cache_hook = cache_hook

    def chat_template(self, chat_template: bool | str = False) -> str:
        """There is none."""
        return ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Refused: the models of gptlab continue texts.

        Raises:
            ValueError: always.
        """
        raise refusal(
            "--apply_chat_template",
            got=f"a model of {NAME}",
            wanted="a model that was trained on conversations",
            do="Leave it out.",
        )


class _Options:
    """What a task says about generation."""

    def __init__(self, options: dict[str, Any]) -> None:
        left = dict(options)
        until = left.pop("until", None) or ()
        self.until = tuple(each for each in ([until] if isinstance(until, str) else until) if each)
        self.max_new_tokens = int(left.pop("max_gen_toks", left.pop("max_new_tokens", MAX_NEW_TOKENS)))
        temperature = float(left.pop("temperature", 0.0))
        is_sampled = bool(left.pop("do_sample", temperature > 0))
        self.sampling = Sampling(
            temperature=(temperature or 1.0) if is_sampled else 0.0,
            top_k=left.pop("top_k", None),
            top_p=left.pop("top_p", 1.0),
        )
        if left:
            raise refusal(
                "generate_until",
                got=", ".join(f"{name}={value!r}" for name, value in left.items()),
                wanted="until, max_gen_toks, do_sample, temperature, top_k, top_p",
                do="Leave the others out of the task's generation_kwargs.",
            )


def register() -> Any:
    """Make the harness know the model by `NAME`; its module, for whoever calls it.

    Raises:
        ValueError: it is not installed.
    """
    if importlib.util.find_spec("lm_eval") is None:
        raise refusal(
            "gptlab.benchmarks.harness",
            got="no module lm_eval",
            wanted="lm-evaluation-harness",
            do="pip install 'gptlab[eval]'",
        )
    lm_eval, models = importlib.import_module("lm_eval"), importlib.import_module("lm_eval.api.model")
    for part in ("evaluator", "tasks", "utils"):
        importlib.import_module(f"lm_eval.{part}")
    models.LM.register(HarnessModel)
    registry: Any = importlib.import_module("lm_eval.api.registry").model_registry
    if NAME not in registry:
        registry.register(NAME, target=HarnessModel)
    return lm_eval
