"""Fixtures of the trainer: losses, gradients and one step of AdamW as PyTorch, diffusers, transformers and PEFT compute them.

Needs torch 2.11.0, diffusers 0.36.0, transformers 4.57, peft 0.21 and safetensors 0.6 or newer. Run it from the repository root, after model_fixtures.py:
    python tests/parity/training_fixtures.py
It reads the tiny models of tests/parity/fixtures/models and their inputs, and writes tests/parity/fixtures/training/NAME.safetensors:
    loss       the scalar
    norms      of every parameter's gradient, in the order of the names
    gradients  [parameters, 16]: values evenly spread over each gradient (shorter ones are padded with zeros)
    stepped    [parameters, 16]: the same places of the parameters after clipping to norm 1 and one step of AdamW
and what the loss was computed from (in.*).
"""

import json
import pathlib

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import compute_snr
from peft import LoraConfig, inject_adapter_in_model
from rgt_fixtures import SMALL, Upscaler, fill, picture
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

MODELS = pathlib.Path(__file__).parent / "fixtures" / "models"
FOLDER = pathlib.Path(__file__).parent / "fixtures" / "training"
SAMPLES = 16
# A large epsilon: where a gradient is rounding noise, the step must not be its sign.
OPTIMIZER = dict(lr=1e-2, betas=(0.9, 0.99), eps=1e-4, weight_decay=0.1)


def model_of(name, kind):
    config = json.loads((MODELS / name / "config.json").read_text())
    model = CLIPTextModel(CLIPTextConfig(**config, attn_implementation="eager")) if kind is CLIPTextModel else kind.from_config(config)
    missing, unexpected = model.load_state_dict({key: value.float() for key, value in load_file(MODELS / name / "model.safetensors").items()}, strict=False)
    assert not unexpected and all(key.endswith("position_ids") for key in missing), (missing, unexpected)
    return model


def inputs_of(name, case):
    return {key[3:]: value for key, value in load_file(MODELS / name / f"{case}.safetensors").items() if key.startswith("in.")}


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spread(tensor):
    flat = tensor.detach().flatten().float()
    count = min(SAMPLES, flat.numel())
    row = torch.zeros(SAMPLES)
    row[:count] = flat[torch.tensor([i * flat.numel() // count for i in range(count)])]
    return row


def write(name, loss, parameters, inputs):
    """`parameters`: name -> tensor, named as the checkpoint names them."""
    loss.backward()
    order = sorted(parameters)
    # Parameters that the loss does not reach have none, and AdamW leaves them alone.
    gradients = [torch.zeros(1) if parameters[key].grad is None else parameters[key].grad for key in order]
    tensors = {"loss": loss.detach().reshape(1), "norms": torch.stack([gradient.norm() for gradient in gradients]), "gradients": torch.stack([spread(gradient) for gradient in gradients])}
    torch.nn.utils.clip_grad_norm_(list(parameters.values()), 1.0)
    torch.optim.AdamW(list(parameters.values()), **OPTIMIZER).step()
    tensors["stepped"] = torch.stack([spread(parameters[key]) for key in order])
    tensors |= {f"in.{key}": value.detach().contiguous().clone() for key, value in inputs.items()}
    save_file(tensors, FOLDER / f"{name}.safetensors")


def own(model):
    return dict(model.named_parameters())


def added(inputs):
    return {"added_cond_kwargs": {"text_embeds": inputs["text_embeds"], "time_ids": inputs["time_ids"]}} if "text_embeds" in inputs else {}


def unets():
    for name in ("unet_sd1", "unet_xl", "unet_inpaint"):
        model, inputs = model_of(name, UNet2DConditionModel), inputs_of(name, "even")
        target = draw(1, inputs["sample"].shape[0], 4, 8, 8)
        output = model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], **added(inputs)).sample
        write(name, (output - target).pow(2).mean(), own(model), inputs | {"target": target})


def controlnet():
    net, unet, inputs = model_of("controlnet_sd1", ControlNetModel), model_of("unet_sd1", UNet2DConditionModel), inputs_of("controlnet_sd1", "plain")
    unet.requires_grad_(False)
    target = draw(2, *inputs["sample"].shape)
    down, mid = net(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], inputs["controlnet_cond"], return_dict=False)
    output = unet(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
    write("controlnet", (output - target).pow(2).mean(), own(net), inputs | {"target": target})


def text_encoder():
    model, inputs = model_of("text_quick_gelu", CLIPTextModel), inputs_of("text_quick_gelu", "plain")
    target = draw(3, 2, 77, 16)
    write("text_encoder", (model(inputs["input_ids"]).last_hidden_state - target).pow(2).mean(), own(model), inputs | {"target": target})


def autoencoder():
    """The loss of the autoencoder's objective, with its gradient term at 0.02 and the divergence at 2e-5."""
    model = model_of("vae_4", AutoencoderKL)
    x, noise = draw(4, 2, 3, 16, 16).tanh(), draw(5, 2, 4, 4, 4)
    posterior = model.encode(x).latent_dist
    difference = model.decode(posterior.mean + posterior.std * noise).sample - x
    edges = difference.diff(dim=3).abs().mean() + difference.diff(dim=2).abs().mean()
    divergence = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
    write("vae", difference.pow(2).mean() + 0.02 * edges + 2e-5 * divergence, own(model), {"picture": x, "noise": noise})


def lora():
    model, inputs = model_of("unet_sd1", UNet2DConditionModel), inputs_of("unet_sd1", "even")
    model.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=3, lora_alpha=6, target_modules=["to_q", "to_k", "to_v", "to_out.0", "conv1", "proj_in"]), model)
    parameters, matrices = {}, {}
    for i, (name, parameter) in enumerate(sorted((n, p) for n, p in model.named_parameters() if "lora_" in n)):
        with torch.no_grad():
            parameter.copy_(draw(100 + i, *parameter.shape) * 0.2)
        # Named as core/training/lora_layers.h does.
        key = "unet." + name.replace(".lora_A.default.weight", ".down").replace(".lora_B.default.weight", ".up")
        parameters[key] = parameter
        matrices[key] = parameter.detach().clone()
    target = draw(6, *inputs["sample"].shape)
    output = model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"]).sample
    write("lora", (output - target).pow(2).mean(), parameters, inputs | {"target": target} | matrices)


