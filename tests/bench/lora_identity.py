#!/usr/bin/env python3
"""A user's own LoRA, measured: ten pictures of one drawn character, a LoRA trained on them, and how often a recogniser that was trained apart names the
character in what the model then makes, with and without the LoRA.

    python3 tests/bench/lora_identity.py ATTELIER OUT [--lora KEY=VALUE ...] [--guidance G]

Every part resumes where it was stopped. Needs Pillow. On one core: drawing 6 minutes, recogniser 15, LoRA 25, evaluation 5.
"""
import argparse
import json
import pathlib
import subprocess

from PIL import Image

CHARACTER = "mia"
PICTURES, SIDE = 10, 256
SMALLEST = 0.3  # of the picture's height, that the character must have to be cut out
FILLS = 0.6     # of the cut picture's height
CAPTION = f"a picture of {CHARACTER}"

RECOGNISER = {
    "objective": "classify", "seed": 4, "steps": 700, "batch": 32, "picture_size": 96, "characters": list(range(8)),
    "looks": ["plain", "plain", "flat", "oil", "watercolour"], "pool": 2400, "fresh": 0, "validation_pictures": 360, "bfloat16": True,
    "optimizer": {"learning_rate": 2e-3, "muon_rate": 0.02, "warm_up": 20, "weight_decay": 0.02, "ema_decay": 0.99},
    "backbone": {"architecture": "biformer", "depth": [1, 1, 3, 1], "embed_dim": [32, 64, 128, 160], "qk_dims": [32, 64, 128, 160], "head_dim": 32,
                 "n_win": 3, "topks": [2, 4, -1, -2], "mlp_ratios": [2, 2, 2, 2], "auto_pad": True},
}
LORA = {
    "objective": "lora", "model": "mini", "seed": 1, "steps": 1200, "batch": 4, "rank": 32, "pool": 40, "fresh": 0, "bfloat16": True,
    "data": {"source": "folder", "path": "pictures", "caption": CAPTION},
    "targets": ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "proj_in", "proj_out", "time_emb_proj"],
    "train_text_encoder": True, "caption_dropout": 0,
    "optimizer": {"learning_rate": 2e-3, "muon_rate": 0.004, "warm_up": 20, "minimum_rate": 0.1, "ema_decay": 0.98, "weight_decay": 0},
    "validation_pictures": 8, "sheet": [CAPTION] * 4,
}


def run(*command):
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True)


def draw_pictures(attelier, folder):
    """The first scenes that show the character large enough, cut around it."""
    if folder.is_dir() and len(list(folder.glob("*.png"))) == PICTURES:
        return
    folder.mkdir(exist_ok=True)
    scenes = folder.parent / "scenes"
    scenes.mkdir(exist_ok=True)
    made, seed = 0, 100
    while made < PICTURES:
        run(attelier, "scenes", "--characters", CHARACTER, "--count", 1, "--seed", seed, "--size", 384, "--quality", "fine", "--out", scenes)
        scene = json.loads((scenes / "captions.jsonl").read_text().splitlines()[-1])
        seed += 1
        for thing in scene["objects"]:
            left, top, right, bottom = thing["box"]
            if thing.get("name", "").lower() != CHARACTER or bottom - top < SMALLEST * 384 or top <= 0 or bottom >= 384 or left <= 0 or right >= 384:
                continue
            side = min(384, round((bottom - top) / FILLS))
            x = min(max((left + right - side) // 2, 0), 384 - side)
            y = min(max((top + bottom - side) // 2, 0), 384 - side)
            cut = Image.open(scenes / scene["file"]).convert("RGB").crop((x, y, x + side, y + side))
            cut.resize((SIDE, SIDE), Image.LANCZOS).save(folder / f"{made:02}.png")
            made += 1


def train(attelier, out, name, config):
    if (out / name / "model").is_dir():
        return
    config = config | {"save_every_seconds": 60, "show_every_seconds": 600, "output": name}
    file = out / f"{name}.json"
    file.write_text(json.dumps(config, indent=1))
    run(attelier, "train", file, *(["--resume"] if (out / name / "state.safetensors").exists() else []))


def value(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attelier", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("out", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--lora", nargs="*", default=[], metavar="KEY=VALUE", help="changes the LoRA's configuration, e.g. steps=300 or optimizer.muon_rate=0.004")
    parser.add_argument("--name", default="lora", help="of this LoRA's folder")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--guidance", type=float, default=2)
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    draw_pictures(options.attelier, out / "pictures")
    train(options.attelier, out, "recogniser", RECOGNISER)
    config = json.loads(json.dumps(LORA))
    for entry in options.lora:
        key, text = entry.split("=", 1)
        *path, last = key.split(".")
        place = config
        for part in path:
            place = place[part]
        place[last] = value(text)
    train(options.attelier, out, options.name, config)
    report = out / f"{options.name}_report"
    report.mkdir(exist_ok=True)
    run(options.attelier, "evaluate", "lora", "--lora", out / options.name / "model" / "lora.safetensors", "--recognizer", out / "recogniser" / "model",
        "--character", CHARACTER.capitalize(), "--pictures", options.pictures, "--steps", 20, "--set", f"prompt={CAPTION}", "--guidance", options.guidance, "--out", report)


if __name__ == "__main__":
    main()
