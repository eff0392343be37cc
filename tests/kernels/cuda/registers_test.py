#!/usr/bin/env python3
"""registers_test.py FOLDER [--table]: reads what the assembler said of every CUDA kernel (*.ptxas below FOLDER, written by kernels/cuda/keep_report).

Fails on spills, on local memory, on more registers than the planned occupancy leaves, on products that the assembler makes wait for each other, and when kernels are
missing. --table prints the tables of kernels/cuda/README.md instead.
"""
import collections, pathlib, re, sys

ARCHITECTURES = ("sm_80", "sm_90")
HALF_WIDTHS, FLOAT_WIDTHS = (32, 48, 64, 80, 96, 128, 160, 256), (64, 256)
BUNDLES = ("plain", "score", "mix")
WARPGROUP_WIDTHS, REGION_WIDTHS = (40, 64, 80, 128, 160), (32, 64, 128)
HALVES = ("bfloat16", "float16")
# Registers of one thread: 65536 over the threads of two blocks of 128 threads, or of one block of 64; 255 is what an instruction can name.
# A block of three warpgroups starts with 168, and its consumers claim 232 (kernels/cuda/warpgroups.h).
MAXIMUM_REGISTERS, WARPGROUP_REGISTERS = 255, 168

ELEMENT_AND_WIDTH = r"I(?:NS1_\d+)?(BFloat16|Float16|f)E?Li(\d+)E"

def kernel_of(symbol):
    """(family, element, width, variant) of a mangled kernel that has widths, else None."""
    for family, variant, name in (("attend", r"LNS1_6BundleE(\d)", lambda text: BUNDLES[int(text)]), ("warpgroup", r"Lb(\d)", lambda text: "listed" if text == "1" else "uniform"),
                                  ("region", r"NS1_\d+(Chosen|Sampled)", str.lower)):
        if found := re.search(family + "_kernel" + ELEMENT_AND_WIDTH + variant, symbol):
            return family, {"f": "float32"}.get(found[1], found[1].lower()), int(found[2]), name(found[3])
    return None

def family_of(symbol):
    return re.search(r"([a-z_]+)_kernel", symbol)[1].split("_")[-1]

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

def remarks(folder):
    """Of the assembler, about products that it puts one after the other."""
    for path in sorted(pathlib.Path(folder).rglob("*.ptxas")):
        for line in path.read_text().splitlines():
            if "serialized" in line:
                yield line

def wanted_kernels():
    wanted = {architecture: set() for architecture in (*ARCHITECTURES, "sm_90a")}
    for architecture in ARCHITECTURES:
        for element in (*HALVES, "float32"):
            for width in FLOAT_WIDTHS if element == "float32" else HALF_WIDTHS:
                wanted[architecture] |= {("attend", element, width, bundle) for bundle in BUNDLES}
            for width in FLOAT_WIDTHS[:1] if element == "float32" else REGION_WIDTHS:
                wanted[architecture] |= {("region", element, width, variant) for variant in ("chosen", "sampled")}
    wanted["sm_90a"] = {("warpgroup", element, width, variant) for element in HALVES for width in WARPGROUP_WIDTHS for variant in ("uniform", "listed")}
    return wanted

def print_table(seen, family, architectures, variants):
    rows = collections.defaultdict(list)
    for element, width in sorted({kernel[1:3] for kernels in seen.values() for kernel in kernels if kernel[0] == family}):
        rows[width, tuple(seen[a].get((family, element, width, v), "-") for a in architectures for v in variants)].append(element)
    print("\n| element, width | " + " | ".join(f"{a} {v}" for a in architectures for v in variants) + " |")
    print("|---" * (1 + len(architectures) * len(variants)) + "|")
    for (width, registers), elements in sorted(rows.items(), key=lambda row: ("float32" in row[1], row[1], row[0])):
        print(f"| {' and '.join(elements)} {width} | " + " | ".join(map(str, registers)) + " |")

def main():
    folder, table = sys.argv[1], "--table" in sys.argv
    failures, seen, others, total = list(remarks(folder)), collections.defaultdict(dict), collections.defaultdict(list), 0
    for symbol, architecture, registers, (stack, stores, loads) in reports(folder):
        total += 1
        kernel = kernel_of(symbol)
        if kernel:
            seen[architecture][kernel] = registers
        else:
            others[family_of(symbol), architecture].append(registers)
        name = " ".join(map(str, kernel)) if kernel else symbol
        if stack or stores or loads:
            failures.append(f"{name} on {architecture}: {stack} bytes of stack, {stores} stored and {loads} loaded by spills")
        planned = WARPGROUP_REGISTERS if kernel and kernel[0] == "warpgroup" else MAXIMUM_REGISTERS
        if registers > planned:
            failures.append(f"{name} on {architecture}: {registers} registers, planned are at most {planned}")
    for architecture, kernels in wanted_kernels().items():
        for kernel in sorted(kernels - set(seen[architecture])):
            failures.append(f"no report of {' '.join(map(str, kernel))} on {architecture}")
    if table:
        print_table(seen, "attend", ARCHITECTURES, BUNDLES)
        print_table(seen, "warpgroup", ("sm_90a",), ("uniform", "listed"))
        print_table(seen, "region", ARCHITECTURES, ("chosen", "sampled"))
        print("\n| other kernels | " + " | ".join(ARCHITECTURES) + " |\n|---|---|---|")
        for family in sorted({family for family, _ in others}):
            print(f"| {family} | " + " | ".join("..".join(map(str, sorted({min(others[family, a]), max(others[family, a])}))) for a in ARCHITECTURES) + " |")
        return
    for failure in failures:
        print("failed:", failure)
    print(f"{total} kernels, {len(failures)} failures; most registers: {max((r for s in seen.values() for r in s.values()), default=0)}")
    sys.exit(1 if failures or total == 0 else 0)

main()
