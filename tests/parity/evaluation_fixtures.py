"""Fixtures of the evaluation: a tiny judge with what PyTorch computes from it, and metrics and intervals as SciPy gives them.

Needs torch 2.11.0, scipy 1.13 or newer and safetensors 0.6 or newer. Run it from the repository root:
    python tests/parity/evaluation_fixtures.py
It writes tests/parity/fixtures/evaluation/: judge/config.json, judge/model.safetensors, judge.safetensors (in.sample, out.*), pictures.safetensors
(two pictures) and numbers.json.
"""

import json
import pathlib

import numpy as np
import scipy.linalg
import scipy.ndimage
import scipy.stats
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "evaluation"
CONFIG = {
    "_class_name": "AttelierJudge",
    "world": "small",
    "kinds": ["house", "tree", "cat"],
    "hues": ["red", "green"],
    "attributes": [{"name": "place", "values": ["sea", "snow", "desert"]}, {"name": "style", "values": ["plain", "pencil"]}],
    "counts": 4,
    "picture_size": 32,
    "widths": [8, 16, 16, 24],
    "depth": True,
}


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.GroupNorm(8, width), torch.nn.GroupNorm(8, width)
        self.conv1, self.conv2 = torch.nn.Conv2d(width, width, 3, padding=1), torch.nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Judge(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        w, self.kinds, self.counts = c["widths"], len(c["kinds"]), c["counts"]
        self.stem, self.stem_norm = torch.nn.Conv2d(3, w[0], 3, 2, 1), torch.nn.GroupNorm(8, w[0])
        self.down = torch.nn.ModuleList(torch.nn.Conv2d(w[i], w[i + 1], 3, 2, 1) for i in range(3))
        self.block2, self.block3a, self.block3b, self.block4 = Block(w[1]), Block(w[2]), Block(w[2]), Block(w[3])
        self.context, self.norm = torch.nn.Conv2d(w[3], w[2], 1), torch.nn.GroupNorm(8, w[2])
        self.attention, self.evidence = torch.nn.Conv2d(w[2], self.kinds, 1), torch.nn.Conv2d(w[2], self.kinds, 1)
        self.count, self.hue = torch.nn.Linear(w[2] + 2, self.kinds * self.counts), torch.nn.Linear(w[2], len(c["hues"]))
        self.attributes = torch.nn.ModuleDict({a["name"]: torch.nn.Linear(sum(w), len(a["values"])) for a in c["attributes"]})
        self.depth = torch.nn.Conv2d(w[2], 1, 1)

    def forward(self, x):
        c1 = F.silu(self.stem_norm(self.stem(x)))
        c2 = self.block2(self.down[0](c1))
        c3 = self.block3b(self.block3a(self.down[1](c2)))
        c4 = self.block4(self.down[2](c3))
        f = F.silu(self.norm(c3 + F.interpolate(self.context(c4), c3.shape[2:], mode="nearest")))
        looks = self.attention(f).flatten(2).softmax(2)
        seen = self.evidence(f).flatten(2).sigmoid()
        features = looks @ f.flatten(2).transpose(1, 2)
        described = torch.cat([features, 16 * seen.mean(2, keepdim=True), seen.amax(2, keepdim=True)], 2)
        weight, bias = self.count.weight.view(self.kinds, self.counts, -1), self.count.bias.view(self.kinds, self.counts)
        columns = (torch.arange(f.shape[3]) + 0.5) / f.shape[3]
        pooled = torch.cat([c.mean((2, 3)) for c in (c1, c2, c3, c4)], 1)
        out = {
            "counts": torch.stack([described[:, k] @ weight[k].T + bias[k] for k in range(self.kinds)], 1),
            "hues": self.hue(features),
            "x": (looks.view(*looks.shape[:2], *f.shape[2:]) * columns).sum((2, 3)),
            "depth": self.depth(f)[:, 0],
        }
        return out | {f"attributes.{name}": layer(pooled) for name, layer in self.attributes.items()}


def luminance(picture):
    return np.tensordot(np.array([0.299, 0.587, 0.114]), picture, 1)


def ssim(a, b):
    x, y = luminance(a), luminance(b)
    window = lambda v: scipy.ndimage.gaussian_filter(v, 1.5, truncate=5 / 1.5, mode="nearest")[5:-5, 5:-5]
    mx, my = window(x), window(y)
    vx, vy, c = window(x * x) - mx * mx, window(y * y) - my * my, window(x * y) - mx * my
    return float(((2 * mx * my + 1e-4) * (2 * c + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))).mean())


