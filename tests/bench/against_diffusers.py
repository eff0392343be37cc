"""Speed of one UNet step and one VAE decode against diffusers (eager) on the CPU, at equal threads and dtype, in one run.

Needs torch 2.11.0, diffusers 0.36.0. Run it from the repository root after building:
    python tests/bench/against_diffusers.py [--threads 2] [--rounds 3] [--size 512] [--program build/release/app/attelier] [CASE ...]
Cases: unet-float32 unet-bfloat16 vae-float32 vae-bfloat16: SD1.5's UNet with batch 2, its autoencoder's decoder. Both sides run alternately, a warm-up
and two measured runs per round, so that a slow phase of the machine hits both. The fastest and the median run of all rounds are compared, and the median
processor time, which is what to look at, with --threads 1, on a machine that is busy. A ratio above 1 means that Attelier is faster.
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


def their_run(what, dtype, side):
    if what == "unet":
        model = UNet2DConditionModel(**UNET).to(dtype).eval()
        sample, context = torch.randn(2, 4, side, side, dtype=dtype), torch.randn(2, 77, 768, dtype=dtype)
        return lambda: model(sample, 500, context).sample
    model = AutoencoderKL(**VAE).to(dtype).eval()
    latent = torch.randn(1, 4, side, side, dtype=dtype)
    return lambda: model.decode(latent).sample


def measure(run, repeat=2, warmup=1):
    times = []
    for i in range(warmup + repeat):
        start, processor_start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start, time.process_time() - processor_start))
    return times[warmup:]


def ours(program, what, dtype, threads, size, configs):
    batch = ["--batch", "2"] if what == "unet" else []
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([program, "bench", what, "--random", configs, "--height", str(size), "--width", str(size), "--dtype", dtype, "--threads", str(threads), "--repeat", "2",
                        "--warmup", "1", "--json", file.name, *batch], check=True, capture_output=True)
        return json.loads(pathlib.Path(file.name).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/app/attelier")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512, help="pixels")
    parser.add_argument("cases", nargs="*", default=["unet-float32", "unet-bfloat16", "vae-float32", "vae-bfloat16"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    print(f"{'case':16}{'fastest, s':>20}{'median, s':>20}{'processor, s':>20}{'ratios':>24}{'peak':>10}\n{'':16}" + f"{'diffusers':>11}{'ours':>9}" * 3, flush=True)
    with tempfile.TemporaryDirectory() as configs:
        for name, config in (("unet", UNET), ("vae", VAE)):
            (pathlib.Path(configs) / name).mkdir()
            (pathlib.Path(configs) / name / "config.json").write_text(json.dumps(config))
        for case in arguments.cases:
            what, dtype = case.split("-")
            theirs, mine, processor, peak = [], [], [], 0
            for _ in range(arguments.rounds):
                run = their_run(what, getattr(torch, dtype), arguments.size // 8)
                theirs += measure(run)
                del run
                gc.collect()
                result = ours(arguments.program, what, dtype, arguments.threads, arguments.size, configs)
                mine += [result["min_s"], result["max_s"]]  # two runs per round: these are both
                processor.append(result["processor_s"])
                peak = max(peak, result["peak_bytes"])
            clock, busy = zip(*theirs)
            pairs = [(min(clock), min(mine)), (statistics.median(clock), statistics.median(mine)), (statistics.median(busy), statistics.median(processor))]
            print(f"{case:16}" + "".join(f"{a:11.2f}{b:9.2f}" for a, b in pairs) + "".join(f"{a / b:8.2f}" for a, b in pairs) + f"{peak / 1e9:8.2f} GB", flush=True)


if __name__ == "__main__":
    main()
