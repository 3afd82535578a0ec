"""Names of files for documents: safe on every file system, distinct where case is ignored, leading back to titles."""

import hashlib
import re
import unicodedata
from array import array
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import attrs

LONGEST_NAME = 255
"""Bytes of a file name that every common file system allows."""
LARGEST_FOLDER = 1000
"""Files in one folder; a second folder of the same letters follows."""
_UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f-\x9f\u2028\u2029]|^[ .~-]|[ .]$')
_DEVICES = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?=\.|$)")
_CUT_ESCAPE = re.compile(r"%[0-9A-F]?$")


def file_name(title: str, *, is_taken: bool = False) -> str:
    """A name for the document's file that is safe on every file system and leads back to the title.

    What some system refuses (separators, control characters, a device's name, a last dot) is percent-encoded.
    A name that is too long, or that another title has taken on a disk that ignores case, ends in `%~` and a hash
    of the title; `%~` comes from no title, as `%` is encoded.

    >>> file_name("AC/DC"), file_name("nul"), file_name("../../etc/passwd")
    ('AC%2FDC.md', '%6Eul.md', '%2E.%2F..%2Fetc%2Fpasswd.md')
    """
    safe = _UNSAFE.sub(_percent, title)
    if _DEVICES.match(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if is_taken or len(safe.encode()) + len(".md") > LONGEST_NAME:
        suffix = f"%~{hashlib.blake2b(title.encode(), digest_size=8).hexdigest()}"
        room = LONGEST_NAME - len(suffix) - len(".md")
        safe = _CUT_ESCAPE.sub("", safe.encode()[:room].decode(errors="ignore")) + suffix
    return f"{safe}.md"


def title_of_file(name: str) -> str:
    """The title that `file_name` made this name from; of a name that was cut, the beginning of it.

    >>> title_of_file("AC%2FDC.md")
    'AC/DC'
    """
    return unquote(name.removesuffix(".md").partition("%~")[0])


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


class Hashes:
    """A set of 64-bit numbers in an array, a tenth of what Python's takes.

    >>> hashes = Hashes()
    >>> [hashes.add(number) for number in (7, 9, 7)]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 10))
        self._size = 0

    def add(self, number: int) -> bool:
        """Whether the number is new."""
        number = number or 1  # 0 marks a free slot
        if 2 * self._size >= len(self._slots):
            old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for each in filter(None, old):
                self._slots[self._place(each)] = each
        place = self._place(number)
        if self._slots[place] == number:
            return False
        self._slots[place] = number
        self._size += 1
        return True

    def _place(self, number: int) -> int:
        """Where a number is or, in a table that is half full at most, may be put."""
        slots, last = self._slots, len(self._slots) - 1
        place = number & last
        while slots[place] and slots[place] != number:
            place = (place + 1) & last
        return place


@attrs.define
class Names:
    """Which paths are taken, on a disk that ignores case and composes accents its own way."""

    taken: Hashes = attrs.Factory(Hashes)
    sizes: Counter[str] = attrs.Factory(Counter)

    def path_for(self, title: str) -> Path:
        """A free path for a title: a folder of its first two letters, and the file's name."""
        letters = re.sub(r"[\W_]", "", _folded(title))[:2]
        folder = file_name(letters or "_").removesuffix(".md")
        number = self.sizes[folder] // LARGEST_FOLDER
        self.sizes[folder] += 1
        name = file_name(title)
        if not self._take(name):
            name = file_name(title, is_taken=True)
            self._take(name)
        return Path(f"{folder}-{number + 1}" if number else folder) / name

    def _take(self, name: str) -> bool:
        digest = hashlib.blake2b(_folded(name).encode(), digest_size=8).digest()
        return self.taken.add(int.from_bytes(digest, "little"))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
