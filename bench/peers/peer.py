"""Python's mmap: prints the nanoseconds of each row of `deno task bench:peers`."""

import json
import mmap
import statistics
import sys
import time

SMALL, LARGE, TARGET = sys.argv[1:]
PIECE = 4096
SAMPLES = 15


def measure(count, run):
    times = []
    for _ in range(SAMPLES):
        start = time.perf_counter_ns()
        run(count)
        times.append((time.perf_counter_ns() - start) / count)
    return statistics.median(times)


def mapped(path, write=False):
    with open(path, "r+b" if write else "rb") as file:
        access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
        return mmap.mmap(file.fileno(), 0, access=access)


def read(memory):
    def run(count):
        for i in range(count):
            offset = i % 256 * PIECE
            memory[offset : offset + PIECE]

    return run


def read_randomly(memory):
    def run(count):
        state = 1
        for _ in range(count):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            offset = state * (len(memory) - PIECE) >> 32
            memory[offset : offset + PIECE]

    return run


def write(memory):
    data = bytes(PIECE)

    def run(count):
        for i in range(count):
            offset = i % 256 * PIECE
            memory[offset : offset + PIECE] = data

    return run


def open_and_close(count):
    for _ in range(count):
        mapped(SMALL).close()


large = mapped(LARGE)
for offset in range(0, len(large), PIECE):
    large[offset]
print(json.dumps([
    measure(50_000, read(mapped(SMALL))),
    measure(50_000, read_randomly(large)),
    measure(50_000, write(mapped(TARGET, True))),
    measure(2_000, open_and_close),
]))
