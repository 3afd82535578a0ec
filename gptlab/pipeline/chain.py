"""The construction check along a chain."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gptlab.pipeline.axes import AtMost, Claim
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.signature import Face, read


@attrs.frozen
class Chain:
    """Parts that fit."""

    faces: tuple[Face, ...]

    def axes(self) -> Mapping[str, Claim]:
        """The claims of all parts, merged: a size beats a bound."""
        merged: dict[str, Claim] = {}
        for face in self.faces:
            claims = face.part.axes() if hasattr(face.part, "axes") else {}
            for axis, claim in claims.items():
                known = merged.get(axis)
                if known is None or (isinstance(known, AtMost) and isinstance(claim, int)):
                    merged[axis] = claim
        return merged

    def table(self) -> str:
        """One line per part."""
        return "\n".join(f"{face.name}  {face.takes} -> {face.yields}  {face.where}" for face in self.faces)


def check_chain(parts: Sequence[Any]) -> Chain:
    """Check that every part takes what the one before yields."""
    faces = tuple(read(part) for part in parts)
    for before, after in zip(faces, faces[1:], strict=False):
        if after.is_source or (isinstance(after.takes, type) and before.yields is not after.takes):
            raise ContractError(
                f"{after.name} cannot follow {before.name}\n"
                f"  1  {before.name}  yields {before.yields}   {before.where}\n"
                f"  2  {after.name}  takes {after.takes}   {after.where}"
            )
    return Chain(faces)
