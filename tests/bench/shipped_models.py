"""The shipped diffusion models in diffusers and in Attelier: the largest difference of what their networks compute.

    python tests/bench/shipped_models.py [--attelier build/release/app/attelier]

needs diffusers, transformers and safetensors. Prompts are real and noise is drawn, for a trained network amplifies the rounding of inputs that it has never seen.
"""

import argparse
import pathlib
import subprocess
import tempfile

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
PROMPTS = ["a red house by the sea", ""]


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def encode(model, second=False):
    """Prompt embedding and, of a second encoder, the pooled one."""
    suffix = "_2" if second else ""
    ids = CLIPTokenizer.from_pretrained(model, subfolder="tokenizer" + suffix)(PROMPTS, padding="max_length", max_length=77, return_tensors="pt").input_ids
    kind = CLIPTextModelWithProjection if second else CLIPTextModel
    encoder = kind.from_pretrained(model, subfolder="text_encoder" + suffix, torch_dtype=torch.float32)
    return encoder(ids, output_hidden_states=True)


def compute(attelier, model, component, inputs):
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/in.safetensors", f"{folder}/out.safetensors"]
        save_file({name: tensor.contiguous() for name, tensor in inputs.items()}, files[0])
        subprocess.run([attelier, "forward", "--model", model, "--component", component, "--inputs", files[0], "--outputs", files[1]], check=True)
        return load_file(files[1])


def difference(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attelier", default=str(ROOT / "build/release/app/attelier"))
    attelier = parser.parse_args().attelier
    text = encode(ASSETS / "mini").last_hidden_state
    latent, timestep = draw(1, 2, 8, 32, 32), torch.tensor([321.0, 321.0])

    for name in ("mini", "mini-inpaint", "mini-xl"):
        unet = UNet2DConditionModel.from_pretrained(ASSETS / name, subfolder="unet", torch_dtype=torch.float32)
        inputs = {"sample": torch.cat([latent, draw(2, 2, unet.config.in_channels - 8, 32, 32)], 1), "timestep": timestep, "encoder_hidden_states": text}
        added = None
        if unet.config.addition_embed_type:
            first, second = encode(ASSETS / name), encode(ASSETS / name, second=True)
            inputs["encoder_hidden_states"] = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], 2)
            added = {"text_embeds": second.text_embeds, "time_ids": torch.tensor([[256.0, 256, 0, 0, 256, 256]] * 2)}
        theirs = unet(inputs["sample"], timestep, inputs["encoder_hidden_states"], added_cond_kwargs=added).sample
        print(f"{name}: UNet {difference(compute(attelier, ASSETS / name, 'unet', inputs | (added or {}))['sample'], theirs):.1e}")

    for name in ("mini-controlnet-edges", "mini-controlnet-depth"):
        inputs = {"sample": latent, "timestep": timestep, "encoder_hidden_states": text, "controlnet_cond": draw(3, 2, 3, 256, 256).sigmoid()}
        down, middle = ControlNetModel.from_pretrained(ASSETS / name, torch_dtype=torch.float32)(*inputs.values(), return_dict=False)
        ours = compute(attelier, ASSETS / name, "controlnet", inputs)
        errors = [difference(ours[f"down_block_res_samples.{i}"], one) for i, one in enumerate(down)] + [difference(ours["mid_block_res_sample"], middle)]
        print(f"{name}: residuals {max(errors):.1e}")


if __name__ == "__main__":
    main()
