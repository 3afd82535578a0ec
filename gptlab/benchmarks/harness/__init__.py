"""lm-evaluation-harness on a run of gptlab: its tasks, our model, `pip install 'gptlab[eval]'`.

Likelihoods come from the trees of `gptlab.benchmarks.likelihood`. On the same rows they agree with the harness's own
Hugging Face backend, on the same weights in float32, to 1e-6 of each log-likelihood, as
`tests/benchmarks/test_harness.py` proves.
"""

from gptlab.benchmarks.harness.model import NAME, HarnessModel, register

__all__ = ["NAME", "HarnessModel", "register"]
