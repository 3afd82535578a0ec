"""doctest must pass over the mark of library_stages.py also where the plugin is not installed with gptlab."""

from gptlab.testing.plugin import pytest_make_collect_report

__all__ = ["pytest_make_collect_report"]
