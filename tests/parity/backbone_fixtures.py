"""Fixtures of the backbones BiFormer and ViT: tiny random models, their weights in the authors' layout, and what the references compute from them.

Needs torch 2.11.0, transformers 4.57, Pillow 13.0.0 and safetensors 0.6 or newer. Run it from the repository root:
    python tests/parity/backbone_fixtures.py
It writes tests/parity/fixtures/backbones/NAME/: config.json with the authors' arguments, the weights (float16 values) as model.safetensors or, of two models, as
the authors save them (.pth), and one cases/CASE.safetensors per case with the image as in.image (float16) and the float32 results as out.*. The reference of BiFormer is
biformer_model.py beside this file. preparation/ holds pictures and what backbones are given of them.
"""

import argparse
import json
import pathlib
import shutil

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from biformer_model import SIZES, BiFormer, gathered_attention, looped_attention

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "backbones"
SHARED = dict(architecture="biformer", depth=[1, 1, 2, 1], embed_dim=[8, 16, 16, 24], qk_dims=[8, 16, 16, 24], head_dim=8, mlp_ratios=[2, 3, 2, 1.5], num_classes=10, side_dwconv=5,
              before_attn_dwconv=3, kv_downsample_mode="identity", topks=[1, 2, 3, -2], n_win=2, auto_pad=False)
MODELS = {
    "biformer": (SHARED, {"batch": (3, 32, 32), "rectangle": (1, 32, 64)}),
    "biformer_pad": (SHARED | dict(auto_pad=True, n_win=3, topks=[2, 4, 5, -1], qk_dims=[16, 16, 8, 24]), {"odd": (1, 41, 34), "batch": (3, 36, 40), "one_pixel": (1, 1, 1)}),
    "biformer_mm": (SHARED | dict(auto_pad=True, n_win=4, topks=[1, 4, 16, -2], extra_norms=True, embed_dim=[8] * 4, qk_dims=[8] * 4), {"odd": (1, 53, 62)}),
    "biformer_stl": (SHARED | dict(architecture="biformer_stl", topks=[1, 2, 4, -2]), {"batch": (3, 32, 32)}),
    "biformer_stl_nchw": (SHARED | dict(architecture="biformer_stl_nchw", n_win=[4, 2, 2, 1], topks=[3, 4, 2, -1]), {"odd": (1, 52, 45), "divisible": (3, 32, 32)}),
}


