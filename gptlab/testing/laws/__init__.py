"""The laws that a Protocol cannot say, as functions that find the smallest input which breaks one.

Every `check_...` puts a value to all laws of its kind and returns which held and which did not apply, and why. A
broken law is an `AssertionError` that says the law in one sentence and shows the input.
"""

from gptlab.testing.laws.benchmark import BENCHMARK_LAWS, check_benchmark
from gptlab.testing.laws.law import Held, Law, NotApplicable, check
from gptlab.testing.laws.model import MODEL_LAWS, check_model
from gptlab.testing.laws.source import SOURCE_LAWS, check_source
from gptlab.testing.laws.stage import STAGE_LAWS, check_stage
from gptlab.testing.laws.tokenizer import TOKENIZER_LAWS, check_tokenizer
from gptlab.testing.laws.trainer import TRAINER_LAWS, check_trainer

LAWS = {
    "source": SOURCE_LAWS,
    "stage": STAGE_LAWS,
    "model": MODEL_LAWS,
    "tokenizer": TOKENIZER_LAWS,
    "trainer": TRAINER_LAWS,
    "benchmark": BENCHMARK_LAWS,
}
"""The laws of each kind of part, in the order in which they are checked."""

__all__ = [
    "LAWS",
    "Held",
    "Law",
    "NotApplicable",
    "check",
    "check_benchmark",
    "check_model",
    "check_source",
    "check_stage",
    "check_tokenizer",
    "check_trainer",
]
