"""From walks to rows of one length to batches; rows kept on disk, shuffled and shared out."""

from gptlab.packing.best_fit import BestFit
from gptlab.packing.collate import Collate, cut_edges, stack, unpack
from gptlab.packing.concatenate import Concatenate
from gptlab.packing.excess import CutLast, Excess, FitRest, PadRest
from gptlab.packing.pack import Pack
from gptlab.packing.packed_rows import PackedRows
from gptlab.packing.packed_shards import PackedShards, write_rows
from gptlab.packing.packed_walks import PackedWalks
from gptlab.packing.prefetch import Prefetch
from gptlab.packing.shuffled import RowsByNumber, Shuffled

__all__ = [
    "BestFit",
    "Collate",
    "Concatenate",
    "CutLast",
    "Excess",
    "FitRest",
    "Pack",
    "PackedRows",
    "PackedShards",
    "PackedWalks",
    "PadRest",
    "Prefetch",
    "RowsByNumber",
    "Shuffled",
    "cut_edges",
    "stack",
    "unpack",
    "write_rows",
]
