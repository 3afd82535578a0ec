"""Every test runs with run-time type checks on for all of gptlab."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("gptlab", "beartype.beartype")
os.environ.setdefault("GPTLAB_CHECKS", "all")  # what crosses a seam is checked item by item

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background deaf to Ctrl-C, and so would be each process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def real_dump(name: str) -> Path:
    """A real Wikipedia sample kept beside the checkout, or a skip that says what is missing."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"needs the real dump {path}, which is not in the repository")
    return path


@pytest.fixture
def enwiki_sample() -> Path:
    return real_dump("enwiki-sample.xml.bz2")


@pytest.fixture
def viwiki_sample() -> Path:
    return real_dump("viwiki-100k.xml.xz")
