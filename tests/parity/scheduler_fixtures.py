"""Fixtures of the schedulers: timesteps, sigmas and whole trajectories of diffusers.

Needs diffusers 0.36.0, torch 2.11.0, numpy 2.4.6, scipy and safetensors. Run it from the repository root:
    python tests/parity/scheduler_fixtures.py
It writes tests/parity/fixtures/diffusion/: cases.json names every case with its config and options; schedulers.safetensors holds NAME.timesteps, NAME.sigmas and
NAME.init_noise_sigma, and for trajectories NAME.samples (the start and the sample after every evaluation), NAME.inputs (scaled for the model) and
NAME.known (the noised picture of the following timestep, as inpainting uses it).

A trajectory takes predictions[i] as the model's output of evaluation i and noise[k] as the k-th draw; an image-to-image start is
add_noise(sample, noise[31]).
"""

import json
import pathlib
import warnings

import diffusers
import torch
from diffusers.utils import logging
from safetensors.torch import save_file

torch.set_num_threads(1)
logging.set_verbosity_error()
warnings.simplefilter("ignore")

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "diffusion"
GENERATOR = torch.Generator().manual_seed(5)
SHAPE = (1, 4, 4, 4)
SAMPLE = torch.randn(SHAPE, generator=GENERATOR)
PREDICTIONS = torch.randn((32, *SHAPE), generator=GENERATOR)
NOISE = torch.randn((32, *SHAPE), generator=GENERATOR)

