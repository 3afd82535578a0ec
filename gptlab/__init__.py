"""gptlab: train language models, and not-quite language models, on linked documents."""

__version__ = "0.1.0"
