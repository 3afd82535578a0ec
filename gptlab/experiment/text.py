"""Words and numbers as a person reads them, the same on the console, in log.txt and in reports.

Titles and file names come from outside and may hold anything, escape sequences of terminals among it, so all
that is shown goes through `printable` first.
"""

import math

from gptlab.experiment.errors import ExperimentError

Real = int | float
"""A number: run-time checks take an int for no float."""


def printable(text: str) -> str:
    r"""`text` with everything a terminal or a log could choke on written out as an escape; newlines and tabs stay.

    >>> printable("Foo\x1b[2J bar\udcff")
    'Foo\\x1b[2J bar\\udcff'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)


def shorten(text: str, width: int) -> str:
    """`text` cut to `width` characters, with an ellipsis where it was cut.

    >>> shorten("Boston Tea Party", 9)
    'Boston T…'
    """
    if width < 1:
        raise ExperimentError("shorten(width)", got=width, wanted="at least 1", do="Give the room that there is.")
    return text if len(text) <= width else text[: width - 1] + "…"


def count(number: Real) -> str:
    """A count with separators; halves of items are not shown.

    >>> count(1234567), count(12.0), count(0.5)
    ('1,234,567', '12', '0.5')
    """
    return f"{number:,.0f}" if number >= 10 or float(number).is_integer() else f"{number:.2g}"


def rate(per_second: Real, unit: str) -> str:
    """A speed; slow things are told per minute or in seconds for one.

    >>> rate(12345.6, "tokens"), rate(3.25, "steps"), rate(0.05, "files"), rate(0.0, "rows")
    ('12,346 tokens/s', '3.2 steps/s', '3.0 files/min', '')
    """
    if not math.isfinite(per_second) or per_second <= 0:
        return ""
    if unit == "bytes":
        return f"{size(per_second)}/s"
    if per_second >= 10:
        return f"{per_second:,.0f} {unit}/s"
    if per_second >= 1:
        return f"{per_second:.1f} {unit}/s"
    return f"{per_second * 60:.1f} {unit}/min"


def duration(seconds: Real) -> str:
    """A time as people say it.

    >>> duration(0.04), duration(3.21), duration(75), duration(4000), duration(200000)
    ('0.0 s', '3.2 s', '1:15 min', '1:06 h', '2 d 7 h')
    """
    if seconds < 59.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 86400:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(number_of_bytes: Real) -> str:
    """An amount of bytes in powers of 1000, as disks and downloads are told.

    >>> size(512), size(3_200_000), size(24 * 10**9)
    ('512 B', '3.2 MB', '24.0 GB')
    """
    if number_of_bytes < 1000:
        return f"{number_of_bytes:.0f} B"
    power = min(int(math.log10(number_of_bytes) / 3), 4)
    return f"{number_of_bytes / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"
