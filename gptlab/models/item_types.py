"""What a model takes and yields, for every model alike: read from the annotations, so nobody writes a type twice.

A model's class takes these functions as its methods (`fwd_input_type = item_types.fwd_input_type`), for want of a
base class.
"""

from typing import Any

from gptlab.pipeline import takes, yields


def fwd_input_type(model: Any) -> Any:
    """What `forward` takes, read from its annotation."""
    return takes(model.forward)


def fwd_output_type(model: Any) -> Any:
    """What `forward` yields, read from its annotation."""
    return yields(model.forward)


def inf_input_type(model: Any) -> Any:
    """What `inference` takes, read from its annotation."""
    return takes(model.inference)


def inf_output_type(model: Any) -> Any:
    """What `inference` yields, read from its annotation."""
    return yields(model.inference)
