"""Named axes: what a part claims about them."""

import attrs


@attrs.frozen
class AtMost:
    """A bound on an axis: any size up to `size` will do. A model's longest context is one.

    >>> AtMost(1024).size
    1024
    """

    size: int = attrs.field(validator=[attrs.validators.instance_of(int), attrs.validators.ge(0)])

    def __str__(self) -> str:
        return f"at most {self.size}"


Claim = int | AtMost
"""What `axes()` says of one axis: fixed, or bounded."""
