"""Speed and memory of ViTAEv2 with learned windows on the CPU against the plain implementation in PyTorch, at equal threads in one run.

Needs torch 2.11.0. Run it from the repository root after building:
    python tests/bench/vitaev2.py [--variant ViTAEv2_VSA_S] [--size 224] [--batch 1] [--threads 2] [--rounds 5] [--program build/release/app/attelier]
The plain implementation (tests/parity/vitaev2_model.py) samples keys and values into memory and cuts windows by reshapes, as the authors' code does; float32,
random weights. Both sides run alternately, each in a process of its own, so that a slow phase of the machine hits both. The fastest and the median run of all
rounds are compared, the median processor time, which is what to look at, with --threads 1, on a machine that is busy, and the most memory that the process
holds once its model is ready. A ratio above 1 means that Attelier is faster.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

REPEAT, WARMUP = 4, 2


def plain(arguments):
    """Prints the times of the plain implementation, its peak of memory and what its process holds before the first run."""
    import torch

    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "parity"))
    import vitaev2_model
    from measuring import forget_peak, measure, memory

    torch.set_num_threads(arguments.threads)
    model = vitaev2_model.ViTAEv2(vitaev2_model.VARIANTS[arguments.variant]).eval()
    image = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
    held = memory("VmRSS")
    forget_peak()
    with torch.inference_mode():
        clock, busy = zip(*measure(lambda: model(image), WARMUP, REPEAT))
    print(json.dumps({"min_s": min(clock), "median_s": statistics.median(clock), "processor_s": statistics.median(busy), "peak_bytes": memory("VmHWM"), "held_bytes": held}))


def ours(arguments, folder):
    file = folder / "ours.json"
    side = str(arguments.size)
    subprocess.run([arguments.program, "bench", "backbone", "--random", folder, "--height", side, "--width", side, "--batch", str(arguments.batch), "--threads", str(arguments.threads),
                    "--repeat", str(REPEAT), "--warmup", str(WARMUP), "--json", file], check=True, capture_output=True)
    return json.loads(file.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/app/attelier")
    parser.add_argument("--variant", default="ViTAEv2_VSA_S")
    parser.add_argument("--size", type=int, default=224, help="pixels, a multiple of 32 that is at least 224")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        return plain(arguments)
    results = {"attelier": [], "plain PyTorch": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "config.json").write_text(json.dumps({"architecture": "vitaev2_vsa", "variant": arguments.variant}))
        for _ in range(arguments.rounds):
            results["attelier"].append(ours(arguments, folder))
            results["plain PyTorch"].append(json.loads(subprocess.run([sys.executable, *sys.argv, "--plain"], check=True, capture_output=True).stdout))
    print(f"{arguments.variant}, {arguments.batch} x {arguments.size} x {arguments.size}, {arguments.threads} threads")
    print(f"{'':15}{'fastest, ms':>13}{'median, ms':>12}{'processor, ms':>15}{'peak, MB':>10}{'held before, MB':>17}")
    rows = {}
    for program, runs in results.items():
        rows[program] = [1000 * min(run["min_s"] for run in runs)] + [1000 * statistics.median(run[key] for run in runs) for key in ("median_s", "processor_s")]
        memory = [max(run[key] for run in runs) / 1e6 if key in runs[0] else float("nan") for key in ("peak_bytes", "held_bytes")]
        print(f"{program:15}{rows[program][0]:13.1f}{rows[program][1]:12.1f}{rows[program][2]:15.1f}{memory[0]:10.0f}" + (f"{memory[1]:17.0f}" if memory[1] == memory[1] else ""))
    print(f"{'ratio':15}" + "".join(f"{theirs / own:{width}.2f}" for own, theirs, width in zip(rows["attelier"], rows["plain PyTorch"], (13, 12, 15))))


if __name__ == "__main__":
    main()
