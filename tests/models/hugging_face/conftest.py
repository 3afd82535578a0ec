"""The loopback hub of tests/storage, for the tests here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "storage"))
