# Tiny random models that the tests in C++ build again from the same seeds, so that fixtures hold results and no weights.
# Needs torch==2.11.0 diffusers==0.36.0.
import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel

torch.set_num_threads(1)
torch.set_grad_enabled(False)

# The structure of Stable Diffusion 1.5 (four levels, two layers, eight heads, the same 16 self-attentions), narrow.
UNET = {
    "sample_size": 16, "in_channels": 4, "out_channels": 4, "block_out_channels": [32, 64, 64, 64], "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "attention_head_dim": 8, "cross_attention_dim": 32, "norm_num_groups": 32,
}
XL_UNET = {
    "sample_size": 16, "in_channels": 4, "out_channels": 4, "block_out_channels": [32, 64], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": [2, 4], "transformer_layers_per_block": [1, 2], "cross_attention_dim": 64, "norm_num_groups": 32,
    "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 80,
}
VAE = {
    "in_channels": 3, "out_channels": 3, "latent_channels": 4, "block_out_channels": [8, 16, 16, 16], "layers_per_block": 1, "norm_num_groups": 4,
    "sample_size": 128, "scaling_factor": 0.18215, "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}
CONTROLNET = {
    "in_channels": 4, "block_out_channels": [32, 64, 64, 64], "layers_per_block": 2, "down_block_types": UNET["down_block_types"],
    "attention_head_dim": 8, "cross_attention_dim": 32, "norm_num_groups": 32, "conditioning_embedding_out_channels": [16, 32, 96, 256],
}
SCHEDULER = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False,
    "set_alpha_to_one": False, "steps_offset": 1,
}


def fill(module, seed):
    """Every tensor in the order of its name: norms near 1, biases near 0, weights by their fan in."""
    generator = torch.Generator().manual_seed(seed)
    state = module.state_dict()
    for name in sorted(state):
        tensor = state[name]
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() > 1:
            noise = noise / (tensor.numel() / tensor.shape[0]) ** 0.5
        else:
            noise = noise * 0.1 + (1 if name.endswith("weight") else 0)
        tensor.copy_(noise)
    return module.eval()


def unet(seed=1, **changes):
    return fill(UNet2DConditionModel(**{**UNET, **changes}), seed)


def xl_unet(seed=5):
    return fill(UNet2DConditionModel(**XL_UNET), seed)


def vae(seed=2):
    return fill(AutoencoderKL(**VAE), seed)


def controlnet(seed=3):
    return fill(ControlNetModel(**CONTROLNET), seed)


def ddim():
    return DDIMScheduler(**SCHEDULER)
