# Writes fixtures/pipelines/generate.safetensors and the pictures beside it: the Stable Diffusion pipelines of diffusers on tiny random models, float32.
# Needs torch==2.11.0 diffusers==0.36.0 safetensors==0.8.0 numpy pillow.
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image
from safetensors.torch import save_file

import seeded_models

FOLDER = Path(__file__).parent / "fixtures" / "pipelines"
SIZE = 128


def pipeline(kind, unet, vae, scheduler=None, **more):
    parts = dict(vae=vae, text_encoder=None, tokenizer=None, unet=unet, scheduler=scheduler or seeded_models.ddim(), **more)
    if "XL" in kind.__name__:
        parts |= dict(text_encoder_2=None, tokenizer_2=None, add_watermarker=False)
    else:
        parts |= dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe = kind(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeded(*seeds):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return generators if len(seeds) > 1 else generators[0]


def pictures():
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    channels = [np.sin(7 * x + 3 * y), np.cos(5 * y * y + 2 * x), np.sin(9 * (x - 0.4) ** 2 + 4 * y)]
    picture = Image.fromarray(np.uint8(np.round(127.5 + 120 * np.stack(channels, -1))))
    mask = Image.fromarray(np.uint8(255 * (((x - 0.55) ** 2 + (y - 0.4) ** 2) < 0.05)))
    control = Image.fromarray(np.uint8(np.stack([255 * ((8 * x).astype(int) % 2), 255 * ((8 * y).astype(int) % 2), 255 * (x > y)], -1)))
    return picture, mask, control


def main():
    diffusers.utils.logging.set_verbosity_error()
    generator = torch.Generator().manual_seed(9)
    embeds, negative = (torch.randn(1, 77, 32, generator=generator) for _ in range(2))
    xl_embeds, xl_negative = (torch.randn(1, 77, 64, generator=generator) for _ in range(2))
    pooled, negative_pooled = (torch.randn(1, 32, generator=generator) for _ in range(2))
    tensors = {
        "prompt_embeds": embeds, "negative_prompt_embeds": negative, "xl.prompt_embeds": xl_embeds, "xl.negative_prompt_embeds": xl_negative,
        "xl.pooled_prompt_embeds": pooled, "xl.negative_pooled_prompt_embeds": negative_pooled,
    }
    picture, mask, control = pictures()
    for name, image in (("picture", picture), ("mask", mask), ("control", control)):
        image.save(FOLDER / f"{name}.png")

    unet, vae, net = seeded_models.unet(), seeded_models.vae(), seeded_models.controlnet()
    prompts = dict(prompt_embeds=embeds, negative_prompt_embeds=negative, num_inference_steps=10, output_type="latent")
    sized = dict(height=SIZE, width=SIZE)

    def keep(name, result):
        tensors[name] = result.images if torch.is_tensor(result.images) else torch.from_numpy(np.asarray(result.images))
        print(name, tuple(tensors[name].shape), round(float(tensors[name].float().std()), 3))

    text = pipeline(StableDiffusionPipeline, unet, vae)
    keep("text", text(**prompts, **sized, guidance_scale=7.5, generator=seeded(11)))
    keep("text.image", text(**(prompts | {"output_type": "pt"}), **sized, guidance_scale=7.5, generator=seeded(11)))
    keep("text.unguided", text(**prompts, **sized, guidance_scale=1.0, generator=seeded(11)))
    keep("text.rescaled", text(**prompts, **sized, guidance_scale=5.0, guidance_rescale=0.7, eta=0.6, generator=seeded(12)))
    keep("text.batch", text(**prompts, height=96, width=SIZE, guidance_scale=4.0, eta=1.0, num_images_per_prompt=2, generator=seeded(21, 22)))
    for name, kind, options in (
        ("euler_a", EulerAncestralDiscreteScheduler, {}), ("dpmpp_2m_karras", DPMSolverMultistepScheduler, {"use_karras_sigmas": True})):
        other = pipeline(StableDiffusionPipeline, unet, vae, kind.from_config(seeded_models.ddim().config, **options))
        keep(f"text.{name}", other(**prompts, **sized, guidance_scale=3.0, generator=seeded(13)))

    image = pipeline(StableDiffusionImg2ImgPipeline, unet, vae)
    keep("image", image(**prompts, image=picture, strength=0.6, guidance_scale=3.0, generator=seeded(14)))
    keep("image.full", image(**prompts, image=picture, strength=1.0, guidance_scale=3.0, eta=0.3, generator=seeded(15)))

    inpaint = pipeline(StableDiffusionInpaintPipeline, unet, vae)
    masked = dict(image=picture, mask_image=mask, **sized)
    keep("inpaint", inpaint(**prompts, **masked, strength=1.0, guidance_scale=3.0, generator=seeded(16)))
    keep("inpaint.partial", inpaint(**prompts, **masked, strength=0.7, guidance_scale=3.0, generator=seeded(17)))
    crop = dict(image=picture, mask_image=mask, padding_mask_crop=8, **sized)
    result = inpaint(**(prompts | {"output_type": "pil"}), **crop, strength=1.0, guidance_scale=2.0, generator=seeded(18))
    result.images[0].save(FOLDER / "inpaint_crop.png")
    nine = pipeline(StableDiffusionInpaintPipeline, seeded_models.unet(4, in_channels=9), vae)
    keep("inpaint.nine", nine(**prompts, **masked, strength=1.0, guidance_scale=3.0, generator=seeded(19)))
    keep("inpaint.nine.partial", nine(**prompts, **masked, strength=0.5, guidance_scale=3.0, generator=seeded(20)))

    controlled = pipeline(StableDiffusionControlNetPipeline, unet, vae, controlnet=net)
    common = dict(image=control, guidance_scale=3.0, **sized)
    keep("control", controlled(**prompts, **common, controlnet_conditioning_scale=0.8, control_guidance_end=0.7, generator=seeded(31)))
    keep("control.guess", controlled(**prompts, **common, controlnet_conditioning_scale=0.5, guess_mode=True, generator=seeded(32)))
    two = pipeline(StableDiffusionControlNetPipeline, unet, vae, controlnet=[net, seeded_models.controlnet(6)])
    keep("control.two", two(**prompts, image=[control, picture], guidance_scale=3.0, **sized, controlnet_conditioning_scale=[0.5, 0.3],
                            control_guidance_start=[0.0, 0.4], generator=seeded(33)))

    xl_prompts = dict(prompt_embeds=xl_embeds, negative_prompt_embeds=xl_negative, pooled_prompt_embeds=pooled,
                      negative_pooled_prompt_embeds=negative_pooled, num_inference_steps=10, output_type="latent")
    xl_scheduler = EulerDiscreteScheduler(**{k: v for k, v in seeded_models.SCHEDULER.items() if k in ("beta_start", "beta_end", "beta_schedule", "steps_offset")},
                                          timestep_spacing="leading")
    xl = pipeline(StableDiffusionXLPipeline, seeded_models.xl_unet(), vae, xl_scheduler)
    keep("xl", xl(**xl_prompts, height=SIZE, width=96, guidance_scale=3.0, generator=seeded(41)))
    xl_image = pipeline(StableDiffusionXLImg2ImgPipeline, seeded_models.xl_unet(), vae, xl_scheduler)
    keep("xl.image", xl_image(**xl_prompts, image=picture, strength=0.5, guidance_scale=3.0, generator=seeded(42)))

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FOLDER / "generate.safetensors")


if __name__ == "__main__":
    main()
