"""Fixtures of model layouts and LoRA: tiny random pipelines as diffusers folders and as single files, and adapters in every dialect.

Needs torch 2.11.0, diffusers 0.36.0, transformers 4.57.3, peft and safetensors. Run it from the repository root:
    python tests/parity/model_files_fixtures.py
It writes tests/parity/fixtures/model_files/ (NAME/ written by diffusers, NAME.safetensors or NAME.ckpt in the authors' naming) and
tests/parity/fixtures/lora/. The renaming below is checked against diffusers' own converters, the LoRAs against its own loading and fusing.
"""

import json
import pathlib
import re
import shutil
import tempfile

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint, convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

HERE = pathlib.Path(__file__).parent / "fixtures"
MODELS, LORAS = HERE / "model_files", HERE / "lora"
DTYPE = torch.float16


# ---- tiny pipelines ----------------------------------------------------------------------------------------------------------------------------


def unet(**options):
    settings = dict(sample_size=8, layers_per_block=2, norm_num_groups=8, attention_head_dim=8)
    return UNet2DConditionModel(**(settings | options)).to(DTYPE)


def vae(scaling_factor):
    return AutoencoderKL(
        block_out_channels=(4, 4, 8), down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1,
        latent_channels=4, norm_num_groups=4, sample_size=32, scaling_factor=scaling_factor,
    ).to(DTYPE)


def text_encoder(kind, layers, activation, width=16, **options):
    return kind(
        CLIPTextConfig(vocab_size=20, hidden_size=width, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=24, hidden_act=activation,
                       max_position_embeddings=12, eos_token_id=19, bos_token_id=18, pad_token_id=19, **options)
    ).to(DTYPE)


def tokenizer(folder):
    symbols = ["a", "b", "c", "d"]
    vocabulary = symbols + [s + "</w>" for s in symbols] + ["ab", "ab</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\na b</w>\n")
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", model_max_length=12)


SCHEDULE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


def pipelines(words):
    nothing = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    clip = text_encoder(CLIPTextModel, 2, "quick_gelu")
    sd1 = StableDiffusionPipeline(
        vae=vae(0.18215), text_encoder=clip, tokenizer=words, scheduler=PNDMScheduler(skip_prk_steps=True, **SCHEDULE), **nothing,
        unet=unet(block_out_channels=(4, 4, 4, 8), norm_num_groups=4, attention_head_dim=2, cross_attention_dim=16),
    )
    levels = dict(block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    sd2 = StableDiffusionPipeline(
        vae=vae(0.18215), text_encoder=text_encoder(CLIPTextModel, 23, "gelu", width=8), tokenizer=words, **nothing,
        scheduler=DDIMScheduler(prediction_type="epsilon", clip_sample=False, set_alpha_to_one=False, **SCHEDULE),
        unet=unet(cross_attention_dim=8, attention_head_dim=(1, 1), use_linear_projection=True, in_channels=9, **levels),
    )
    sdxl = StableDiffusionXLPipeline(
        vae=vae(0.13025), text_encoder=text_encoder(CLIPTextModel, 2, "quick_gelu"), tokenizer=words, tokenizer_2=words,
        text_encoder_2=text_encoder(CLIPTextModelWithProjection, 3, "gelu", projection_dim=24),
        scheduler=EulerDiscreteScheduler(timestep_spacing="leading", **SCHEDULE),
        unet=unet(
            block_out_channels=(4, 4, 8), norm_num_groups=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=32,
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 1, 2), use_linear_projection=True,
            attention_head_dim=(1, 1, 1), addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=24 + 24,
        ),
    )
    return {"sd1": sd1, "sd2": sd2, "sdxl": sdxl}


# ---- from diffusers' names to the authors' -----------------------------------------------------------------------------------------------------

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}


