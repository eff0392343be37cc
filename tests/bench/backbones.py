"""Speed and memory of BiFormer on the CPU against plain PyTorch, which gathers keys and values into memory, at equal threads, in one run.

Needs torch 2.11.0 and safetensors 0.6 or newer. Run it from the repository root after building:
    python tests/bench/backbones.py [--model S] [--sizes 224 640] [--threads 2] [--rounds 3] [--batch 1] [--program build/release/app/attelier]
The peer is tests/parity/biformer_model.py, gathers and whole softmax matrices as in the authors' code. Both sides have the same random weights, first give the same
outputs (the largest error is printed), and then run alternately, a warm-up and two measured runs per round. The fastest and the median run are compared, and the
median processor time, which is what to look at, with --threads 1, on a machine that is busy. Peak memory is that of the process during the runs, weights included;
"above" is without what the process held before them. 640 pixels are not divided by 7 regions at each stage, so that maps are padded there (auto_pad).
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
from biformer_model import SIZES, BiFormer  # noqa: E402
from measuring import forget_peak, measure, memory  # noqa: E402


def peer(arguments):
    """In a process of its own, so that the peak is its own: prints times and memory as JSON."""
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    folder = pathlib.Path(arguments.peer)
    model = BiFormer(json.loads((folder / "config.json").read_text())).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    image = load_file(folder / "in.safetensors")["image"]
    before = memory("VmRSS")
    forget_peak()
    times = measure(lambda: model(image))
    peak = memory("VmHWM")
    print(json.dumps({"times": times, "peak": peak, "above": peak - before}))


def ours(arguments, folder, size):
    file = folder / "ours.json"
    subprocess.run([arguments.program, "bench", "backbone", "--model", folder, "--height", str(size), "--width", str(size), "--batch", str(arguments.batch),
                    "--threads", str(arguments.threads), "--repeat", "2", "--warmup", "1", "--json", file], check=True, capture_output=True)
    return json.loads(file.read_text())


def largest_error(arguments, folder, model, image):
    subprocess.run([arguments.program, "forward", "--model", folder, "--component", "backbone", "--inputs", folder / "in.safetensors", "--outputs", folder / "out.safetensors"], check=True,
                   capture_output=True)
    outputs = load_file(folder / "out.safetensors")
    logits, features, routes = model(image)
    same = [(outputs[f"routes.{block}"] == index).float().mean().item() for block, (index, _, _) in routes.items()]
    pairs = [("logits", logits)] + [(f"features.{i}", map) for i, map in enumerate(features)]
    errors = [((outputs[name] - value).abs().max() / value.abs().max()).item() for name, value in pairs]
    return max(errors), min(same)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/app/attelier")
    parser.add_argument("--model", choices=SIZES, default="S")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 640], help="pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments)
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    print(f"{'size':6}{'program':11}{'fastest, s':>11}{'median, s':>11}{'processor, s':>14}{'peak, GB':>10}{'above, GB':>11}{'ours is faster by':>26}", flush=True)
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            config = SIZES[arguments.model] | dict(auto_pad=size % 112 != 0)
            torch.manual_seed(1)
            model, image = BiFormer(config).eval(), torch.randn(arguments.batch, 3, size, size)
            (folder / "config.json").write_text(json.dumps(config))
            save_file({key: value for key, value in model.state_dict().items() if value.is_floating_point()}, folder / "model.safetensors")
            save_file({"image": image}, folder / "in.safetensors")
            error, same = largest_error(arguments, folder, model, image)
            del model
            theirs, mine, processor, results, peers = [], [], [], [], []
            for _ in range(arguments.rounds):
                command = [sys.executable, __file__, "--peer", folder, "--threads", str(arguments.threads)]
                peers.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
                theirs += peers[-1]["times"]
                results.append(ours(arguments, folder, size))
                mine += [results[-1]["min_s"], results[-1]["max_s"]]  # two runs per round: these are both
                processor.append(results[-1]["processor_s"])
            own = min(mine), statistics.median(mine), statistics.median(processor)
            clock, busy = zip(*theirs)
            other = min(clock), statistics.median(clock), statistics.median(busy)
            peak = max(result["peak_bytes"] for result in results) / 1e9
            print(f"{size:<6}{'attelier':11}{own[0]:11.3f}{own[1]:11.3f}{own[2]:14.3f}{peak:10.2f}", flush=True)
            print(f"{'':6}{'PyTorch':11}{other[0]:11.3f}{other[1]:11.3f}{other[2]:14.3f}{max(one['peak'] for one in peers) / 1e9:10.2f}{max(one['above'] for one in peers) / 1e9:11.2f}"
                  + "".join(f"{a / b:9.2f}" for a, b in zip(other, own)) + f"   largest error {error:.1e}, same routes {100 * same:.1f} %", flush=True)


if __name__ == "__main__":
    main()
