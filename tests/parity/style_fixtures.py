# Writes fixtures/pipelines/style.safetensors: StyleID on a tiny random model, float32, by the authors' two published programs:
# A = run_styleid.py with ldm/models/diffusion/ddim.py and ldm/modules/attention.py, B = diffusers_implementation (github.com/jiwoogit/StyleID).
# Needs torch==2.11.0 diffusers==0.36.0 safetensors==0.8.0 numpy.
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import seeded_models

GAMMA, TEMPERATURE = 0.75, 1.5


class Recorder:
    """Self-attention of one decoder block: keeps q, k and v, or replaces them, as ldm/modules/attention.py does."""

    def __init__(self):
        self.store, self.inject, self.seen = None, None, None

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        q, k, v = (attn.head_to_batch_dim(projection(hidden_states)) for projection in (attn.to_q, attn.to_k, attn.to_v))
        temperature = 1.0
        if self.inject is not None:
            content_query, k, v = self.inject
            q = content_query * GAMMA + q * (1.0 - GAMMA)
            temperature = TEMPERATURE
        self.seen = (q, k, v)
        scores = torch.einsum("bid,bjd->bij", q, k) * temperature * attn.scale
        hidden = attn.batch_to_head_dim(torch.einsum("bij,bjd->bid", scores.softmax(dim=-1), v))
        return attn.to_out[0](hidden)


def recorders(unet, blocks):
    processors, chosen = dict(unet.attn_processors), {}
    for i in blocks:
        chosen[i] = Recorder()
        processors[f"up_blocks.{i // 3}.attentions.{i % 3}.transformer_blocks.0.attn1.processor"] = chosen[i]
    unet.set_attn_processor(processors)
    return chosen


def adain(content, style, dims, epsilon):
    normal = (content - content.mean(dims, keepdim=True)) / (content.std(dims, keepdim=True) + epsilon)
    return normal * style.std(dims, keepdim=True) + style.mean(dims, keepdim=True)


def official(unet, embeds, content, style, steps=50, start_step=49, blocks=range(6, 12)):
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = np.cumprod(1.0 - betas.numpy(), axis=0)
    one_minus = torch.tensor(np.sqrt(1.0 - alphas), dtype=torch.float32)
    alphas = torch.tensor(alphas, dtype=torch.float32)
    chosen = recorders(unet, blocks)
    stride = 1000 // steps
    times = list(range(1, 1000, stride))[:steps]
    targets = times[1:] + [999]

    def predict(z, t):
        return unet(z, torch.tensor([t]), encoder_hidden_states=embeds).sample

    def invert(z):
        features, trajectory = {}, [z]
        for t, following in zip(times, targets):
            noise = predict(z, t)
            features[t] = {i: recorder.seen for i, recorder in chosen.items()}
            original = (z - one_minus[t] * noise) / alphas[t].sqrt()
            z = alphas[following].sqrt() * original + (1.0 - alphas[following]).sqrt() * noise
            trajectory.append(z)
        return features, trajectory

    content_features, content_path = invert(content)
    style_features, style_path = invert(style)
    x = adain(content_path[-1], style_path[-1], (0, 2, 3), 0.0)
    latents = [x]
    previous = [alphas[0]] + [alphas[t] for t in times[:-1]]
    for index in reversed(range(start_step)):
        t = times[index]
        for i, recorder in chosen.items():
            recorder.inject = (content_features[t][i][0], style_features[t][i][1], style_features[t][i][2])
        noise = predict(x, t)
        original = (x - (1.0 - alphas[t]).sqrt() * noise) / alphas[t].sqrt()
        x = previous[index].sqrt() * original + (1.0 - previous[index]).sqrt() * noise
        latents.append(x)
    return content_path, style_path, latents


def diffusers_version(unet, embeds, content, style, steps=20, blocks=range(7, 12)):
    scheduler = seeded_models.ddim()
    scheduler.set_timesteps(steps)
    alphas = scheduler.alphas_cumprod
    chosen = recorders(unet, blocks)
    times = [int(t) for t in reversed(scheduler.timesteps)]

    def predict(z, t):
        return unet(z, torch.tensor([t]), encoder_hidden_states=embeds).sample

    def invert(z):
        features, trajectory = {}, [z]
        for t in times:
            noise = predict(z, t)
            features[t] = {i: recorder.seen for i, recorder in chosen.items()}
            a, b = alphas[max(0, t - 1000 // steps)], alphas[t]
            z = (z - (1 - a).sqrt() * noise) * (b.sqrt() / a.sqrt()) + (1 - b).sqrt() * noise
            trajectory.append(z)
        return features, trajectory

    content_features, content_path = invert(content)
    style_features, style_path = invert(style)
    x = adain(content_path[-1], style_path[-1], (2, 3), 1e-4)
    latents = [x]
    for t in reversed(times):
        for i, recorder in chosen.items():
            recorder.inject = (content_features[t][i][0], style_features[t][i][1], style_features[t][i][2])
        step = scheduler.step(predict(x, t), t, x)
        x = step.prev_sample
        latents.append(x)
    return content_path, style_path, latents, step.pred_original_sample


def main():
    generator = torch.Generator().manual_seed(7)
    embeds = torch.randn(1, 77, 32, generator=generator)
    content, style = (torch.nn.functional.avg_pool2d(torch.randn(1, 4, 20, 20, generator=generator), 5, 1) * 4 for _ in range(2))
    style = style * 1.3 + 0.4
    tensors = {"prompt_embeds": embeds, "content": content, "style": style}
    vae = seeded_models.vae()

    content_path, style_path, latents = official(seeded_models.unet(), embeds, content, style)
    tensors |= {"a.content": torch.cat(content_path[::10]), "a.style": torch.cat(style_path[::10]), "a.latents": torch.cat(latents)}
    tensors["a.image"] = vae.decode(latents[-1] / vae.config.scaling_factor).sample / 2 + 0.5

    content_path, style_path, latents, original = diffusers_version(seeded_models.unet(), embeds, content, style)
    tensors |= {"b.content": torch.cat(content_path[::5]), "b.style": torch.cat(style_path[::5]), "b.latents": torch.cat(latents)}
    tensors["b.image"] = vae.decode(original / vae.config.scaling_factor).sample / 2 + 0.5

    folder = Path(__file__).parent / "fixtures" / "pipelines"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "style.safetensors")
    for name in ("a.latents", "b.latents", "a.content"):
        print(name, [round(float(x.std()), 3) for x in tensors[name]])


if __name__ == "__main__":
    main()
