"""Full-size models with random weights: `attelier forward` against diffusers and transformers, one component at a time, in float32.

Needs torch 2.11.0, diffusers 0.36.0, transformers 4.57 and safetensors 0.6 or newer. Run it from the repository root after building:
    python tests/parity/full_size.py [--program build/release/app/attelier] [--folder DIR] [NAME ...]
Names: clip_l open_clip_h open_clip_g vae_sd1 vae_xl unet_sd1 unet_inpaint unet_sd2 unet_xl controlnet_sd1 controlnet_xl. Without names it runs all that fit the
free memory. A model lies on the disk in float16, exactly representable, and is removed after its turn; ours and theirs are loaded one after the other.
Prints the largest difference of each output relative to its largest value; fails above 1e-4.
"""

import argparse
import gc
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UP_CROSS, UP_PLAIN = "CrossAttnUpBlock2D", "UpBlock2D"
SD1 = dict(sample_size=64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8, layers_per_block=2,
           down_block_types=(CROSS, CROSS, CROSS, PLAIN), up_block_types=(UP_PLAIN, UP_CROSS, UP_CROSS, UP_CROSS))
SD2 = SD1 | dict(sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True)
XL = dict(sample_size=128, block_out_channels=(320, 640, 1280), cross_attention_dim=2048, attention_head_dim=(5, 10, 20), layers_per_block=2, use_linear_projection=True,
          transformer_layers_per_block=(1, 2, 10), addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
          down_block_types=(PLAIN, CROSS, CROSS), up_block_types=(UP_CROSS, UP_CROSS, UP_PLAIN))
VAE = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, sample_size=512)


def without(config, *names):
    return {key: value for key, value in config.items() if key not in names}


def text_config(width, layers, heads, intermediate, activation, projection):
    return CLIPTextConfig(vocab_size=49408, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=intermediate, hidden_act=activation,
                          projection_dim=projection, max_position_embeddings=77, eos_token_id=2, bos_token_id=0)


# Name: how to make it, and the gigabytes of its weights in float32.
MODELS = {
    "clip_l": (lambda: CLIPTextModel(text_config(768, 12, 12, 3072, "quick_gelu", 768)), 0.5),
    "open_clip_h": (lambda: CLIPTextModel(text_config(1024, 23, 16, 4096, "gelu", 512)), 1.4),
    "open_clip_g": (lambda: CLIPTextModelWithProjection(text_config(1280, 32, 20, 5120, "gelu", 1280)), 2.8),
    "vae_sd1": (lambda: AutoencoderKL(**VAE, latent_channels=4, scaling_factor=0.18215), 0.4),
    "vae_xl": (lambda: AutoencoderKL(**VAE | dict(sample_size=1024), latent_channels=4, scaling_factor=0.13025), 0.4),
    "unet_sd1": (lambda: UNet2DConditionModel(**SD1), 3.5),
    "unet_inpaint": (lambda: UNet2DConditionModel(**SD1, in_channels=9), 3.5),
    "unet_sd2": (lambda: UNet2DConditionModel(**SD2), 3.5),
    "unet_xl": (lambda: UNet2DConditionModel(**XL), 10.3),
    "controlnet_sd1": (lambda: ControlNetModel(**without(SD1, "sample_size", "up_block_types")), 1.5),
    "controlnet_xl": (lambda: ControlNetModel(**without(XL, "sample_size", "up_block_types")), 5.0),
}


