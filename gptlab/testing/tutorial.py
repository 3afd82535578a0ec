'''A tutorial that runs: write a stage, let the kit find what is wrong with it, mend it.

The stage normalises lines of numbers and hands them on two at a time. Here is a first version:

>>> import attrs
>>> import numpy as np
>>> from collections.abc import Iterator
>>> from jaxtyping import Float32
>>> from gptlab.testing import LawBroken, check_stage
>>> Line = Float32[np.ndarray, "n"]

>>> @attrs.frozen
... class Pairs:
...     def __call__(self, lines: Iterator[Line]) -> Iterator[tuple[Line, Line]]:
...         waiting = []
...         for line in lines:
...             line -= line.max()
...             waiting.append(line)
...             if len(waiting) == 2:
...                 yield waiting[0], waiting[1]
...                 waiting.clear()

The kit reads the annotations, makes inputs that fit them, and looks for the smallest that breaks a law. The first
is an empty line, which has no largest number; that is an input which the annotation allows:

>>> def first_broken_law(stage: object) -> None:
...     """The message, without the line that says where (this file)."""
...     try:
...         print("holds:", ", ".join(check_stage(stage, leave_out={"save_and_load": "a class of a tutorial"}).laws))
...     except LawBroken as error:
...         print("\\n".join(line for line in str(error).splitlines() if not line.startswith("  where")))

>>> first_broken_law(Pairs())
Pairs breaks a law: Every input that the annotation allows is taken.
  got     ValueError: zero-size array to reduction operation maximum which has no identity
  wanted  an output
  input   [array([], dtype=float32)]
  Mend it; or, where such input never comes, say what does: inputs=..., a strategy of lists of items.

Give `max` something to begin with, and try again. Now it finds that the stage changes lines which are not its own:

>>> @attrs.frozen
... class Pairs:
...     def __call__(self, lines: Iterator[Line]) -> Iterator[tuple[Line, Line]]:
...         waiting = []
...         for line in lines:
...             line -= line.max(initial=-np.inf) if line.size else 0
...             waiting.append(line)
...             if len(waiting) == 2:
...                 yield waiting[0], waiting[1]
...                 waiting.clear()

>>> first_broken_law(Pairs())
Pairs breaks a law: The input is left as it was.
  got     input 0, ndarray of float32, shape (1,), has other numbers: [1.0] and [0.0]
  wanted  the input as it was
  input   [array([1.], dtype=float32)]
  Work on a copy: others hold the same items.

So work on a copy. All laws hold:

>>> @attrs.frozen
... class Pairs:
...     def __call__(self, lines: Iterator[Line]) -> Iterator[tuple[Line, Line]]:
...         waiting = []
...         for line in lines:
...             waiting.append(line - line.max(initial=-np.inf) if line.size else line.copy())
...             if len(waiting) == 2:
...                 yield waiting[0], waiting[1]
...                 waiting.clear()

>>> first_broken_law(Pairs())
holds: types, lazy, deterministic, input_untouched, yields_kept, chunking, exceptions, close

But there is one bug more, which no general law can see, since a stage may drop what it likes: of three lines the
third is lost. Say what *this* stage must do, with inputs from the same strategies. Hypothesis shows the smallest:

>>> from hypothesis import find, settings
>>> from gptlab.testing import streams
>>> def loses_lines(lines: list) -> bool:
...     return sum(map(len, Pairs()(iter(lines)))) != len(lines)
>>> find(streams(Line), loses_lines)
[array([], dtype=float32)]

An odd number of lines: yield what is left over, too, and say so in the annotation.

>>> @attrs.frozen
... class Pairs:
...     def __call__(self, lines: Iterator[Line]) -> Iterator[tuple[Line, ...]]:
...         waiting = []
...         for line in lines:
...             waiting.append(line - line.max(initial=-np.inf) if line.size else line.copy())
...             if len(waiting) == 2:
...                 yield tuple(waiting)
...                 waiting.clear()
...         if waiting:
...             yield tuple(waiting)

>>> first_broken_law(Pairs())
holds: types, lazy, deterministic, input_untouched, yields_kept, chunking, exceptions, close
>>> from hypothesis.errors import NoSuchExample
>>> try:
...     find(streams(Line), loses_lines, settings=settings(max_examples=50))
... except NoSuchExample:
...     print("nothing is lost")
nothing is lost

In a file of your own none of this needs a test. Write `__test__ = True` and `__test_name__ = "my stages"` at its
top, and `pytest --gptlab my_stages/` puts every stage, source, model, tokenizer, trainer and benchmark in it to its
laws.
'''