# As Stable Diffusion 1.5 and SDXL ship them.
SD = {"_class_name": "PNDMScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
      "trained_betas": None, "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False}
SDXL = {"_class_name": "EulerDiscreteScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "trained_betas": None, "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False, "interpolation_type": "linear",
        "prediction_type": "epsilon", "sample_max_value": 1.0, "timestep_spacing": "leading", "use_karras_sigmas": False}

ALL = ["DDIMScheduler", "DDIMInverseScheduler", "DDPMScheduler", "PNDMScheduler", "LCMScheduler", "EulerDiscreteScheduler",
       "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"]
INVERSE, PNDM, LCM, EULER, EULER_A, HEUN, LMS, DPM, UNIPC = ALL[1], *ALL[3:]
DDIM, DDPM = ALL[0], ALL[2]
STEP_OPTIONS = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise")

CONFIGS = {"sd": SD, "sdxl": SDXL, **{name: {"_class_name": name} for name in ALL}}

cases, tensors = [], {}


def build(config, class_name, options):
    """The scheduler of a pipeline whose scheduler is swapped for another class, and what goes to its step."""
    config = CONFIGS[config]
    original = getattr(diffusers, config["_class_name"])
    constructor = {k: v for k, v in options.items() if k not in STEP_OPTIONS}
    scheduler = getattr(diffusers, class_name).from_config(original.from_config(config).config, **constructor)
    return scheduler, {k: v for k, v in options.items() if k in STEP_OPTIONS}


def add(name, config, class_name, options, steps, **more):
    assert not any(case["name"] == name for case in cases), name
    cases.append({"name": name, "config": config, "class_name": class_name, "options": options, "steps": steps, **more})


def keep_schedule(name, scheduler):
    tensors[f"{name}.timesteps"] = scheduler.timesteps.to(torch.float32)
    tensors[f"{name}.init_noise_sigma"] = torch.as_tensor(scheduler.init_noise_sigma, dtype=torch.float32).reshape(1)
    if class_has_sigmas(scheduler):
        tensors[f"{name}.sigmas"] = scheduler.sigmas.to(torch.float32)


def class_has_sigmas(scheduler):
    return hasattr(scheduler, "sigmas")


def schedule(name, config, class_name, options, steps):
    scheduler, _ = build(config, class_name, options)
    scheduler.set_timesteps(steps)
    keep_schedule(name, scheduler)
    add(name, config, class_name, options, steps, kind="schedule")


def trajectory(name, config, class_name, options, steps, strength=None, dtype="float32"):
    kind = getattr(torch, dtype)
    scheduler, step_options = build(config, class_name, options)
    scheduler.set_timesteps(steps)
    draws = iter(NOISE)
    module = __import__(scheduler.__class__.__module__, fromlist=["x"])
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = lambda shape, generator=None, device=None, dtype=None, **_: next(draws).to(dtype)
    keep_schedule(name, scheduler)
    sample, timesteps, start = SAMPLE.to(kind), scheduler.timesteps, 0
    if strength is not None:
        start = (steps - min(int(steps * strength), steps)) * scheduler.order
        timesteps = timesteps[start:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        sample = scheduler.add_noise(sample, NOISE[31].to(kind), timesteps[:1])
    samples, inputs, known = [sample], [], []
    for i, t in enumerate(timesteps):
        inputs.append(scheduler.scale_model_input(sample, t))
        sample = scheduler.step(PREDICTIONS[i].to(kind), t, sample, **step_options).prev_sample
        samples.append(sample)
        if strength is not None and i + 1 < len(timesteps):
            known.append(scheduler.add_noise(SAMPLE.to(kind), NOISE[31].to(kind), timesteps[i + 1:i + 2]))
    assert all(torch.isfinite(s).all() for s in samples), name
    assert samples[-1].dtype == kind, name
    tensors[f"{name}.samples"] = torch.stack(samples)
    if class_has_sigmas(scheduler) and scheduler.__class__.__name__ in (EULER, EULER_A, HEUN, LMS):
        tensors[f"{name}.inputs"] = torch.stack(inputs)
    if known:
        tensors[f"{name}.known"] = torch.stack(known)
    add(name, config, class_name, options, steps, kind="trajectory", dtype=dtype, start=start, strength=strength)


def spacings(class_name):
    return ["leading", "trailing"] if class_name == INVERSE else ["linspace", "leading", "trailing"]


def predictions(class_name):
    return ["epsilon", "v_prediction"] if class_name in (PNDM, EULER_A) else ["epsilon", "sample", "v_prediction"]


SCHEDULE_VARIANTS = [
    (EULER, "karras", {"use_karras_sigmas": True}),
    (EULER, "karras_leading", {"use_karras_sigmas": True, "timestep_spacing": "leading"}),
    (EULER, "karras_ends", {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 9.0}),
    (EULER, "exponential", {"use_exponential_sigmas": True}),
    (EULER, "log_linear", {"interpolation_type": "log_linear"}),
    (EULER, "sigma_min", {"final_sigmas_type": "sigma_min"}),
    (EULER, "continuous", {"timestep_type": "continuous", "prediction_type": "v_prediction"}),
    (EULER, "zero_snr", {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}),
    (EULER, "linear", {"beta_schedule": "linear"}),
    (EULER, "cosine", {"beta_schedule": "squaredcos_cap_v2"}),
    (EULER_A, "zero_snr", {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}),
    (HEUN, "karras", {"use_karras_sigmas": True}),
    (HEUN, "exponential", {"use_exponential_sigmas": True}),
    (HEUN, "exp_betas", {"beta_schedule": "exp"}),
    (LMS, "karras", {"use_karras_sigmas": True}),
    (LMS, "exponential", {"use_exponential_sigmas": True}),
    (DPM, "karras", {"use_karras_sigmas": True}),
    (DPM, "exponential", {"use_exponential_sigmas": True}),
    (DPM, "lambdas", {"use_lu_lambdas": True}),
    (DPM, "sigma_min", {"final_sigmas_type": "sigma_min"}),
    (DPM, "clipped", {"lambda_min_clipped": -2.0}),
    (DPM, "clipped_trailing", {"lambda_min_clipped": -2.0, "timestep_spacing": "trailing"}),
    (DPM, "cosine_karras", {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True}),
    (DPM, "zero_snr", {"rescale_betas_zero_snr": True}),
    (UNIPC, "karras", {"use_karras_sigmas": True}),
    (UNIPC, "karras_sigma_min", {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"}),
    (UNIPC, "exponential", {"use_exponential_sigmas": True}),
    (UNIPC, "sigma_min", {"final_sigmas_type": "sigma_min"}),
    (LCM, "original_40", {"original_inference_steps": 40}),
]

TRAJECTORY_VARIANTS = [
    (DDIM, "eta_1", {"eta": 1.0}, 6),
    (DDIM, "eta_half_v", {"eta": 0.5, "prediction_type": "v_prediction"}, 6),
    (DDIM, "clipped", {"clip_sample": True}, 6),
    (DDIM, "thresholded", {"thresholding": True, "sample_max_value": 1.5}, 6),
    (DDIM, "alpha_one", {"set_alpha_to_one": True}, 6),
    (DDIM, "zero_snr", {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}, 6),
    (DDIM, "trailing", {"timestep_spacing": "trailing"}, 6),
    (INVERSE, "alpha_one", {"set_alpha_to_one": True}, 6),
    (INVERSE, "trailing", {"timestep_spacing": "trailing"}, 6),
    (DDPM, "fixed_large", {"variance_type": "fixed_large"}, 6),
    (DDPM, "fixed_small_log", {"variance_type": "fixed_small_log"}, 6),
    (DDPM, "sigmoid", {"beta_schedule": "sigmoid", "timestep_spacing": "linspace"}, 6),
    (DDPM, "clipped", {"clip_sample": True, "clip_sample_range": 2.0}, 6),
    (PNDM, "runge_kutta", {"skip_prk_steps": False}, 7),
    (PNDM, "runge_kutta_v", {"skip_prk_steps": False, "prediction_type": "v_prediction"}, 4),
    (PNDM, "linspace", {"timestep_spacing": "linspace"}, 8),
    (LCM, "one", {}, 1),
    (LCM, "eight", {}, 8),
    (LCM, "clipped", {"clip_sample": True}, 4),
    (EULER, "churn", {"s_churn": 2.0, "s_tmin": 0.1, "s_tmax": 10.0, "s_noise": 1.003}, 6),
    (EULER, "churn_v", {"s_churn": 2.0, "prediction_type": "v_prediction"}, 6),
    (EULER, "karras", {"use_karras_sigmas": True}, 6),
    (EULER, "sigma_min", {"final_sigmas_type": "sigma_min", "timestep_spacing": "leading"}, 6),
    (EULER, "zero_snr", {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}, 6),
    (HEUN, "karras", {"use_karras_sigmas": True}, 5),
    (HEUN, "clipped", {"clip_sample": True}, 5),
    (LMS, "karras", {"use_karras_sigmas": True}, 8),
    (DPM, "karras", {"use_karras_sigmas": True}, 8),
    (DPM, "sixteen", {}, 16),
    (DPM, "order_3_sixteen", {"solver_order": 3}, 16),
    (DPM, "sigma_min_sixteen", {"final_sigmas_type": "sigma_min", "euler_at_final": True}, 16),
    (DPM, "thresholded", {"thresholding": True, "sample_max_value": 1.5}, 6),
    (DPM, "noise_thresholded", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", "thresholding": True, "sample_max_value": 1.5}, 6),
    (DPM, "sde_karras", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}, 8),
    (UNIPC, "bh1", {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}, 7),
    (UNIPC, "order_1", {"solver_order": 1}, 6),
    (UNIPC, "order_3", {"solver_order": 3}, 8),
    (UNIPC, "order_3_karras", {"solver_order": 3, "use_karras_sigmas": True}, 8),
    (UNIPC, "noise", {"predict_x0": False, "final_sigmas_type": "sigma_min"}, 6),
    (UNIPC, "noise_v", {"predict_x0": False, "final_sigmas_type": "sigma_min", "prediction_type": "v_prediction", "solver_order": 3}, 6),
    (UNIPC, "uncorrected", {"disable_corrector": [0, 2]}, 6),
    (UNIPC, "not_lower_order", {"lower_order_final": False, "final_sigmas_type": "sigma_min"}, 6),
] + [
    (DPM, f"{algorithm}_{solver}_{order}", {"algorithm_type": algorithm, "solver_type": solver, "solver_order": order, "final_sigmas_type": "sigma_min"}, 7)
    for algorithm in ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver")
    for solver, order in (("midpoint", 1), ("midpoint", 2), ("heun", 2), ("midpoint", 3))
    if (algorithm, order) != ("sde-dpmsolver", 3)
]

BETAS = [
    (DDIM, "scaled_linear", {}),
    (DDIM, "linear", {"beta_schedule": "linear"}),
    (DDIM, "cosine", {"beta_schedule": "squaredcos_cap_v2"}),
    (DDIM, "zero_snr", {"rescale_betas_zero_snr": True}),
    (DDPM, "sigmoid", {"beta_schedule": "sigmoid"}),
    (HEUN, "exp", {"beta_schedule": "exp"}),
    (EULER, "zero_snr", {"rescale_betas_zero_snr": True}),
    (DDIM, "trained", {"num_train_timesteps": 8, "trained_betas": [0.001, 0.002, 0.004, 0.008, 0.01, 0.02, 0.03, 0.05]}),
]


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors.update(sample=SAMPLE, predictions=PREDICTIONS, noise=NOISE)
    for class_name in ALL:
        for steps in (1, 2, 5, 20, 50):
            for config in ("sd", "sdxl"):
                schedule(f"{class_name}.{config}.{steps}", config, class_name, {}, steps)
            for spacing in spacings(class_name):
                schedule(f"{class_name}.{spacing}.{steps}", "sd", class_name, {"timestep_spacing": spacing}, steps)
        # Class defaults alone.
        schedule(f"{class_name}.own.5", class_name, class_name, {}, 5)
        for prediction in predictions(class_name):
            trajectory(f"{class_name}.{prediction}", "sd", class_name, {"prediction_type": prediction}, 6)
        trajectory(f"{class_name}.bfloat16", "sd", class_name, {}, 6, dtype="bfloat16")
        trajectory(f"{class_name}.float16", "sd", class_name, {}, 6, dtype="float16")
        if class_name != INVERSE:
            trajectory(f"{class_name}.image", "sd", class_name, {}, 10, strength=0.58)
            trajectory(f"{class_name}.image.bfloat16", "sd", class_name, {}, 10, strength=0.3, dtype="bfloat16")
    for class_name, variant, options in SCHEDULE_VARIANTS:
        for steps in (1, 5, 20) if "lambdas" not in variant else (5, 20):
            schedule(f"{class_name}.{variant}.{steps}", "sd", class_name, options, steps)
    for class_name, variant, options, steps in TRAJECTORY_VARIANTS:
        trajectory(f"{class_name}.path.{variant}", "sd", class_name, options, steps)
    for class_name, variant, options in BETAS:
        scheduler, _ = build("sd", class_name, options)
        name = f"{class_name}.betas.{variant}"
        tensors[f"{name}.alphas_cumprod"] = scheduler.alphas_cumprod
        add(name, "sd", class_name, options, 0, kind="betas")
    save_file({k: v.contiguous() for k, v in tensors.items()}, FOLDER / "schedulers.safetensors")
    lines = ",\n".join(json.dumps(case) for case in cases)
    (FOLDER / "cases.json").write_text(f'{{"configs": {json.dumps(CONFIGS)},\n"cases": [\n{lines}\n]}}\n')
    (FOLDER / "schedulers.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
