"""`python -m gptlab.models.hugging_face export|upload`: a run as a repository on disk, and, later, that onto a hub.

Two steps, because they fail for different reasons: what was exported can be looked at, tried and edited before
anybody else sees it, and an upload that was cut is simply started again.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gptlab.models.hugging_face.card import Card
from gptlab.models.hugging_face.families import FAMILIES
from gptlab.models.hugging_face.writing import DTYPES, save_pretrained_dir
from gptlab.models.of_run import has_tokenizer, model_of, tokenizer_of
from gptlab.pipeline.observe import watching
from gptlab.storage.hub import upload
from gptlab.types.errors import FourPartError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one of the two steps; the exit code: 0 done, 2 it cannot be done, and why is said, 130 Ctrl-C.

    Args:
        arguments: without the program's name; those of the process when None.
    """
    chosen = _parser().parse_args(arguments)
    step: Callable[[argparse.Namespace], str] = chosen.step
    try:
        with watching(_Console()):
            sys.stdout.write(step(chosen) + "\n")
    except FourPartError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. Start it again: what was sent is not sent twice.\n")
        return 130
    return 0


def export_run(chosen: argparse.Namespace) -> str:
    """Write the model of a run, its tokenizer and its figures as a Hugging Face repository on disk."""
    model = model_of(chosen.run)
    tokenizer = tokenizer_of(chosen.run) if has_tokenizer(chosen.run) else None
    card = Card(
        license=chosen.license,
        data=chosen.data,
        datasets=tuple(chosen.dataset),
        languages=tuple(chosen.language),
        base_model=chosen.base_model,
        about=chosen.about,
    )
    place = save_pretrained_dir(
        model,
        chosen.directory,
        tokenizer=tokenizer,
        run=chosen.run,
        card=card,
        family=chosen.family,
        dtype=chosen.dtype,
    )
    asked = [name for name in ("license", "data") if not getattr(chosen, name)]
    left = f" README.md still lacks: {', '.join(asked)}." if asked else ""
    return f"{place}: {', '.join(sorted(path.name for path in place.iterdir()))}.{left}"


def upload_directory(chosen: argparse.Namespace) -> str:
    """Send a directory as one commit; started again, it sends only what is missing."""
    commit = upload(chosen.directory, chosen.repo, private=not chosen.public, message=chosen.message)
    return f"{chosen.repo} is at commit {commit}"


class _Console:
    """An observer that writes to standard error: each message, and each task when it has ended."""

    def say(self, message: str) -> None:
        sys.stderr.write(f"{message}\n")

    def drop(self, reason: str, count: int, example: str) -> None:
        sys.stderr.write(f"left out {count}: {reason} ({example})\n")

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        if total is not None and total > 0:
            sys.stderr.write(f"{task}: {done:,} of {total:,} {unit}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gptlab.models.hugging_face", description="A run as a Hugging Face repository."
    )
    commands = parser.add_subparsers(required=True, metavar="export|upload")

    def add(name: str, step: Callable[[argparse.Namespace], str]) -> argparse.ArgumentParser:
        text = (step.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(step=step)
        return command

    export = add("export", export_run)
    export.add_argument("run", type=Path, help="a run directory, as experiments/20261124_101500")
    export.add_argument("directory", type=Path, help="where to write; must not exist")
    export.add_argument("--family", choices=sorted(FAMILIES), help="the first that can hold the model")
    export.add_argument("--dtype", choices=DTYPES, default="float32", help="of the weights")
    export.add_argument("--license", help="as the hub names it, such as mit; you are asked for it in README.md")
    export.add_argument("--data", default="", help="what it was trained on, in words")
    export.add_argument(
        "--dataset", action="append", default=[], help="the same, by its name on the hub (repeatable)"
    )
    export.add_argument("--language", action="append", default=[], help="two letters (repeatable)")
    export.add_argument("--base-model", help="owner/name, where it was trained further from one")
    export.add_argument("--about", default="", help="what it is for, in words")
    send = add("upload", upload_directory)
    send.add_argument("directory", type=Path, help="what export wrote")
    send.add_argument("repo", help="owner/name; made, and private, where there is none")
    send.add_argument("--public", action="store_true", help="everybody may read it")
    send.add_argument("--message", default="", help="of the commit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