def unet_name(name, layers, with_attention):
    """`with_attention`: up blocks that have it."""
    fixed = {
        "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0",
        "conv_out": "out.2", "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2", "controlnet_mid_block": "middle_block_out.0",
        "controlnet_cond_embedding.conv_in": "input_hint_block.0", "controlnet_cond_embedding.conv_out": "input_hint_block.14",
    }
    path, _, leaf = name.rpartition(".")
    if path in fixed:
        return f"{fixed[path]}.{leaf}"
    if match := re.fullmatch(r"controlnet_cond_embedding\.blocks\.(\d+)\.(\w+)", name):
        return f"input_hint_block.{2 * int(match[1]) + 2}.{match[2]}"
    if match := re.fullmatch(r"controlnet_down_blocks\.(\d+)\.(\w+)", name):
        return f"zero_convs.{match[1]}.0.{match[2]}"
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        place = "middle_block.1" if match[1] == "attentions" else f"middle_block.{2 * int(match[2])}"
        kind, rest = match[1], match[3]
    else:
        side, block, kind, layer, rest = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name).groups()
        block, layer = int(block), int(layer)
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{leaf}"
        if kind == "upsamplers":
            return f"output_blocks.{block * (layers + 1) + layers}.{2 if with_attention[block] else 1}.conv.{leaf}"
        number = block * (layers + 1) + layer + (1 if side == "down" else 0)
        place = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}"
    if kind == "resnets":
        part, _, leaf = rest.rpartition(".")
        rest = f"{RESNET[part]}.{leaf}"
    return f"{place}.{rest}"


def original_unet(model):
    up = [block == "CrossAttnUpBlock2D" for block in model.config.get("up_block_types", [])]
    return {unet_name(name, model.config.layers_per_block, up): tensor for name, tensor in model.state_dict().items()}


