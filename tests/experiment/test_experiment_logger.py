"""The logger: whole lines from many processes, hooks put back, runs kept apart."""

import logging
import multiprocessing
import re
import threading
import warnings
from pathlib import Path

import pytest
from rich.console import Console

from gptlab.experiment import capturing, close_logger, make_logger

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} rank (\d+) (DEBUG|INFO|WARNING|ERROR) +(.*)")


def _write_many(directory: Path, rank: int, lines: int) -> None:
    logger = make_logger(directory, rank)
    for number in range(lines):
        logger.debug("%d %s", number, "x" * (number % 700))
    close_logger(logger)


def test_sixteen_processes_lose_and_tear_no_line(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_write_many, args=(tmp_path, rank, 1000)) for rank in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    seen: dict[int, list[int]] = {}
    for line in (tmp_path / "log.txt").read_text().splitlines():
        found = LINE.fullmatch(line)
        assert found, line
        number, _, rest = found[3].partition(" ")
        assert rest == "x" * (int(number) % 700)
        seen.setdefault(int(found[1]), []).append(int(number))
    assert seen == {rank: list(range(1000)) for rank in range(16)}


def test_only_rank_zero_speaks_and_only_info(tmp_path: Path) -> None:
    for rank in (0, 1):
        console = Console(record=True, width=40, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115 - closed with it
        logger = make_logger(tmp_path, rank, console)
        logger.debug("details")
        logger.info("a [bold]word[/bold] that is %s", "longer than the console is wide")
        logger.warning("careful")
        close_logger(logger)
        shown = console.export_text()
        console.file.close()
        assert shown == (
            "" if rank else "a [bold]word[/bold] that is longer than the console is wide\nwarning: careful\n"
        )
    assert (tmp_path / "log.txt").read_text().count("details") == 2


def test_loggers_are_in_no_registry_and_do_not_mix(tmp_path: Path) -> None:
    before = set(logging.Logger.manager.loggerDict)
    one, two = tmp_path / "a", tmp_path / "b"
    one.mkdir(), two.mkdir()
    first, second = make_logger(one, 1), make_logger(two, 1)
    first.info("for a")
    second.info("for b")
    close_logger(first)
    second.info("still b")
    close_logger(second)
    assert set(logging.Logger.manager.loggerDict) == before
    assert "for b" not in (one / "log.txt").read_text()
    assert len((two / "log.txt").read_text().splitlines()) == 2


def test_a_message_of_several_lines_stays_one_record(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, 1)
    logger.info("one\ntwo \x1b[2J\udcff")
    close_logger(logger)
    first, second = (tmp_path / "log.txt").read_text().splitlines()
    assert first.endswith("one") and second == r"    two \x1b[2J\udcff"


def test_a_full_disk_leaves_a_counted_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import gptlab.experiment.logger as module

    logger, write = make_logger(tmp_path, 1), module.os.write
    logger.info("before")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", full)
    logger.info("lost")
    logger.info("lost too")
    monkeypatch.setattr(module.os, "write", write)
    logger.info("after")
    logger.info("later")
    close_logger(logger)
    text = (tmp_path / "log.txt").read_text()
    assert "(2 lines before this one could not be written)" in text and "lost" not in text.replace("lines", "")
    assert text.count("could not be written") == 1
    expected = f"{tmp_path / 'log.txt'}: No space left on device; the run goes on, its log has a gap\n"
    assert capsys.readouterr().err == expected


def test_warnings_and_errors_are_captured_with_rank_and_hooks_put_back(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, 4)
    hooks = warnings.showwarning, threading.excepthook
    with pytest.raises(RuntimeError, match="deep"), capturing(logger):
        warnings.simplefilter("always")
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
        thread = threading.Thread(target=[].pop, name="worker")
        thread.start()
        thread.join()
        raise RuntimeError("deep")
    assert (warnings.showwarning, threading.excepthook) == hooks
    close_logger(logger)
    text = (tmp_path / "log.txt").read_text()
    assert re.search(r"rank 4 WARNING old thing \(DeprecationWarning, .*test_experiment_logger.py:\d+\)", text)
    assert "rank 4 ERROR   uncaught error in thread worker: IndexError" in text
    assert "rank 4 DEBUG   uncaught error\n    Traceback" in text and "    RuntimeError: deep" in text


def test_an_interrupt_is_logged_without_a_traceback(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, 1)
    with pytest.raises(KeyboardInterrupt), capturing(logger):
        raise KeyboardInterrupt
    close_logger(logger)
    text = (tmp_path / "log.txt").read_text()
    assert "interrupted" in text and "Traceback" not in text


def test_a_log_that_is_moved_or_removed_goes_on_in_a_new_one_that_says_so(tmp_path: Path) -> None:
    logger = make_logger(tmp_path, rank=1)
    log, note = (
        tmp_path / "log.txt",
        "(this file was moved or removed while the run worked; earlier lines went with it)",
    )
    logger.info("one")
    log.rename(tmp_path / "log.txt.1")
    logger.info("two")
    log.unlink()
    logger.info("three")
    logger.info("four")
    close_logger(logger)
    lines = log.read_text().splitlines()
    assert lines[0] == note and [line[-5:] for line in lines[1:]] == ["three", " four"]
    assert (tmp_path / "log.txt.1").read_text().endswith("one\n")