def randomise(model, seed):
    """Every tensor gets a value that matters, norms and running statistics too; routing gets differences that no rounding turns over."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("num_batches_tracked"):
                continue
            if name.endswith("running_var"):
                value = 0.5 + torch.rand(tensor.shape, generator=generator)
            elif tensor.dim() > 1:
                value = noise / tensor[0].numel() ** 0.5 * (1.5 if "qkv" in name else 1)
            elif "norm" in name and name.endswith("weight"):
                value = 1 + 0.2 * noise
            else:
                value = 0.2 * noise
            tensor.copy_(value.half().float())
    return model.eval()


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).half().float()


def save(name, config, model):
    """The weights as the authors save them: within a training run, within the model of a detector, or alone."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    state = {key: value.half().contiguous() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    if name == "biformer":
        optimizer = {"state": {0: {"step": torch.tensor(7.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
        torch.save({"model": state, "optimizer": optimizer, "epoch": 299, "args": argparse.Namespace(model="biformer_tiny", lr=5e-4)}, folder / "checkpoint.pth")
    elif name == "biformer_mm":
        state = {f"backbone.{key}": value for key, value in state.items()} | {"decode_head.conv_seg.weight": torch.zeros(2, 4, 1, 1, dtype=torch.float16)}
        torch.save({"meta": {"epoch": 12, "CLASSES": ("wall", "sky")}, "state_dict": state}, folder / "iter_80000.pth")
    else:
        save_file(state, folder / "model.safetensors")


def case(name, title, image, outputs):
    (FOLDER / name / "cases").mkdir(exist_ok=True)
    save_file({"in.image": image.half()} | {f"out.{key}": value.detach().contiguous().clone() for key, value in outputs.items()}, FOLDER / name / "cases" / f"{title}.safetensors")


def check_attention():
    """The gathers against the loops."""
    q, k, v = draw(1, 2, 4, 3, 6), draw(2, 2, 4, 3, 6), draw(3, 2, 4, 3, 8)
    index = torch.tensor([[0, 1], [3, 2], [1, 3], [2, 0]]).repeat(2, 1, 1)
    assert torch.allclose(gathered_attention(q, k, v, index, 2, 0.7), looped_attention(q, k, v, index, 2, 0.7), atol=1e-6)


def written(config):
    """config.json: the Swin layouts call n_win n_wins, and take neither qk_dims nor a convolution before the attention."""
    if config["architecture"] == "biformer":
        return config
    return {"n_wins" if key == "n_win" else key: value for key, value in config.items() if key not in ("qk_dims", "before_attn_dwconv", "auto_pad", "kv_downsample_mode")}


def check_margins(index, scores):
    """No two of the best regions, nor the last of them and the next, are so close that rounding could swap them."""
    values, k = scores.sort(-1, descending=True).values, index.shape[-1]
    gap = (values[..., :k] - values[..., 1:k + 1] if k < values.shape[-1] else values[..., :-1] - values[..., 1:]).min()
    assert gap > 3e-6, gap


def biformers():
    for i, (name, (config, cases)) in enumerate(MODELS.items()):
        model = randomise(BiFormer(config), 10 + i)
        save(name, written(config), model)
        for j, (title, (batch, height, width)) in enumerate(cases.items()):
            image = draw(100 + 10 * i + j, batch, 3, height, width)
            logits, features, routes = model(image)
            outputs = {f"features.{k}": value for k, value in enumerate(features)}
            if logits is not None:
                outputs["logits"] = logits
            for block, (index, scores, grid) in {} if title == "one_pixel" else routes.items():  # one pixel: all regions but one are padding, and alike
                check_margins(index, scores)
                outputs |= {f"routes.{block}": index, f"route_logits.{block}": scores, f"route_grid.{block}": torch.tensor(grid)}
            case(name, title, image, outputs)


def key_lists():
    """Names and shapes of the released models, one per line."""
    for name, config in SIZES.items():
        with torch.device("meta"):
            model = BiFormer(config)
        lines = [f"{key} {list(value.shape)}" for key, value in model.state_dict().items()]
        print(name, len(lines), sum(parameter.numel() for parameter in model.parameters()))


def vits():
    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=32, patch_size=8, num_labels=7, qkv_bias=True)
    model = randomise(ViTForImageClassification(config), 30)
    stored = {key: value for key, value in config.to_dict().items() if value is not None}
    stored["architectures"] = ["ViTForImageClassification"]
    save("vit", stored, model)
    for i, (title, (batch, height, width)) in enumerate({"batch": (3, 32, 32), "larger": (1, 43, 56), "smaller": (1, 16, 32)}.items()):
        image = draw(200 + i, batch, 3, height, width)
        logits = model(image, interpolate_pos_encoding=True).logits
        hidden = model.vit(image, interpolate_pos_encoding=True).last_hidden_state
        case("vit", title, image, {"logits": logits, "features.0": hidden[:, 1:].transpose(1, 2).unflatten(2, (height // 8, width // 8))})


def preparations():
    """Pictures as torchvision's evaluation transforms and transformers' ViTImageProcessor prepare them."""
    (FOLDER / "preparation").mkdir(parents=True, exist_ok=True)
    for title, (height, width) in {"wide": (37, 61), "high": (90, 40), "tiny": (7, 5)}.items():
        picture = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(height))
        image, side = Image.fromarray(picture.numpy()), 16
        short = int(side / 0.875)
        size = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
        # In two steps, the horizontal one first, as Pillow up to 12 does.
        resized = image.resize((size[0], height), Image.BICUBIC).resize(size, Image.BICUBIC)
        left, top = int(round((size[0] - side) / 2.0)), int(round((size[1] - side) / 2.0))
        square = torch.from_numpy(numpy.array(resized.crop((left, top, left + side, top + side)))).permute(2, 0, 1).float() / 255
        mean, deviation = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        vit = ViTImageProcessor(size={"height": side, "width": side})(image.resize((side, height), Image.BILINEAR), return_tensors="pt")["pixel_values"]
        tensors = {"in.picture": picture, "out.imagenet": ((square - mean) / deviation)[None].contiguous(), "out.vit": vit.contiguous()}
        save_file(tensors, FOLDER / "preparation" / f"{title}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in [*MODELS, "vit", "preparation"]:
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    with torch.no_grad():
        check_attention()
        key_lists()
        biformers()
        vits()
        preparations()
    print(sum(file.stat().st_size for name in [*MODELS, "vit", "preparation"] for file in (FOLDER / name).rglob("*") if file.is_file()), "bytes")