def original_vae(model):
    levels = len(model.config.block_out_channels)
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    renamed = {}
    for name, tensor in model.state_dict().items():
        if match := re.match(r"(\w+)\.mid_block\.attentions\.0\.(.*)\.(\w+)", name):
            name = f"{match[1]}.mid.attn_1.{attention[match[2]]}.{match[3]}"
            if tensor.dim() == 2:
                tensor = tensor[:, :, None, None]
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
        renamed[name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")] = tensor
    return renamed


def open_clip(model):
    tensors = model.state_dict()
    renamed = {
        "token_embedding.weight": tensors["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": tensors["text_model.embeddings.position_embedding.weight"],
        "logit_scale": torch.tensor(4.6),
    }
    for leaf in ("weight", "bias"):
        renamed[f"ln_final.{leaf}"] = tensors[f"text_model.final_layer_norm.{leaf}"]
        for i in range(model.config.num_hidden_layers):
            old, new = f"text_model.encoder.layers.{i}.", f"transformer.resblocks.{i}."
            renamed[f"{new}attn.in_proj_{leaf}"] = torch.cat([tensors[f"{old}self_attn.{p}_proj.{leaf}"] for p in "qkv"])
            for a, b in {"attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}.items():
                renamed[f"{new}{a}.{leaf}"] = tensors[f"{old}{b}.{leaf}"]
    if "text_projection.weight" in tensors:
        renamed["text_projection"] = tensors["text_projection.weight"].T.contiguous()
    return renamed


def single_file(name, pipeline):
    def below(prefix, tensors):
        return {prefix + key: tensor.contiguous() for key, tensor in tensors.items()}

    file = below("model.diffusion_model.", original_unet(pipeline.unet)) | below("first_stage_model.", original_vae(pipeline.vae))
    file["alphas_cumprod"] = pipeline.scheduler.alphas_cumprod
    file["model_ema.decay"] = torch.tensor(0.999)
    if name == "sd1":
        positions = {"text_model.embeddings.position_ids": torch.arange(12)[None]}
        file |= below("cond_stage_model.transformer.", pipeline.text_encoder.state_dict() | positions)
    elif name == "sd2":
        text = open_clip(pipeline.text_encoder)
        unused = {key.replace(".22.", ".23."): torch.zeros_like(tensor) for key, tensor in text.items() if ".resblocks.22." in key}
        file |= below("cond_stage_model.model.", text | unused | {"text_projection": torch.zeros(8, 8, dtype=DTYPE)})
    else:
        file |= below("conditioner.embedders.0.transformer.", pipeline.text_encoder.state_dict())
        file |= below("conditioner.embedders.1.model.", open_clip(pipeline.text_encoder_2))
    return file


def same(converted, model):
    expected = model.state_dict()
    assert converted.keys() == expected.keys(), set(converted) ^ set(expected)
    for name, tensor in expected.items():
        assert torch.equal(converted[name].reshape(tensor.shape), tensor), name


def write_models(words):
    made = pipelines(words)
    for name, pipeline in made.items():
        pipeline.save_pretrained(MODELS / name)
        file = single_file(name, pipeline)
        same(convert_ldm_unet_checkpoint(dict(file), pipeline.unet.config), pipeline.unet)
        same(convert_ldm_vae_checkpoint(dict(file), pipeline.vae.config), pipeline.vae)
        if name == "sd2":
            torch.save({"state_dict": file, "global_step": 875000}, MODELS / f"{name}.ckpt")
        else:
            save_file(file, MODELS / f"{name}.safetensors")
    controlnet = ControlNetModel(
        block_out_channels=(8, 8), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), layers_per_block=2, norm_num_groups=8, attention_head_dim=8,
        cross_attention_dim=16, conditioning_embedding_out_channels=(4, 4, 6, 8),
    ).to(DTYPE)
    controlnet.save_pretrained(MODELS / "controlnet")
    file = {f"control_model.{name}": tensor for name, tensor in original_unet(controlnet).items()}
    same(convert_controlnet_checkpoint(dict(file), controlnet.config), controlnet)
    save_file(file, MODELS / "controlnet.safetensors")
    return made


# ---- LoRA ---------------------------------------------------------------------------------------------------------------------------------------

RANK, ALPHA, WEIGHT = 3, 1.5, 0.7


def matrices(model, layers, generator):
    made = {}
    for layer in layers:
        shape = model.get_submodule(layer).weight.shape
        tail = shape[2:] if len(shape) == 4 else ()
        up = (shape[0], RANK, 1, 1) if len(shape) == 4 else (shape[0], RANK)
        made[layer] = (torch.randn((RANK, shape[1], *tail), generator=generator) * 0.1, torch.randn(up, generator=generator) * 0.1)
    return made


def merged(prefix, model, layers, scale):
    """W + weight * scale * up @ down in float32."""
    return {
        f"{prefix}.{layer}.weight": model.get_submodule(layer).weight.float() + WEIGHT * scale * (up.flatten(1) @ down.flatten(1)).reshape(model.get_submodule(layer).weight.shape)
        for layer, (down, up) in layers.items()
    }


def fused_by_diffusers(pipeline_folder, kind, file, expected):
    pipeline = kind.from_pretrained(pipeline_folder, safety_checker=None) if kind is StableDiffusionPipeline else kind.from_pretrained(pipeline_folder)
    pipeline = pipeline.to(torch.float32)
    pipeline.load_lora_weights(file)
    pipeline.fuse_lora(lora_scale=WEIGHT)
    pipeline.unload_lora_weights()
    for name, tensor in expected.items():
        component, _, path = name.partition(".")
        error = (getattr(pipeline, component).state_dict()[path] - tensor).abs().max().item()
        assert error < 1e-6, (file.name, name, error)
    print(f"{file.name}: diffusers agrees on {len(expected)} layers")


def write_loras(made):
    generator = torch.Generator().manual_seed(5)
    sd1, sdxl = made["sd1"], made["sdxl"]
    site = "up_blocks.1.attentions.1.transformer_blocks.0"
    attention = [f"{site}.attn1.to_q", f"{site}.attn1.to_out.0", f"{site}.attn2.to_k", "mid_block.attentions.0.transformer_blocks.0.attn2.to_v"]
    others = [f"{site}.ff.net.0.proj", f"{site}.ff.net.2", "down_blocks.0.attentions.0.proj_in", "mid_block.resnets.0.conv1", "down_blocks.3.resnets.0.conv_shortcut",
              "down_blocks.1.downsamplers.0.conv", "up_blocks.2.upsamplers.0.conv", "up_blocks.3.resnets.2.time_emb_proj"]
    text = [f"text_model.encoder.layers.{i}.self_attn.{p}_proj" for i in (0, 1) for p in ("q", "out")]
    unet_a, unet_o = matrices(sd1.unet, attention, generator), matrices(sd1.unet, others, generator)
    text_a, text_o = matrices(sd1.text_encoder, text, generator), matrices(sd1.text_encoder, ["text_model.encoder.layers.1.mlp.fc1"], generator)
    scale = ALPHA / RANK
    plain = merged("unet", sd1.unet, unet_a, 1) | merged("text_encoder", sd1.text_encoder, text_a, 1)
    scaled = merged("unet", sd1.unet, unet_a, scale) | merged("text_encoder", sd1.text_encoder, text_a, scale)
    full = merged("unet", sd1.unet, unet_a | unet_o, scale) | merged("text_encoder", sd1.text_encoder, text_a | text_o, scale)

    def write(name, tensors, expected, metadata=None, fused=None):
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, LORAS / f"{name}.safetensors", metadata=metadata)
        save_file({key: tensor.contiguous() for key, tensor in expected.items()}, LORAS / f"{name}.merged.safetensors")
        if fused:
            fused_by_diffusers(MODELS / ("sdxl" if fused is StableDiffusionXLPipeline else "sd1"), fused, LORAS / f"{name}.safetensors", expected)

    def kohya(prefix, layers, spell=lambda layer: layer):
        out = {}
        for layer, (down, up) in layers.items():
            key = prefix + spell(layer).replace(".", "_")
            out |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(ALPHA)}
        return out

    write("kohya", kohya("lora_unet_", unet_a | unet_o) | kohya("lora_te_", text_a | text_o), full, fused=StableDiffusionPipeline)

    modern, peft, old = {}, {}, {}
    for component, layers in (("unet", unet_a), ("text_encoder", text_a)):
        for layer, (down, up) in layers.items():
            middle = "lora" if component == "unet" else "lora_linear_layer"
            modern |= {f"{component}.{layer}.{middle}.down.weight": down, f"{component}.{layer}.{middle}.up.weight": up}
            peft |= {f"{component}.{layer}.lora_A.weight": down, f"{component}.{layer}.lora_B.weight": up}
            spelled = re.sub(r"\.(q|k|v|out)_proj$", r".to_\1", layer).replace("to_out.0", "to_out")
            spelled = re.sub(r"\.(to_\w+)$", r".processor.\1_lora" if component == "unet" else r".\1_lora", spelled)
            old |= {f"{component}.{spelled}.down.weight": down, f"{component}.{spelled}.up.weight": up}
    write("diffusers", modern, plain, fused=StableDiffusionPipeline)
    write("diffusers_old", old, plain)
    targets = {"unet": sorted({layer.rpartition("attn")[2].partition(".")[2] for layer in unet_a}), "text_encoder": ["q_proj", "out_proj"]}
    adapter = {}
    for component, modules in targets.items():
        adapter |= {f"{component}.r": RANK, f"{component}.lora_alpha": ALPHA, f"{component}.target_modules": modules,
                    f"{component}.rank_pattern": {}, f"{component}.alpha_pattern": {}}
    write("peft", peft, scaled, {"format": "pt", "lora_adapter_metadata": json.dumps(adapter)}, StableDiffusionPipeline)

    xl_layers = ["down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "down_blocks.2.attentions.1.transformer_blocks.1.ff.net.2", "mid_block.attentions.0.proj_out",
                 "up_blocks.0.attentions.2.transformer_blocks.1.attn2.to_out.0", "up_blocks.1.attentions.0.proj_in"]
    xl = matrices(sdxl.unet, xl_layers, generator)
    te1 = matrices(sdxl.text_encoder, ["text_model.encoder.layers.1.self_attn.out_proj"], generator)
    te2 = matrices(sdxl.text_encoder_2, ["text_model.encoder.layers.2.mlp.fc2"], generator)
    expected = merged("unet", sdxl.unet, xl, scale) | merged("text_encoder", sdxl.text_encoder, te1, scale) | merged("text_encoder_2", sdxl.text_encoder_2, te2, scale)
    spell = lambda layer: unet_name(layer + ".weight", 2, [True, True, False]).removesuffix(".weight")
    write("kohya_xl", kohya("lora_unet_", xl, spell) | kohya("lora_te1_", te1) | kohya("lora_te2_", te2), expected, fused=StableDiffusionXLPipeline)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for folder in (MODELS, LORAS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        made = write_models(tokenizer(pathlib.Path(folder)))
    write_loras(made)
    for file in [*MODELS.rglob("*"), *LORAS.rglob("*")]:
        if file.is_file():
            file.chmod(0o644)
    print(sum(f.stat().st_size for f in [*MODELS.rglob("*"), *LORAS.rglob("*")] if f.is_file()), "bytes")


if __name__ == "__main__":
    main()
