# Fixtures of the upscaler: results of a plain PyTorch implementation (rgt_model.py) for tiny random models, and one whole checkpoint in the authors' layout.
# Needs torch==2.11.0 and safetensors 0.6 or newer. Run it from the repository root:
#     python tests/parity/rgt_fixtures.py
# It writes tests/parity/fixtures/models/rgt/: results.safetensors, whose models the tests in C++ build again from the same seeds (every parameter in the
# order of its name), with some of the result's numbers each; and authors.pth, in float16, with the buffers of the authors' files.
import pathlib

import torch
from rgt_model import Upscaler
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "models" / "rgt"
TINY = dict(upscale=2, in_chans=3, img_size=64, img_range=1.0, depth=[4, 4], embed_dim=64, num_heads=[4, 4], mlp_ratio=2, qkv_bias=True, split_size=[4, 8], c_ratio=0.5,
            resi_connection="1conv")
SMALL = dict(TINY, depth=[3], embed_dim=32, num_heads=[2], split_size=[2, 4])
CASES = {  # name: changes of TINY, picture, batch
    "x2_16x16": (dict(), (16, 16), 1), "x2_33x47": (dict(), (33, 47), 3), "x2_64x64": (dict(), (64, 64), 1),
    "x3_16x16": (dict(upscale=3), (16, 16), 3), "x3_33x47": (dict(upscale=3), (33, 47), 1), "x3_64x64": (dict(upscale=3), (64, 64), 1),
    "x4_16x16": (dict(upscale=4), (16, 16), 1), "x4_33x47": (dict(upscale=4), (33, 47), 1), "x4_64x64": (dict(upscale=4), (64, 64), 3),
    "wide_windows": (dict(split_size=[4, 32]), (37, 20), 1), "turned_windows": (dict(split_size=[16, 4]), (21, 70), 1),
    "three_convolutions": (dict(resi_connection="3conv", qkv_bias=False, mlp_ratio=1.5, img_range=2.0), (24, 17), 2),
    "position_bias": (dict(depth=[3], num_heads=[4], embed_dim=160), (21, 30), 1),  # narrow models have hardly any: their networks of offsets are too small
    "three_recursions": (dict(depth=[2], num_heads=[4]), (64, 1025), 1),
}
SAMPLES = 500

torch.set_num_threads(1)
torch.set_grad_enabled(False)


def fill(model, seed, half=False):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            noise = noise / (parameter.numel() / parameter.shape[0]) ** 0.5
        else:
            noise = noise * 0.1 + (1 if name.endswith("weight") else 0)
        parameter.copy_(noise.half().float() if half else noise)
    return model.eval()


def picture(seed, batch, height, width):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def samples(result):
    flat = result.flatten()
    return flat[torch.arange(SAMPLES) * flat.numel() // SAMPLES]


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = {}
    for i, (name, (changes, size, batch)) in enumerate(CASES.items()):
        model = fill(Upscaler(**{**TINY, **changes}), 100 + i)
        results[name] = samples(model(picture(200 + i, batch, *size)))
    small = fill(Upscaler(**SMALL), 300, half=True)
    results["authors"] = samples(small(picture(301, 1, 20, 40)))
    save_file(results, FOLDER / "results.safetensors")
    state = {name: value.half() if value.is_floating_point() else value for name, value in small.state_dict().items()}
    torch.save({"params": state}, FOLDER / "authors.pth")


if __name__ == "__main__":
    main()
