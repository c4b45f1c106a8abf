"""Memory that is freed stays with a process that asks for that."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from sedistill.common.freed_memory import keep_freed_memory
if {keeping}:
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this is about glibc")
def test_what_is_freed_is_there_for_the_next_step() -> None:
    pages = [
        int(subprocess.check_output([sys.executable, "-c", PROGRAM.format(keeping=keeping)]))
        for keeping in (False, True)
    ]
    assert pages[1] < 100 < 10_000 < pages[0]
