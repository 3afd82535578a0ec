"""`python -m gptlab.models.generate RUN --prompt "..." --follow-links`: prose, and the documents read for it.

The text comes as it is written. With `--follow-links` every link that is complete, in the prompt or in what the model
writes, is looked up and read before the next word. `--interactive` asks for one prompt after the other.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import attrs

from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.generation import NextLogits, Reading, WriteMissing, next_logits_of, stream
from gptlab.models.generation.lookups import lookup_in, lookup_of
from gptlab.models.of_run import model_of, tokenizer_of
from gptlab.models.sampling import Sampling
from gptlab.pipeline.observe import watching
from gptlab.types import Generation, Prompt
from gptlab.types.errors import FourPartError, refusal

ASK = "> "
"""What `--interactive` asks with."""

_BEFORE = 30  # characters shown of the text before a document was read
_ENDINGS = {
    "length": "the most tokens that were asked for: --max-new-tokens",
    "end_of_text": "the document was complete",
    "stop": "a stop string came up",
}


def main(arguments: Sequence[str] | None = None, *, ask: Callable[[str], str] = input) -> int:
    """Write; the exit code: 0 done, 2 it cannot be done, and why is said, 130 Ctrl-C.

    Args:
        arguments: without the program's name; those of the process when None.
        ask: gives the next prompt of `--interactive`, and ends it by `EOFError`.
    """
    chosen = _parser().parse_args(arguments)
    try:
        with watching(_Console()):
            _check(chosen)
            desk = _desk(chosen)
            if chosen.interactive:
                _converse(desk, chosen, ask)
            else:
                desk.write(_prompt(chosen, chosen.prompt or ""))
    except FourPartError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return 130
    return 0


@attrs.frozen(kw_only=True, eq=False)
class _Desk:
    """All that is needed to write, made once."""

    model: DagTransformer
    reading: Reading
    next_logits: NextLogits
    out: TextIO

    def write(self, prompt: Prompt) -> None:
        """One text as it comes, then what was read for it."""
        is_begun = False
        for piece in stream(prompt, self.next_logits, self.reading, self.model.cfg.max_seq_len):
            self.out.write(piece.text if is_begun else prompt.text + piece.text)
            self.out.flush()
            is_begun = True
            if piece.generation is not None:
                self.out.write(f"\n\n{told(piece.generation, follows=self.reading.lookup is not None)}\n")


def told(generation: Generation, *, follows: bool = True) -> str:
    """What was read for a text, and where, for a person.

    Args:
        generation: the finished text.
        follows: whether links were followed at all.

    >>> read = ((0, "Ada"), (9, "Bee"))
    >>> print(told(Generation(prompt=Prompt(text="From [Ada](Ada)"), text=" [b](Bee) on", read=read)))
    Read 2 documents:
      Ada  in the prompt
      Bee  after 'From [Ada](Ada) [b](Bee)'
    Ended: the most tokens that were asked for: --max-new-tokens.
    """
    lines = []
    if follows:
        count = len(generation.read)
        lines.append(f"Read {count or 'no'} document{'' if count == 1 else 's'}{':' if count else '.'}")
    width = max((len(_title(id)) for _, id in generation.read), default=0)
    for at, id in generation.read:  # the model cannot complete a link before its first character
        where = f"after {(generation.prompt.text + generation.text[:at])[-_BEFORE:]!r}" if at else "in the prompt"
        own = ", written first" if id in generation.written_first else ""
        lines.append(f"  {_title(id):{width}}  {where}{own}")
    if generation.evicted:
        lines.append(f"Made room for others: {', '.join(_title(id) for _, id in generation.evicted)}.")
    absent = [_title(id) for id in generation.missing if id not in generation.written_first]
    if absent:
        lines.append(f"Not there: {', '.join(absent)}.")
    lines.append(f"Ended: {_ENDINGS[generation.ended_by]}.")
    return "\n".join(lines)


def _title(id: str) -> str:
    return id.replace("_", " ")


def _check(chosen: argparse.Namespace) -> None:
    if chosen.prompt is None and not chosen.title and not chosen.interactive:
        raise refusal(
            "python -m gptlab.models.generate",
            got="neither --prompt nor --title nor --interactive",
            wanted="a beginning to go on from",
            do='Give --prompt "..." or --title "...", or be asked with --interactive.',
        )
    for option, given in (("--documents", chosen.documents), ("--write-missing", chosen.write_missing)):
        if given and not chosen.follow_links:
            raise refusal(
                option,
                got="no --follow-links",
                wanted="both, for documents are read where links lead to them",
                do="Add --follow-links.",
            )


def _desk(chosen: argparse.Namespace) -> _Desk:
    model, tokenizer = model_of(chosen.run), tokenizer_of(chosen.run)
    lookup = None
    if chosen.follow_links:
        lookup = lookup_in(chosen.documents, tokenizer) if chosen.documents else lookup_of(chosen.run, tokenizer)
    sampling = Sampling(
        temperature=chosen.temperature,
        top_k=chosen.top_k,
        top_p=chosen.top_p,
        min_p=chosen.min_p,
        repetition_penalty=chosen.repetition_penalty,
    )
    model = model.reading(
        tokenizer,
        lookup,
        sampling,
        stop=chosen.stop,
        write_missing=WriteMissing(documents=chosen.write_missing) if chosen.write_missing else None,
    )
    assert model.reader is not None
    next_logits = next_logits_of(model.network)
    return _Desk(model=model, reading=model.reader, next_logits=next_logits, out=sys.stdout)


def _converse(desk: _Desk, chosen: argparse.Namespace, ask: Callable[[str], str]) -> None:
    """Ask and write until there is nothing more; a prompt that cannot be continued is said and passed over."""
    sys.stderr.write("Type a beginning and press Enter; end with Ctrl-D. Ctrl-C stops a text.\n")
    while True:
        try:
            text = ask(ASK)
        except EOFError:
            desk.out.write("\n")
            return
        if not text.strip():
            continue
        try:
            desk.write(_prompt(chosen, text))
        except FourPartError as error:
            sys.stderr.write(f"Error: {error}\n")
        except KeyboardInterrupt:
            desk.out.write("\nStopped.\n")


def _prompt(chosen: argparse.Namespace, text: str) -> Prompt:
    return Prompt(text=text, title=chosen.title, max_new_tokens=chosen.max_new_tokens, seed=chosen.seed)


class _Console:
    """An observer that writes to standard error what a person should know, and no progress of quick things."""

    def say(self, message: str) -> None:
        sys.stderr.write(f"{message}\n")

    def drop(self, reason: str, count: int, example: str) -> None:
        sys.stderr.write(f"left out {count}: {reason} ({example})\n")

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        if total is not None and done >= total:
            sys.stderr.write(f"{task}: {done:,} {unit}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gptlab.models.generate",
        description="Continue a text with the model of a run. Links read [anchor](Target_title).",
        epilog='example: python -m gptlab.models.generate experiments/20261124_101500 --prompt "The [otter](Otter)" '
        "--follow-links",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory, as experiments/20261124_101500")
    text = parser.add_argument_group("what to write")
    text.add_argument("--prompt", metavar="TEXT", help="the beginning, which is continued")
    text.add_argument("--title", default="", metavar="TEXT", help="of the document that the beginning is part of")
    text.add_argument("--interactive", action="store_true", help="ask for one prompt after the other")
    text.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="at most (default: %(default)s)")
    text.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end before this comes up (repeatable)"
    )
    links = parser.add_argument_group("links")
    links.add_argument("--follow-links", action="store_true", help="read what a link leads to, then go on writing")
    links.add_argument(
        "--documents",
        type=Path,
        metavar="PATH",
        help="where targets are found: a document store, or a folder of Markdown; "
        "without it, the documents of the run's own recipe",
    )
    links.add_argument(
        "--write-missing",
        type=int,
        default=0,
        metavar="N",
        help="let the model write up to N documents that links lead to and nobody has, and read those",
    )
    _add_sampling(parser)
    return parser


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    usual = Sampling()
    draw = parser.add_argument_group("how tokens are drawn")
    draw.add_argument("--seed", type=int, default=0, metavar="N", help="the same one writes the same text")
    draw.add_argument(
        "--temperature",
        type=float,
        default=usual.temperature,
        metavar="T",
        help="0 takes the likeliest token always (default: %(default)s)",
    )
    draw.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    draw.add_argument(
        "--top-p",
        type=float,
        default=usual.top_p,
        metavar="P",
        help="only the likeliest that together have this probability (default: %(default)s)",
    )
    draw.add_argument(
        "--min-p",
        type=float,
        default=usual.min_p,
        metavar="P",
        help="only those with this share of the likeliest one's probability (default: %(default)s)",
    )
    draw.add_argument(
        "--repetition-penalty",
        type=float,
        default=usual.repetition_penalty,
        metavar="F",
        help="above 1 makes words of the text so far less likely (default: %(default)s)",
    )


if __name__ == "__main__":
    sys.exit(main())