def oklab(picture):
    p = picture.reshape(3, -1)
    linear = np.where(p <= 0.04045, p / 12.92, ((p + 0.055) / 1.055) ** 2.4)
    m1 = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]])
    m2 = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]])
    return m2 @ np.cbrt(m1 @ linear)


def colour_distance(a, b):
    x, y = oklab(a), oklab(b)
    cx, cy = np.cov(x), np.cov(y)
    shift = x.mean(1) - y.mean(1)
    return float(100 * np.sqrt(shift @ shift + np.trace(cx + cy - 2 * scipy.linalg.sqrtm(cx @ cy).real)))


def bca(values, seed):
    result = scipy.stats.bootstrap((np.array(values),), np.mean, method="BCa", n_resamples=200000, batch=10000, rng=np.random.default_rng(seed))
    return {"values": list(values), "low": float(result.confidence_interval.low), "high": float(result.confidence_interval.high)}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    (FOLDER / "judge").mkdir(parents=True, exist_ok=True)
    (FOLDER / "judge" / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    judge = Judge(CONFIG)
    with torch.no_grad():
        for name, parameter in judge.named_parameters():
            noise = torch.randn(parameter.shape)
            parameter.copy_(noise / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 0.2 * noise + (1 if "norm" in name and name.endswith("weight") else 0))
        save_file({n: t.contiguous() for n, t in judge.state_dict().items()}, FOLDER / "judge" / "model.safetensors")
        sample = torch.rand(2, 3, 32, 32) * 2 - 1
        wide = torch.rand(1, 3, 48, 48) * 2 - 1
        tensors = {"in.sample": sample, "in.wide": wide}
        tensors |= {f"out.{n}": t.contiguous() for n, t in judge(sample).items()} | {f"wide.{n}": t.contiguous() for n, t in judge(wide).items()}
        save_file(tensors, FOLDER / "judge.safetensors")
    rng = np.random.default_rng(5)
    smooth = lambda: np.stack([scipy.ndimage.gaussian_filter(rng.standard_normal((40, 48)), s) for s in (3, 2, 4)])
    scale = lambda p: (p - p.min()) / (p.max() - p.min())
    a = scale(smooth()).astype(np.float32)
    b = np.clip(0.7 * a + 0.3 * scale(smooth()) + 0.05 * rng.standard_normal(a.shape), 0, 1).astype(np.float32)
    save_file({"a": torch.from_numpy(a), "b": torch.from_numpy(b)}, FOLDER / "pictures.safetensors")
    a, b = a.astype(np.float64), b.astype(np.float64)
    wilson = []
    for successes, count in [(0, 10), (10, 10), (7, 10), (1, 200), (130, 200)]:
        interval = scipy.stats.binomtest(successes, count).proportion_ci(method="wilson")
        wilson.append([successes, count, float(interval.low), float(interval.high)])
    numbers = {
        "ssim": ssim(a, b),
        "psnr": float(-10 * np.log10(((a - b) ** 2).mean())),
        "colour_distance": colour_distance(a, b),
        "wilson": wilson,
        "quantiles": [[p, float(scipy.stats.norm.ppf(p))] for p in (1e-9, 1e-3, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 1e-6)],
        "bootstrap": [bca(rng.standard_normal(20).round(4), 1), bca(rng.exponential(1, 30).round(4), 2), bca(rng.binomial(1, 0.2, 40).astype(float), 3)],
    }
    (FOLDER / "numbers.json").write_text(json.dumps(numbers) + "\n")


if __name__ == "__main__":
    main()
