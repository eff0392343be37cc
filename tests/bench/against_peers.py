"""Speed of one UNet step and one VAE decode on the CPU against other programs, at equal threads and dtype, in one run.

Needs torch 2.11.0, diffusers 0.36.0, and openvino 2026.4.0 for the peer of that name. Run it from the repository root after building:
    python tests/bench/against_peers.py [--peers diffusers openvino] [--threads 2] [--rounds 3] [--size 512] [--program build/release/app/attelier] [--cases CASE ...]
Cases: unet-float32 unet-bfloat16 vae-float32 vae-bfloat16: SD1.5's UNet with batch 2, its autoencoder's decoder. diffusers runs eagerly; OpenVINO runs the
same model, converted and compiled beforehand. All sides run alternately, a warm-up and two measured runs per round, so that a slow phase of the machine hits
all. The fastest and the median run of all rounds are compared, and the median processor time, which is what to look at, with --threads 1, on a machine that is
busy. A ratio above 1 means that Attelier is faster.
"""

import argparse
import gc
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

CROSS, UP_CROSS = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
UNET = dict(sample_size=64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8, layers_per_block=2,
            down_block_types=(CROSS, CROSS, CROSS, "DownBlock2D"), up_block_types=("UpBlock2D", UP_CROSS, UP_CROSS, UP_CROSS))
VAE = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
           down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)


class Step(torch.nn.Module):
    """One call of the UNet or of the decoder: tensors in, a tensor out."""

    def __init__(self, what, dtype):
        super().__init__()
        self.what = what
        self.model = (UNet2DConditionModel(**UNET) if what == "unet" else AutoencoderKL(**VAE)).to(dtype).eval()

    def inputs(self, side, dtype):
        if self.what == "unet":
            return torch.randn(2, 4, side, side, dtype=dtype), torch.tensor(500), torch.randn(2, 77, 768, dtype=dtype)
        return (torch.randn(1, 4, side, side, dtype=dtype),)

    def forward(self, sample, time=None, context=None):
        if self.what == "unet":
            return self.model(sample, time, context, return_dict=False)[0]
        return self.model.decode(sample, return_dict=False)[0]


def diffusers_run(what, dtype, arguments, folder):
    step = Step(what, getattr(torch, dtype))
    inputs = step.inputs(arguments.size // 8, getattr(torch, dtype))
    return lambda: step(*inputs)


def openvino_run(what, dtype, arguments, folder):
    import openvino

    file = folder / f"{what}.xml"
    step = Step(what, torch.float32)
    inputs = step.inputs(arguments.size // 8, torch.float32)
    if not file.exists():
        openvino.save_model(openvino.convert_model(step, example_input=inputs, input=[tuple(tensor.shape) for tensor in inputs]), file, compress_to_fp16=False)
    del step
    gc.collect()
    options = {"INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype], "INFERENCE_NUM_THREADS": arguments.threads, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(file, "CPU", options).create_infer_request()
    return lambda: request.infer([tensor.numpy() for tensor in inputs])


PEERS = {"diffusers": diffusers_run, "openvino": openvino_run}


def measure(run, repeat=2, warmup=1):
    times = []
    for i in range(warmup + repeat):
        start, processor_start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start, time.process_time() - processor_start))
    return times[warmup:]


def ours(what, dtype, arguments, folder):
    batch = ["--batch", "2"] if what == "unet" else []
    file = folder / "ours.json"
    subprocess.run([arguments.program, "bench", what, "--random", folder, "--height", str(arguments.size), "--width", str(arguments.size), "--dtype", dtype,
                    "--threads", str(arguments.threads), "--repeat", "2", "--warmup", "1", "--json", file, *batch], check=True, capture_output=True)
    return json.loads(file.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/app/attelier")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=["diffusers"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512, help="pixels")
    parser.add_argument("--cases", nargs="+", default=["unet-float32", "unet-bfloat16", "vae-float32", "vae-bfloat16"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    print(f"{'case':15}{'program':11}{'fastest, s':>11}{'median, s':>11}{'processor, s':>14}{'ours is faster by':>30}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for part, config in (("unet", UNET), ("vae", VAE)):
            (folder / part).mkdir()
            (folder / part / "config.json").write_text(json.dumps(config))
        for case in arguments.cases:
            what, dtype = case.split("-")
            theirs, mine, processor = {peer: [] for peer in arguments.peers}, [], []
            for _ in range(arguments.rounds):
                for peer in arguments.peers:
                    run = PEERS[peer](what, dtype, arguments, folder)
                    theirs[peer] += measure(run)
                    del run
                    gc.collect()
                result = ours(what, dtype, arguments, folder)
                mine += [result["min_s"], result["max_s"]]  # two runs per round: these are both
                processor.append(result["processor_s"])
            own = min(mine), statistics.median(mine), statistics.median(processor)
            print(f"{case:15}{'attelier':11}{own[0]:11.2f}{own[1]:11.2f}{own[2]:14.2f}", flush=True)
            for peer, times in theirs.items():
                clock, busy = zip(*times)
                other = min(clock), statistics.median(clock), statistics.median(busy)
                print(f"{'':15}{peer:11}{other[0]:11.2f}{other[1]:11.2f}{other[2]:14.2f}" + "".join(f"{a / b:10.2f}" for a, b in zip(other, own)), flush=True)


if __name__ == "__main__":
    main()
