#!/usr/bin/env python3
"""registers_test.py FOLDER [--table]: reads what the assembler said of every CUDA kernel (*.ptxas below FOLDER, written by kernels/cuda/keep_report).

Fails on spills, on local memory, on more registers than the planned occupancy leaves, and when kernels are missing. --table prints the table of
kernels/cuda/README.md instead.
"""
import collections, pathlib, re, sys

ARCHITECTURES = ("sm_80", "sm_90")
HALF_WIDTHS, FLOAT_WIDTHS = (32, 48, 64, 80, 96, 128, 160, 256), (64, 256)
BUNDLES = ("plain", "score", "mix")
# Registers of one thread: 65536 over the threads of two blocks of 128 threads, or of one block of 64; 255 is what an instruction can name.
MAXIMUM_REGISTERS = 255

def attention_kernel(symbol):
    """(element, width, bundle) of a mangled attend_kernel, else None."""
    found = re.search(r"attend_kernelI(NS1_\d+)?(BFloat16|Float16|f)E?Li(\d+)ELNS1_6BundleE(\d)", symbol)
    if not found:
        return None
    return {"f": "float32"}.get(found[2], found[2].lower()), int(found[3]), BUNDLES[int(found[4])]

def reports(folder):
    for path in sorted(pathlib.Path(folder).rglob("*.ptxas")):
        symbol = architecture = None
        for line in path.read_text().splitlines():
            if found := re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line):
                symbol, architecture = found.groups()
            elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                memory = tuple(map(int, found.groups()))
            elif found := re.search(r"Used (\d+) registers", line):
                yield symbol, architecture, int(found[1]), memory

def main():
    folder, table = sys.argv[1], "--table" in sys.argv
    failures, seen, total = [], collections.defaultdict(dict), 0
    for symbol, architecture, registers, (stack, stores, loads) in reports(folder):
        total += 1
        kernel = attention_kernel(symbol)
        if kernel:
            seen[architecture][kernel] = registers
        name = " ".join(map(str, kernel)) if kernel else symbol
        if stack or stores or loads:
            failures.append(f"{name} on {architecture}: {stack} bytes of stack, {stores} stored and {loads} loaded by spills")
        if registers > MAXIMUM_REGISTERS:
            failures.append(f"{name} on {architecture}: {registers} registers, planned are at most {MAXIMUM_REGISTERS}")
    wanted = {(element, width, bundle) for element, widths in (("bfloat16", HALF_WIDTHS), ("float16", HALF_WIDTHS), ("float32", FLOAT_WIDTHS))
              for width in widths for bundle in BUNDLES}
    for architecture in ARCHITECTURES:
        for kernel in sorted(wanted - set(seen[architecture])):
            failures.append(f"no report of {' '.join(map(str, kernel))} on {architecture}")
    if table:
        print("| element, width | " + " | ".join(f"{a} {b}" for a in ARCHITECTURES for b in BUNDLES) + " |")
        print("|---" * (1 + len(ARCHITECTURES) * len(BUNDLES)) + "|")
        for element, width in sorted({kernel[:2] for kernel in wanted}):
            print(f"| {element} {width} | " + " | ".join(str(seen[a].get((element, width, b), "-")) for a in ARCHITECTURES for b in BUNDLES) + " |")
        return
    for failure in failures:
        print("failed:", failure)
    print(f"{total} kernels, {len(failures)} failures; most registers: {max((r for s in seen.values() for r in s.values()), default=0)}")
    sys.exit(1 if failures or total == 0 else 0)

main()
