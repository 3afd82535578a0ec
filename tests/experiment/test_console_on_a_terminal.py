"""Bars and lines on a real pseudo-terminal: in the end a person sees every line whole, and no rest of a bar."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDTH, THREADS, LINES = 72, 4, 60
SCRIPT = """
import sys, threading, time, warnings
from pathlib import Path
from gptlab.experiment import ConsoleObserver, capturing, close_logger, make_console, make_logger
from gptlab.pipeline.observe import progress, say, watching

console = make_console()
logger = make_logger(Path(sys.argv[1]), 0, console)
threads, lines = int(sys.argv[2]), int(sys.argv[3])

def log(thread):
    for number in range(lines):
        logger.info("thread %d line %d %s.", thread, number, "x" * (number * 3 % 160))
        time.sleep(0.001)

with capturing(logger), ConsoleObserver(logger, console) as observer, watching(observer):
    workers = [threading.Thread(target=log, args=(number,)) for number in range(threads)]
    progress("read", 0, 100, "documents")
    progress("train", 0, None, "steps")
    for worker in workers:
        worker.start()
    for done in range(1, 101):
        progress("read", done, 100, "documents")
        progress("train", done, None, "steps")
        observer._bars.refresh()
        if done % 10 == 0:
            print("printed", done)
            print("to stderr", done, file=sys.stderr)
            warnings.warn("warned %d" % done, stacklevel=1)
        time.sleep(0.003)
    for worker in workers:
        worker.join()
    say("the last word")
close_logger(logger)
"""


class Terminal:
    """As much of a terminal as bars need: it wraps, goes up, erases lines; what has scrolled away stays."""

    def __init__(self, width: int) -> None:
        self.width, self.rows, self.goes_on, self.row, self.column = width, [""], set[int](), 0, 0

    def feed(self, text: str) -> None:
        for escape, letter in re.findall(r"\x1b\[([0-9;?]*[A-Za-z])|([^\x1b])", text):
            if letter:
                self._letter(letter)
            elif escape[-1] == "A":
                self.row = max(0, self.row - int(escape[:-1] or 1))
            elif escape == "2K":
                self.rows[self.row] = ""
                self.goes_on.discard(self.row + 1)
            else:
                assert escape[-1] in "mhl", escape  # colours, and the cursor shown or hidden

    def _letter(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self._down()
        else:
            if self.column == self.width:
                self._down()
                self.column = 0
                self.goes_on.add(self.row)
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + letter + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def lines(self) -> list[str]:
        """What stands there, with wrapped lines put together."""
        found: list[str] = []
        for number, row in enumerate(self.rows):
            if number in self.goes_on:
                found[-1] += row
            else:
                found.append(row)
        return [line.rstrip() for line in found if line.strip()]


def on_a_terminal(command: list[str], width: int) -> tuple[str, int]:
    """What a program writes to a terminal of this width, and its exit code."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    env |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
        os.close(ours)
    return b"".join(parts).decode(), process.returncode


def test_no_line_is_torn_and_no_bar_stays(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    text, code = on_a_terminal([sys.executable, str(script), str(tmp_path), str(THREADS), str(LINES)], WIDTH)
    assert code == 0, text
    assert "━" in text and text.count("\x1b[2K") > 100  # bars were drawn, and drawn again
    terminal = Terminal(WIDTH)
    terminal.feed(text)
    shown = terminal.lines()
    logged = [
        f"thread {thread} line {number} {'x' * (number * 3 % 160)}."
        for thread in range(THREADS)
        for number in range(LINES)
    ]
    assert [line for line in shown if line.startswith("thread")] != []
    for thread in range(THREADS):
        mine = [line for line in shown if line.startswith(f"thread {thread} ")]
        assert mine == [line for line in logged if line.startswith(f"thread {thread} ")]
    tens = range(10, 101, 10)
    assert [line for line in shown if line.startswith("printed")] == [f"printed {number}" for number in tens]
    assert [line for line in shown if line.startswith("to stderr")] == [f"to stderr {number}" for number in tens]
    warned = [line for line in shown if line.startswith("warning: warned")]
    assert [line.split()[2] for line in warned] == [str(number) for number in tens]
    rest = set(shown) - set(logged) - set(warned)
    rest -= {f"{word} {number}" for word in ("printed", "to stderr") for number in tens}
    assert "the last word" in rest
    assert [line for line in rest if "━" in line] == [] and len(rest) == 2, rest  # and the line of what was read
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert sum(" line " in line for line in log) == THREADS * LINES


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\r\ntwo", ["one", "two"]),
        ("bar ===\r\x1b[2Kline\r\nbar ====", ["line", "bar ===="]),
        ("a\r\nb\r\n\x1b[2A\x1b[2Kc\r\n", ["c", "b"]),
        ("0123456789abc\r\nd", ["0123456789abc", "d"]),
        ("torn ba" + "line\r\n", ["torn baline"]),
    ],
)
def test_the_terminal_of_this_test_is_one(text: str, lines: list[str]) -> None:
    terminal = Terminal(10 if "abc" in text else 72)
    terminal.feed(text)
    assert terminal.lines() == lines
