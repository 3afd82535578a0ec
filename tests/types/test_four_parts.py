"""Every floor's error has the one format, says its parts, and survives the way out of a worker process."""

import math
import pickle

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.experiment import ExperimentError
from gptlab.sources import SourceError
from gptlab.storage import StorageError
from gptlab.tokenizers import TokenizerError
from gptlab.training import TrainingError
from gptlab.types.errors import FourPartError, four_parts, refusal
from gptlab.types.validators import at_least, one_of, satisfies

KINDS = [FourPartError, ExperimentError, SourceError, StorageError, TokenizerError, TrainingError]

texts = st.text(min_size=1)


@pytest.mark.parametrize("kind", KINDS)
@given(where=texts, got=texts, wanted=texts, do=texts)
def test_every_kind_has_one_format_and_can_be_pickled(kind, where, got, wanted, do):
    error = kind(where, got=got, wanted=wanted, do=do)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) == four_parts(where, got=got, wanted=wanted, do=do)
    assert (again.where, again.got, again.wanted, again.do) == (where, got, wanted, do)
    assert isinstance(error, ValueError)


@given(got=texts, wanted=texts, do=texts)
def test_only_the_first_line_begins_at_the_margin(got, wanted, do):
    first, *others = four_parts("where", got=got, wanted=wanted, do=do).split("\n")
    assert first == "where"
    assert others[0].startswith("  got     ")
    assert all(line.startswith("  ") for line in others)
    assert len([line for line in others if line.startswith("  wanted  ")]) >= 1


def test_further_lines_are_indented_below_their_part():
    assert str(refusal("pack.py", got="a\nb", wanted="c\nd", do="Do e.\nThen f.")) == (
        "pack.py\n  got     a\n          b\n  wanted  c\n          d\n  Do e.\n  Then f."
    )


class OwnError(FourPartError):
    """An error of a floor."""


@attrs.frozen
class Settings:
    count: object = attrs.field(default=3, validator=at_least(2, "Try 3."))
    share: object = attrs.field(default=0.5, validator=at_least(0.0, at_most=1.0))
    name: object = attrs.field(default="a", validator=one_of(("a", "b"), error=OwnError))
    even: object = attrs.field(default=2, validator=satisfies(lambda n: n % 2 == 0, "an even number"))


@given(count=st.integers(2), share=st.floats(0, 1), name=st.sampled_from("ab"), half=st.integers())
def test_what_is_right_is_taken(count, share, name, half):
    assert Settings(count, share, name, 2 * half).count == count


@pytest.mark.parametrize(
    ("field", "value", "wanted", "do", "kind"),
    [
        ("count", 1, "a whole number of at least 2", "Try 3.", FourPartError),
        ("count", True, "a whole number of at least 2", "Try 3.", FourPartError),
        ("count", 2.0, "a whole number of at least 2", "Try 3.", FourPartError),
        ("count", "2", "a whole number of at least 2", "Try 3.", FourPartError),
        ("share", 1.5, "a number of at least 0.0 and at most 1.0", "Set share; the default is 0.5.", FourPartError),
        (
            "share",
            math.nan,
            "a number of at least 0.0 and at most 1.0",
            "Set share; the default is 0.5.",
            FourPartError,
        ),
        ("name", "c", "one of 'a', 'b'", "Set name; the default is 'a'.", OwnError),
        ("even", 3, "an even number", "Set even; the default is 2.", FourPartError),
    ],
)
def test_what_is_wrong_is_refused_with_four_parts(field, value, wanted, do, kind):
    with pytest.raises(FourPartError) as error:
        Settings(**{field: value})
    assert type(error.value) is kind
    assert str(error.value) == four_parts(f"Settings.{field}", got=repr(value), wanted=wanted, do=do)
