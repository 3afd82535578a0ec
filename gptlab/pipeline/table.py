"""A pipeline as a table: what a person reads to see what a pipeline is."""

from gptlab.pipeline.axes import claims_of
from gptlab.pipeline.chain import Chain
from gptlab.pipeline.hints import show

_HEAD = ("", "stage", "takes", "yields", "axes", "where")


def table(chain: Chain) -> str:
    """One line per part: stage, takes, yields, axes, file and line; a barrier is marked."""
    rows = [_HEAD]
    for position, face in enumerate(chain.faces):
        claims = ", ".join(f"{axis} {claim}" for axis, claim in sorted(claims_of(face.part).items()))
        name = f"{face.name} (barrier)" if face.barrier else face.name
        taken = "" if face.is_source else show(face.takes)
        rows.append((str(position), name, taken, show(face.yields), claims, face.where))
    wide = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows
    )
