"""Fixtures of ViTAEv2 with learned and plain windows: tiny random models with what tests/parity/vitaev2_model.py computes from them.

Needs torch 2.11.0 and safetensors 0.6 or newer. Run it from the repository root:
    python tests/parity/vitaev2_fixtures.py
It writes tests/parity/fixtures/models/vitaev2_NAME/: config.json, the weights in the authors' layout (float16 values)
and one CASE.safetensors per case, inputs (float16) as in.*, float32
results as out.*. The weights of one model are a .pth.tar as the authors' training script leaves it, with the moving average beside other
weights and the prefix of its wrapper.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import vitaev2_model as reference

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "models"

TWO = dict(stages=2, embed_dims=[4, 4], token_dims=[8, 16], downsample_ratios=[4, 2], kernel_size=[7, 3], dilations=[[1, 2, 3, 4], [1, 2, 3]], NC_depth=[1, 1], NC_heads=[2, 4], RC_heads=[2, 2],
           NC_group=[1, 4], RC_group=[1, 4], mlp_ratio=2.0, window_size=3, num_classes=5)
FOUR = dict(stages=4, embed_dims=[4, 4, 4, 8], token_dims=[4, 8, 8, 16], downsample_ratios=[4, 2, 2, 2], NC_depth=[1, 0, 0, 1], NC_heads=[1, 2, 2, 4], RC_heads=[2, 2, 2, 4],
            NC_group=[1, 2, 4, 8], RC_group=[1, 2, 4, 8], window_size=2, num_classes=3, kernel_size=[7, 3, 3, 3], dilations=reference.DILATIONS)

MODELS = {
    "narrow": TWO | dict(RC_tokens_type="VSA", NC_tokens_type="VSA", wide_pcm=False, cpe=True),
    "wide": FOUR | dict(RC_tokens_type="VSA", NC_tokens_type="VSA", wide_pcm=True, cpe=True),
    "detection": TWO | dict(RC_tokens_type="VSA", NC_tokens_type="VSA", wide_pcm=True, cpe=True, detection=True, num_classes=0, window_size=5),
    "plain": TWO | dict(RC_tokens_type="window", NC_tokens_type="window", wide_pcm=False),
    "mixed": TWO | dict(RC_tokens_type=["window", "VSA"], NC_tokens_type=["VSA", "window"], wide_pcm=[True, False], cpe=False, relative_pos=True, RC_op=["sum", "cat"]),
}
# Name: batch, height, width.
CASES = {
    "narrow": {"even": (1, 24, 24), "padded": (3, 40, 32)},
    "wide": {"padded": (1, 96, 64)},
    "detection": {"wide": (1, 56, 72)},
    "plain": {"even": (3, 24, 24), "padded": (1, 40, 32)},
    "mixed": {"padded": (3, 40, 32)},
}


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                value = 0.2 + noise.abs()
            elif "sampling" in name:
                value = 0.5 * noise / (tensor[0].numel() ** 0.5 if tensor.dim() > 1 else 1)
            elif name.endswith("bias_table"):
                value = noise
            elif tensor.dim() > 1:
                value = noise / tensor[0].numel() ** 0.5
            elif ("norm" in name or ".1." in name or ".4." in name) and name.endswith("weight"):
                value = 1 + 0.2 * noise
            else:
                value = 0.1 * noise
            tensor.copy_(value.half().float())
    return model.eval()


def results(model, image):
    with torch.no_grad():
        logits, features = model(image)
    out = {f"features.{i}": feature for i, feature in enumerate(features)}
    if logits is not None:
        out["logits"] = logits
    for name, module in model.named_modules():
        if isinstance(module, reference.VsaAttention):
            cell = name.removeprefix("layers.").removesuffix(".attn")
            for what, raw in zip(("offsets", "scales"), module.record):
                # [b*m,2,rows,columns] -> [b,m,windows,2]
                out[f"window_{what}.{cell}"] = raw.reshape(image.shape[0], module.heads, 2, -1).transpose(2, 3)
    return out


def main():
    torch.set_num_threads(1)
    for seed, (name, config) in enumerate(MODELS.items()):
        folder = FOLDER / f"vitaev2_{name}"
        folder.mkdir(parents=True, exist_ok=True)
        model = randomise(reference.ViTAEv2(config), seed)
        (folder / "config.json").write_text(json.dumps({"architecture": "vitaev2_vsa"} | config, indent=1, sort_keys=True) + "\n")
        if name == "narrow":
            ema = {"module." + key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
            last = {"module.head.bias": model.head.bias + 1}
            torch.save({"epoch": 262, "arch": "ViTAEv2_VSA_S", "state_dict": last, "version": 2, "state_dict_ema": ema, "metric": 82.69}, folder / "checkpoint.pth.tar")
        else:
            save_file({key: value.half().contiguous() for key, value in model.state_dict().items() if not key.endswith("relative_position_index")}, folder / "model.safetensors")
        for title, (batch, height, width) in CASES[name].items():
            image = torch.randn((batch, 3, height, width), generator=torch.Generator().manual_seed(100 + seed)).half()
            tensors = {"in.image": image} | {f"out.{key}": value.contiguous() for key, value in results(model, image.float()).items()}
            save_file(tensors, folder / f"{title}.safetensors")
        for file in folder.iterdir():
            file.chmod(0o644)
    for name, config in reference.VARIANTS.items():
        with torch.device("meta"):
            model = reference.ViTAEv2(config)
        print(name, sum(p.numel() for p in model.parameters()), len(model.state_dict()))


if __name__ == "__main__":
    main()
