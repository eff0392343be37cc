"""Speed and memory of RGT on the CPU against a plain implementation in PyTorch, which holds every logit, at equal threads, in one run.

Needs torch 2.11.0 and safetensors 0.6 or newer. Run it from the repository root after building:
    python tests/bench/rgt.py [--model S|full] [--scale 4] [--size 64] [--threads 2] [--rounds 3] [--program build/release/app/attelier]
The peer is tests/parity/rgt_model.py. Both sides read one checkpoint with random weights in the authors' layout, first give the same picture (the largest error
is printed), and then run alternately, each in a process of its own, a warm-up and two measured runs per round. The fastest and the median run are compared, and
the median processor time, which is what to look at, with --threads 1, on a machine that is busy. "above" is the peak of the process during the runs without what
it held before them.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "parity"))
from measuring import forget_peak, measure, memory  # noqa: E402
from rgt_model import RGT, RGT_S, Upscaler  # noqa: E402


def peer(arguments):
    """Prints times and memory of the plain implementation as JSON."""
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    folder = pathlib.Path(arguments.peer)
    model = Upscaler(**json.loads((folder / "config.json").read_text())).eval()
    model.load_state_dict(torch.load(folder / "model.pth")["params"])
    image = load_file(folder / "in.safetensors")["image"]
    before = memory("VmRSS")
    forget_peak()
    times = measure(lambda: model(image))
    print(json.dumps({"times": times, "peak": memory("VmHWM"), "above": memory("VmHWM") - before}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/app/attelier")
    parser.add_argument("--model", choices=["S", "full"], default="S")
    parser.add_argument("--scale", type=int, choices=[2, 3, 4], default=4)
    parser.add_argument("--size", type=int, default=64, help="pixels of the small picture")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments)
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        config = dict(RGT if arguments.model == "full" else RGT_S, upscale=arguments.scale)
        torch.manual_seed(1)
        model, image = Upscaler(**config).eval(), torch.rand(1, 3, arguments.size, arguments.size)
        torch.save({"params": model.state_dict()}, folder / "model.pth")
        save_file({"image": image}, folder / "in.safetensors")
        forward = [arguments.program, "forward", "--model", folder / "model.pth", "--component", "upscaler", "--inputs", folder / "in.safetensors", "--outputs", folder / "out.safetensors"]
        subprocess.run(forward, check=True, capture_output=True)
        expected = model(image)
        error = ((load_file(folder / "out.safetensors")["image"] - expected).abs().max() / expected.abs().max()).item()
        print(f"largest error {error:.1e}", flush=True)
        bench = [arguments.program, "bench", "upscaler", "--model", folder / "model.pth", "--height", str(arguments.size), "--width", str(arguments.size), "--threads", str(arguments.threads),
                 "--repeat", "2", "--warmup", "1", "--json", folder / "ours.json"]
        rows = {"attelier": [], "PyTorch": []}
        for _ in range(arguments.rounds):
            (folder / "config.json").unlink(missing_ok=True)  # ours reads what the file says
            subprocess.run(bench, check=True, capture_output=True)
            own = json.loads((folder / "ours.json").read_text())
            rows["attelier"].append((own["min_s"], own["median_s"], own["processor_s"], own["peak_bytes"], float("nan")))
            (folder / "config.json").write_text(json.dumps(config))
            command = [sys.executable, __file__, "--peer", folder, "--threads", str(arguments.threads)]
            other = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            clock, busy = zip(*other["times"])
            rows["PyTorch"].append((min(clock), statistics.median(clock), statistics.median(busy), other["peak"], other["above"]))
        print(f"{'':10}{'fastest, s':>11}{'median, s':>11}{'processor, s':>14}{'peak, GB':>10}{'above, GB':>11}")
        sums = {}
        for program, runs in rows.items():
            columns = list(zip(*runs))
            sums[program] = [min(columns[0]), statistics.median(columns[1]), statistics.median(columns[2])]
            print(f"{program:10}{sums[program][0]:11.3f}{sums[program][1]:11.3f}{sums[program][2]:14.3f}{max(columns[3]) / 1e9:10.2f}" + (f"{max(columns[4]) / 1e9:11.2f}" if program == "PyTorch" else ""))
        print(f"{'ratio':10}" + "".join(f"{theirs / mine:{width}.2f}" for mine, theirs, width in zip(sums["attelier"], sums["PyTorch"], (11, 11, 14))))


if __name__ == "__main__":
    main()
