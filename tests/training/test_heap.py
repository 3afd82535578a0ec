"""What a step frees is there for the next one, and the system has it back afterwards: page faults, counted."""

import json
import os
import platform
import statistics
import subprocess
import sys

import pytest

STEPS = """
import json, resource, sys
import torch
from gptlab.training.heap import freed_memory_kept

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    before = faults()
    blocks = [torch.ones(size << 18) for size in (4, 12, 24, 48, 96)]  # MiB
    del blocks
    return faults() - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

device = torch.device(sys.argv[1])
step(), step()
outside = [step() for _ in range(3)]
with freed_memory_kept(device):
    step(), step()
    inside = [step() for _ in range(7)]
    held = resident()
after = [step() for _ in range(3)]
print(json.dumps({"outside": outside, "inside": inside, "held": held, "after": after, "left": resident()}))
"""


def run(device: str, **environment: str) -> dict[str, list[int] | int]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", STEPS, device],
        env={**given, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap is set")


@glibc
def test_freed_memory_is_there_again_without_a_page_fault_and_is_given_back_at_the_end():
    told = run("cpu")
    assert min(told["outside"]) > 1000, "the system is asked anew, which is what this is against"
    assert statistics.median(told["inside"]) < 100  # the heap may still find its shape in the first ones
    assert min(told["after"]) > 1000
    assert told["held"] - told["left"] > 100  # MiB


@glibc
@pytest.mark.parametrize(
    ("device", "environment"),
    [("meta", {}), ("cpu", {"MALLOC_TRIM_THRESHOLD_": "1000000"})],
    ids=["device", "chosen"],
)
def test_other_devices_and_what_the_user_chose_are_left_alone(device, environment):
    assert min(run(device, **environment)["inside"]) > 1000
