"""Fixtures of the models: tiny random UNets, ControlNets, text encoders and autoencoders with what diffusers and transformers compute from them.

Needs torch 2.11.0, diffusers 0.36.0, transformers 4.57 and safetensors 0.6 or newer. Run it from the repository root:
    python tests/parity/model_fixtures.py
It writes tests/parity/fixtures/models/NAME/: config.json and the weights as the libraries save them (float16 values, so that reading them into
float32 is exact), and one CASE.safetensors per case with the inputs as in.* and the float32 results as out.*.
"""

import json
import pathlib
import shutil

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "models"


def randomise(model, seed):
    """Every parameter gets a value that matters: also norms, biases and the zero convolutions of a ControlNet."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                value = noise if "embedding" in name and "linear" not in name else noise / parameter[0].numel() ** 0.5
            elif "norm" in name and name.endswith("weight"):
                value = 1 + 0.2 * noise
            else:
                value = 0.1 * noise
            parameter.copy_(value.half().float())
    return model.eval()


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def save(name, model, config=None):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in (config or dict(model.config, _class_name=type(model).__name__)).items() if not key.startswith("_") or key == "_class_name"}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    tensors = {key: value.half().contiguous() for key, value in model.state_dict().items() if not key.endswith("position_ids")}
    save_file(tensors, folder / "model.safetensors")


def case(name, title, inputs, outputs):
    tensors = {f"in.{key}": value.contiguous().clone() for key, value in inputs.items()}
    tensors |= {f"out.{key}": value.detach().float().contiguous().clone() for key, value in outputs.items()}
    save_file(tensors, FOLDER / name / f"{title}.safetensors")


UNET = dict(
    sample_size=8, block_out_channels=(8, 16, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=12, attention_head_dim=2,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"))
XL = dict(
    sample_size=8, block_out_channels=(8, 16), layers_per_block=2, norm_num_groups=4, cross_attention_dim=12, attention_head_dim=(1, 2),
    transformer_layers_per_block=(1, 2), use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
    projection_class_embeddings_input_dim=34, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"))


def unet_inputs(seed, batch, channels, height, width, timestep):
    return {"sample": draw(seed, batch, channels, height, width), "timestep": torch.tensor(timestep), "encoder_hidden_states": draw(seed + 1, batch, 7, 12)}


def added(seed, batch):
    sizes = torch.tensor([[1024.0, 768, 0, 16, 1024, 1024]]).repeat(batch, 1) + torch.arange(batch)[:, None]
    return {"text_embeds": draw(seed, batch, 10), "time_ids": sizes}


def run_unet(model, inputs):
    keywords = dict(encoder_hidden_states=inputs["encoder_hidden_states"], return_dict=False)
    if "text_embeds" in inputs:
        keywords["added_cond_kwargs"] = {"text_embeds": inputs["text_embeds"], "time_ids": inputs["time_ids"]}
    if "guidance_embedding" in inputs:
        keywords["timestep_cond"] = inputs["guidance_embedding"]
    down = [inputs[f"down_block_additional_residuals.{i}"] for i in range(20) if f"down_block_additional_residuals.{i}" in inputs]
    if down:
        keywords |= dict(down_block_additional_residuals=down, mid_block_additional_residual=inputs["mid_block_additional_residual"])
    return {"sample": model(inputs["sample"], inputs["timestep"], **keywords)[0]}


def unets():
    sd1 = randomise(UNet2DConditionModel(**UNET), 1)
    save("unet_sd1", sd1)
    for title, inputs in (("even", unet_inputs(10, 2, 4, 8, 8, [981])), ("odd_size_rows", unet_inputs(20, 2, 4, 13, 11, [981, 7])),
                          ("float_timestep", unet_inputs(30, 1, 4, 8, 12, [946.4211]))):
        case("unet_sd1", title, inputs, run_unet(sd1, inputs))
    inputs = unet_inputs(40, 1, 4, 8, 8, [500])
    with torch.no_grad():
        channels = [8, 8, 8, 16, 16, 16]
        sides = [8, 8, 4, 4, 2, 2]
        for i, (c, side) in enumerate(zip(channels, sides)):
            inputs[f"down_block_additional_residuals.{i}"] = draw(50 + i, 1, c, side, side)
        inputs["mid_block_additional_residual"] = draw(60, 1, 16, 2, 2)
    case("unet_sd1", "residuals", inputs, run_unet(sd1, inputs))

    sd2 = randomise(UNet2DConditionModel(**UNET | dict(use_linear_projection=True, attention_head_dim=(1, 2, 4))), 2)
    save("unet_sd2", sd2)
    inputs = unet_inputs(70, 2, 4, 8, 8, [321])
    case("unet_sd2", "even", inputs, run_unet(sd2, inputs))

    xl = randomise(UNet2DConditionModel(**XL | dict(up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))), 3)
    save("unet_xl", xl)
    for title, size in (("even", (8, 8)), ("odd_size", (7, 9))):
        inputs = unet_inputs(80, 2, 4, *size, [999]) | added(82, 2)
        case("unet_xl", title, inputs, run_unet(xl, inputs))

    inpaint = randomise(UNet2DConditionModel(**UNET | dict(in_channels=9, time_cond_proj_dim=6)), 4)
    save("unet_inpaint", inpaint)
    inputs = unet_inputs(90, 1, 9, 8, 8, [41])
    case("unet_inpaint", "even", inputs, run_unet(inpaint, inputs))
    inputs["guidance_embedding"] = draw(93, 1, 6)
    case("unet_inpaint", "guidance_embedding", inputs, run_unet(inpaint, inputs))


def controlnets():
    shared = dict(conditioning_embedding_out_channels=(4, 6, 8, 8))
    plain = {key: value for key, value in UNET.items() if key not in ("up_block_types", "sample_size")}
    sd1 = randomise(ControlNetModel(**plain, **shared), 5)
    large = {key: value for key, value in XL.items() if key not in ("up_block_types", "sample_size")}
    xl = randomise(ControlNetModel(**large, **shared, controlnet_conditioning_channel_order="bgr"), 6)
    for name, model in (("controlnet_sd1", sd1), ("controlnet_xl", xl)):
        save(name, model)
        inputs = unet_inputs(100, 2, 4, 8, 4, [333])
        keywords = {}
        if model is xl:
            inputs |= added(102, 2)
            keywords["added_cond_kwargs"] = {"text_embeds": inputs["text_embeds"], "time_ids": inputs["time_ids"]}
        inputs["controlnet_cond"] = torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(103))
        inputs["conditioning_scale"] = torch.tensor([0.7])
        for title, guess in (("plain", False), ("guess", True)):
            down, mid = model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], inputs["controlnet_cond"], conditioning_scale=0.7,
                              guess_mode=guess, return_dict=False, **keywords)
            outputs = {f"down_block_res_samples.{i}": value for i, value in enumerate(down)} | {"mid_block_res_sample": mid}
            case(name, title, inputs, outputs)


def text_encoders():
    shared = dict(vocab_size=100, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=77, attn_implementation="eager")
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(1, 98, (2, 77), generator=generator)
    ids[:, 0] = 98
    ids[0, 9:] = 99
    ids[1, 30:] = 99
    mask = torch.ones(2, 77, dtype=torch.int64)
    mask[0, 12:] = 0
    mask[1, 40:] = 0
    models = {
        "text_quick_gelu": CLIPTextModel(CLIPTextConfig(**shared, hidden_act="quick_gelu", eos_token_id=2)),
        "text_gelu_projection": CLIPTextModelWithProjection(CLIPTextConfig(**shared, hidden_act="gelu", projection_dim=10, eos_token_id=99)),
    }
    for i, (name, model) in enumerate(models.items()):
        randomise(model, 8 + i)
        config = {key: value for key, value in model.config.to_dict().items() if value is not None}
        config["architectures"] = [type(model).__name__]
        save(name, model, config)
        for title, inputs in (("plain", {"input_ids": ids}), ("short", {"input_ids": ids[:1, :12]}), ("masked", {"input_ids": ids, "attention_mask": mask})):
            result = model(**inputs, output_hidden_states=True)
            outputs = {"last_hidden_state": result.last_hidden_state}
            outputs |= {f"hidden_states.{k}": value for k, value in enumerate(result.hidden_states)}
            if "projection" in name:
                outputs["text_embeds"] = result.text_embeds
            else:
                outputs["pooler_output"] = result.pooler_output
            case(name, title, inputs, outputs)


def autoencoders():
    shared = dict(down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(8, 16, 16), norm_num_groups=4, sample_size=16)
    models = {
        "vae_4": AutoencoderKL(**shared, latent_channels=4, layers_per_block=2, scaling_factor=0.18215),
        "vae_8": AutoencoderKL(**shared, latent_channels=8, layers_per_block=1, mid_block_add_attention=False, use_quant_conv=False, use_post_quant_conv=False),
    }
    for i, (name, model) in enumerate(models.items()):
        randomise(model, 20 + i)
        save(name, model)
        channels = model.config.latent_channels
        picture, latent = draw(110, 2, 3, 16, 24).tanh(), draw(111, 2, channels, 4, 6)
        wide_picture, wide_latent = draw(112, 1, 3, 40, 28).tanh(), draw(113, 1, channels, 10, 7)

        def encode(title, x):
            posterior = model.encode(x).latent_dist
            case(name, title, {"sample": x}, {"mean": posterior.mean, "logvar": posterior.logvar})

        encode("encode", picture)
        case(name, "decode", {"latent": latent}, {"sample": model.decode(latent).sample})
        encode("encode_wide", wide_picture)
        model.enable_tiling()
        encode("encode_tiled", wide_picture)
        case(name, "decode_tiled", {"latent": wide_latent}, {"sample": model.decode(wide_latent).sample})


if __name__ == "__main__":
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with torch.no_grad():
        unets()
        controlnets()
        text_encoders()
        autoencoders()
    print(sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()), "bytes")
