"""Words and numbers, and errors in four parts."""

import errno
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.experiment import ExperimentError, explain_os_error, print0, rank_from_environment
from gptlab.experiment.text import count, duration, printable, rate, shorten, size


@given(st.text())
def test_printable_leaves_nothing_a_terminal_would_obey_and_keeps_what_is_fine(text: str) -> None:
    shown = printable(text)
    assert all(c.isprintable() or c in "\n\t" for c in shown)
    assert printable(shown) == shown
    shown.encode("utf-8")
    if text.isprintable():
        assert shown == text


@given(st.text(), st.integers(1, 30))
def test_shorten_fits_and_marks_the_cut(text: str, width: int) -> None:
    short = shorten(text, width)
    assert len(short) <= width
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_shorten_refuses_no_width() -> None:
    with pytest.raises(ValueError, match=r"shorten\(width\)\n  got     0\n  wanted  at least 1"):
        shorten("a", 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00 min"),
        (3599.6, "1:00 h"),
        (86399, "23:59 h"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_never_show_sixty_of_anything(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(0, 1e9))
def test_a_duration_has_no_sixtieth_second_or_minute(seconds: float) -> None:
    assert ":60" not in duration(seconds) and "60.0 s" not in duration(seconds)


@pytest.mark.parametrize(
    ("speed", "words"),
    [
        (float("nan"), ""),
        (float("inf"), ""),
        (-2, ""),
        (9.96, "10.0 rows/s"),
        (1e6, "1,000,000 rows/s"),
        (0.5, "30.0 rows/min"),
    ],
)
def test_rates_are_unit_aware(speed: float, words: str) -> None:
    assert rate(speed, "rows") == words


def test_counts_and_sizes() -> None:
    assert (count(0), count(12345), count(2.5)) == ("0", "12,345", "2.5")
    assert (size(999), size(1000), size(5 * 10**15)) == ("999 B", "1.0 kB", "5000.0 TB")
    assert rate(2_500_000, "bytes") == "2.5 MB/s"


def test_an_error_indents_the_further_lines_of_its_parts() -> None:
    error = ExperimentError("here", got="a\nb", wanted="c", do="One.\nTwo.")
    assert str(error) == "here\n  got     a\n          b\n  wanted  c\n  One.\n  Two."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_full_disk_is_explained() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/run/log.txt")
    assert explain_os_error(error, "cannot write") == (
        "cannot write /data/run/log.txt\n"
        "  got     No space left on device\n"
        "  wanted  a disk with room\n"
        "  Free some space, or choose a folder on another disk; what was finished is kept."
    )


def test_an_unknown_error_number_still_has_four_parts() -> None:
    assert explain_os_error(OSError(errno.ENOTTY, "Not a typewriter")) == (
        "the operating system\n  got     Not a typewriter\n  wanted  an operation that succeeds\n"
        "  Look at the path and try again."
    )


def test_only_the_first_rank_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RANK", "3")
    print0("silent")
    assert rank_from_environment() == 3
    monkeypatch.setenv("RANK", "0")
    print0("a", 1, sep="-", end="!")
    assert capsys.readouterr().out == "a-1!"


def test_a_rank_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ExperimentError) as caught:
        rank_from_environment()
    assert str(caught.value) == (
        "the environment variable RANK\n  got     'first'\n  wanted  a whole number, 0 for the first process\n"
        "  Unset RANK, or start the run with torchrun, which sets it."
    )


def test_the_public_names_exist() -> None:
    import gptlab.experiment as floor

    assert floor.__all__ == sorted(floor.__all__, key=lambda name: (not name[0].isupper(), name))
    assert all(hasattr(floor, name) for name in floor.__all__)
    assert Path(floor.__file__).read_text().startswith('"""')