def upscaler():
    """The loss of the upscaler's objective: absolute error of a picture in [0, 1]. The model is drawn from a seed again by the test."""
    model = Upscaler(**dict(SMALL, embed_dim=160, num_heads=[4]))  # wide enough for a position bias that matters
    with torch.no_grad():
        fill(model, 400)
    low, high = picture(401, 2, 19, 22), picture(402, 2, 38, 44)
    write("upscaler", (model(low) - high).abs().mean(), own(model), {"low": low, "high": high})


def losses():
    """Noisy latents, targets and min-SNR losses of both predictions."""
    clean, noise, prediction = draw(7, 4, 4, 3, 3), draw(8, 4, 4, 3, 3), draw(9, 4, 4, 3, 3)
    timesteps = torch.tensor([0, 40, 500, 999])
    tensors = {"in.clean": clean, "in.noise": noise, "in.prediction": prediction, "in.timesteps": timesteps}
    for kind in ("epsilon", "v_prediction"):
        scheduler = DDPMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind, clip_sample=False)
        target = noise if kind == "epsilon" else scheduler.get_velocity(clean, noise, timesteps)
        snr = compute_snr(scheduler, timesteps)
        weight = torch.stack([snr, 5.0 * torch.ones_like(snr)], dim=1).min(dim=1)[0] / (snr if kind == "epsilon" else snr + 1)
        loss = (torch.nn.functional.mse_loss(prediction, target, reduction="none").mean(dim=(1, 2, 3)) * weight).mean()
        tensors |= {f"{kind}.noisy": scheduler.add_noise(clean, noise, timesteps), f"{kind}.target": target.clone(), f"{kind}.loss": loss.reshape(1)}
    save_file(tensors, FOLDER / "losses.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    unets()
    controlnet()
    text_encoder()
    autoencoder()
    lora()
    upscaler()
    losses()
    print(sum(file.stat().st_size for file in FOLDER.iterdir()), "bytes")