def randomise(model, seed):
    """Norms near 1, biases near 0, weights by their fan in, so that activations keep their size; every value is exact in float16."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.empty_like(parameter.data).normal_(generator=generator)
        if parameter.dim() > 1:
            noise.mul_(0.02 if name.endswith("embedding.weight") else parameter[0].numel() ** -0.5)
        else:
            noise.mul_(0.05).add_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        parameter.data.copy_(noise.half())
    return model.eval()


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cases(name, model):
    """(component, inputs) pairs for a model."""
    if "clip" in name:
        ids = torch.randint(1000, 40000, (2, 77), generator=torch.Generator().manual_seed(3))
        ids[:, 0] = 49406
        ids[0, 20:] = 49407
        ids[1, 76] = 49407
        return [("text_encoder_2" if name == "open_clip_g" else "text_encoder", {"input_ids": ids})]
    if name.startswith("vae"):
        return [("vae_encoder", {"sample": draw(4, 1, 3, 256, 192).tanh()}), ("vae_decoder", {"latent": draw(5, 1, 4, 32, 24)})]
    channels, context = model.config.in_channels, model.config.cross_attention_dim
    inputs = {"sample": draw(6, 2, channels, 32, 24), "timestep": torch.tensor([601]), "encoder_hidden_states": draw(7, 2, 77, context)}
    if "xl" in name:
        inputs |= {"text_embeds": draw(8, 2, 1280), "time_ids": torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]]).repeat(2, 1)}
    if name.startswith("unet"):
        return [("unet", inputs)]
    return [("controlnet", inputs | {"controlnet_cond": draw(9, 2, 3, 256, 192).sigmoid(), "conditioning_scale": torch.tensor([0.8])})]


def reference(component, model, inputs):
    if component.startswith("text_encoder"):
        result = model(**inputs, output_hidden_states=True)
        outputs = {"last_hidden_state": result.last_hidden_state} | {f"hidden_states.{i}": value for i, value in enumerate(result.hidden_states)}
        return outputs | ({"text_embeds": result.text_embeds} if component == "text_encoder_2" else {"pooler_output": result.pooler_output})
    if component == "vae_encoder":
        posterior = model.encode(inputs["sample"]).latent_dist
        return {"mean": posterior.mean, "logvar": posterior.logvar}
    if component == "vae_decoder":
        return {"sample": model.decode(inputs["latent"]).sample}
    added = {"text_embeds": inputs["text_embeds"], "time_ids": inputs["time_ids"]} if "text_embeds" in inputs else None
    if component == "unet":
        return {"sample": model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], added_cond_kwargs=added).sample}
    down, mid = model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], inputs["controlnet_cond"], 0.8, added_cond_kwargs=added, return_dict=False)
    return {f"down_block_res_samples.{i}": value for i, value in enumerate(down)} | {"mid_block_res_sample": mid}


def run(name, program, folder):
    make, _ = MODELS[name]
    model = randomise(make(), 1)
    home = folder / name
    home.mkdir(parents=True)
    config = model.config.to_dict() if hasattr(model.config, "to_dict") else dict(model.config)
    config = {key: value for key, value in config.items() if not key.startswith("_") or key == "_class_name"}
    config["architectures" if "clip" in name else "_class_name"] = [type(model).__name__] if "clip" in name else type(model).__name__
    (home / "config.json").write_text(json.dumps(config, default=str))
    expected = []
    for component, inputs in cases(name, model):
        save_file(inputs, home / f"{component}.in.safetensors")
        start = time.time()
        outputs = {key: value.contiguous().clone() for key, value in reference(component, model, inputs).items()}
        expected.append((component, outputs, time.time() - start))
    save_file({key: value.half().contiguous() for key, value in model.state_dict().items() if not key.endswith("position_ids")}, home / "model.safetensors")
    del model
    gc.collect()
    worst = 0.0
    for component, outputs, theirs in expected:
        result = home / f"{component}.out.safetensors"
        start = time.time()
        subprocess.run([program, "forward", "--model", home, "--component", component, "--inputs", home / f"{component}.in.safetensors", "--outputs", result], check=True)
        ours, actual = time.time() - start, load_file(result)
        assert sorted(actual) == sorted(outputs), (sorted(actual), sorted(outputs))
        errors = {key: ((actual[key] - value).abs().max() / value.abs().max()).item() for key, value in outputs.items()}
        key = max(errors, key=errors.get)
        worst = max(worst, errors[key])
        print(f"{name:15} {component:15} {errors[key]:9.2e}  (worst of {len(errors)}: {key}; theirs {theirs:.1f} s without, ours {ours:.1f} s with loading)", flush=True)
    shutil.rmtree(home)
    return worst


def free_gigabytes():
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 1e6
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/app/attelier")
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    failed = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in arguments.names or MODELS:
            if MODELS[name][1] * 1.7 + 1 > free_gigabytes():
                print(f"{name:15} skipped: {free_gigabytes():.0f} GB are free")
                continue
            if run(name, arguments.program, pathlib.Path(folder)) > 1e-4:
                failed.append(name)
    if failed:
        sys.exit(f"above 1e-4: {', '.join(failed)}")


if __name__ == "__main__":
    main()
