"""ViTAEv2 with learned (VSA, arXiv 2204.08446) or plain windows in plain PyTorch: sampled copies of keys and values, windows cut by reshapes.

The baseline of tests/bench/vitaev2.py and the reference of vitaev2_fixtures.py. Names of parameters are the authors'.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

DILATIONS = [[1, 2, 3, 4], [1, 2, 3], [1, 2], [1, 2]]
DEFAULTS = dict(in_chans=3, num_classes=1000, window_size=7, relative_pos=False, cpe=False, mlp_ratio=4.0, detection=False, dilations=DILATIONS, downsample_ratios=[4, 2, 2, 2],
                kernel_size=[7, 3, 3, 3], RC_op="cat", identity_windows=False, skip_cpe=False)


def variant(width, depth, wide, window=7):
    heads = width // 32
    return DEFAULTS | dict(
        embed_dims=[width, width, 2 * width, 4 * width], token_dims=[width << i for i in range(4)], wide_pcm=wide, NC_depth=[2, 2, depth, 2], NC_heads=[heads << i for i in range(4)],
        RC_heads=[heads << i for i in range(4)] if wide else [2, 2, 4, 8], NC_group=[1, 32, 64, 128], RC_group=[1, 16, 32, 64], RC_tokens_type="VSA", NC_tokens_type="VSA",
        window_size=window, cpe=True)


VARIANTS = {
    "ViTAEv2_VSA_S": variant(64, 8, False), "ViTAEv2_VSA_widePCM_S": variant(64, 8, True), "ViTAEv2_VSA_widePCM_48M": variant(96, 11, True),
    "ViTAEv2_VSA_widePCM_B": variant(128, 12, True), "ViTAEv2_VSA_widePCM_B_ws12": variant(128, 12, True, 12)}


def position_index(window):
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return (y[:, None] - y[None] + window - 1) * (2 * window - 1) + (x[:, None] - x[None] + window - 1)


def margins(size, window, symmetric):
    missing = -size % window
    before = missing // 2 if symmetric else 0
    return before, missing - before


def windows_of(x, window):
    """[N,C,h,w] -> [N,windows,cells,C]."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // window, window, w // window, window).permute(0, 2, 4, 3, 5, 1).reshape(n, -1, window * window, c)


def map_of(windows, window, rows, columns):
    n, _, _, c = windows.shape
    return windows.reshape(n, rows // window, columns // window, window, window, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, rows, columns)


class Regression(nn.Sequential):
    def __init__(self, width, heads, window):
        super().__init__(nn.AvgPool2d(window, window), nn.LeakyReLU(), nn.Conv2d(width, 2 * heads, 1))


class VsaAttention(nn.Module):
    def __init__(self, width, out, heads, window, detection, identity):
        super().__init__()
        self.heads, self.window, self.out, self.detection, self.identity = heads, window, out, detection, identity
        self.scale = (width // heads) ** -0.5
        self.sampling_offsets = Regression(width, heads, window)
        self.sampling_scales = Regression(width, heads, window)
        self.qkv = nn.Conv2d(width, 3 * out, 1)
        self.proj = nn.Conv2d(out, out, 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", position_index(window))
        self.record = None

    def forward(self, x):
        b, _, h, w = x.shape
        m, ws, e = self.heads, self.window, self.out // self.heads
        (top, bottom), (left, right) = margins(h, ws, self.detection), margins(w, ws, self.detection)
        padded = F.pad(x, (left, right, top, bottom))
        rows, columns = h + top + bottom, w + left + right
        offsets = self.sampling_offsets(padded).reshape(b * m, 2, rows // ws, columns // ws)
        scales = self.sampling_scales(padded).reshape(b * m, 2, rows // ws, columns // ws)
        if self.identity:
            offsets, scales = torch.zeros_like(offsets), torch.zeros_like(scales)
        self.record = offsets.detach(), scales.detach()
        divisors = (h // ws, w // ws) if self.detection else (w // ws, h // ws)
        if not self.identity:
            offsets = torch.stack([offsets[:, 0] / divisors[0], offsets[:, 1] / divisors[1]], 1)

        def axis(size, which):
            """Positions along one axis, [b*m, window rows, window columns, ws]."""
            base = torch.linspace(-1, 1, size, dtype=x.dtype, device=x.device).reshape(size // ws, ws)
            centre, local = base.mean(1), torch.arange(ws, dtype=x.dtype, device=x.device) * 2 / (size - 1)
            local = local - local.mean()
            centre = centre[None, None, :, None] if which == 0 else centre[None, :, None, None]
            return centre + local * (1 + scales[:, which, :, :, None]) + offsets[:, which, :, :, None]

        across = axis(columns, 0)[:, :, None, :, :].expand(-1, -1, ws, -1, -1)                              # [b*m, rows of windows, ws, columns of windows, ws]
        down = axis(rows, 1).permute(0, 1, 3, 2)[:, :, :, :, None].expand(-1, -1, -1, -1, ws)
        grid = torch.stack([across, down], -1).reshape(b * m, rows, columns, 2)

        qkv = F.pad(self.qkv(x), (left, right, top, bottom)).reshape(b, 3, m, e, rows, columns)
        q, k, v = (qkv[:, i].reshape(b * m, e, rows, columns) for i in range(3))
        k, v = (F.grid_sample(t, grid, padding_mode="zeros", align_corners=True) for t in (k, v))
        q, k, v = (windows_of(t, ws).reshape(b, m, -1, ws * ws, e) for t in (q, k, v))
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        attention = (q @ k.transpose(-2, -1) * self.scale + bias[None, :, None]).softmax(-1)
        o = map_of((attention @ v).reshape(b * m, -1, ws * ws, e), ws, rows, columns).reshape(b, m * e, rows, columns)
        return self.proj(o[:, :, top:top + h, left:left + w])


class WindowAttention(nn.Module):
    def __init__(self, width, out, heads, window, relative_pos, scale=None):
        super().__init__()
        self.heads, self.window, self.out = heads, window, out
        self.scale = scale or (out // heads) ** -0.5
        if relative_pos:
            self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", position_index(window))
        self.qkv = nn.Linear(width, 3 * out)
        self.proj = nn.Linear(out, out)

    def forward(self, x):
        b, _, h, w = x.shape
        m, ws, e = self.heads, self.window, self.out // self.heads
        (top, bottom), (left, right) = margins(h, ws, True), margins(w, ws, True)
        rows, columns = h + top + bottom, w + left + right
        cells = windows_of(F.pad(x, (left, right, top, bottom)), ws)
        q, k, v = self.qkv(cells).reshape(b, -1, ws * ws, 3, m, e).permute(3, 0, 4, 1, 2, 5)
        logits = q @ k.transpose(-2, -1) * self.scale
        if hasattr(self, "relative_position_bias_table"):
            logits = logits + self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None, :, None]
        o = self.proj((logits.softmax(-1) @ v).permute(0, 2, 3, 1, 4).reshape(b, -1, ws * ws, self.out))
        return map_of(o, ws, rows, columns)[:, :, top:top + h, left:left + w]


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


def parallel_convolutions(widths, strides, groups):
    layers = []
    for i in range(3):
        layers.append(nn.Conv2d(widths[i], widths[i + 1], 3, strides[i], 1, groups=groups))
        if i < 2:
            layers += [nn.BatchNorm2d(widths[i + 1]), nn.SiLU()]
    return nn.Sequential(*layers)


class PyramidReduction(nn.Module):
    def __init__(self, width, out, kernel, stride, dilations, operation):
        super().__init__()
        self.operation = operation
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, out, kernel, stride, -(-((kernel - 1) * d + 1 - stride) // 2), dilation=d), nn.GELU()) for d in dilations)

    def forward(self, x):
        maps = [convolution(x) for convolution in self.convs]
        return torch.cat(maps, 1) if self.operation == "cat" else sum(maps)


def tokens(x):
    return x.flatten(2).transpose(1, 2)


def to_map(x, like):
    return x.transpose(1, 2).reshape(x.shape[0], -1, *like.shape[2:])


class WindowBlock(nn.Module):
    """What the reduction cells of plain windows call attn."""

    def __init__(self, width, out, heads, window, relative_pos):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, out, heads, window, relative_pos)
        self.norm2 = nn.LayerNorm(out)
        self.mlp = Mlp(out, out)


class ReductionCell(nn.Module):
    def __init__(self, c, i, width):
        super().__init__()
        dilations, out, embed, ratio = c["dilations"][i], c["token_dims"][i], c["embed_dims"][i], c["downsample_ratios"][i]
        hidden = 2 * out if of(c, "wide_pcm", i) else embed
        strides = [2 if (ratio // 2) >> j > 0 else 1 for j in range(3)]
        self.PCM = parallel_convolutions([width, hidden, hidden, out], strides, c["RC_group"][i])
        self.PRM = PyramidReduction(width, embed, c["kernel_size"][i], ratio, dilations, of(c, "RC_op", i))
        inner = embed * len(dilations) if of(c, "RC_op", i) == "cat" else embed
        window = 7 if c["detection"] else c["window_size"]
        self.learned, self.skip_cpe = of(c, "RC_tokens_type", i) == "VSA", c["skip_cpe"]
        if not self.learned:
            self.attn = WindowBlock(inner, out, c["RC_heads"][i], window, c["relative_pos"])
            return
        self.norm1 = nn.LayerNorm(inner)
        if c["cpe"]:
            self.pos = nn.Conv2d(inner, inner, 7, 1, 3, groups=inner)
        self.attn = VsaAttention(inner, out, c["RC_heads"][i], window, c["detection"], of(c, "identity_windows", i))
        self.norm2 = nn.LayerNorm(out)
        self.mlp = Mlp(out, out)

    def forward(self, x):
        block = self if self.learned else self.attn
        y = self.PRM(x)
        if hasattr(self, "pos") and not self.skip_cpe:
            y = y + self.pos(y)
        y = block.attn(to_map(block.norm1(tokens(y)), y)) + self.PCM(x)
        t = tokens(y)
        return to_map(t + block.mlp(block.norm2(t)), y)


class NormalCell(nn.Module):
    def __init__(self, c, i):
        super().__init__()
        width = c["token_dims"][i]
        hidden = int(width * c["mlp_ratio"])
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.skip_cpe = c["skip_cpe"]
        if of(c, "NC_tokens_type", i) == "VSA":
            if c["cpe"]:
                kernel = c["window_size"] // 2 * 2 + 1 if c["detection"] else 7
                self.pos = nn.Conv2d(width, width, kernel, 1, kernel // 2, groups=width)
            self.attn = VsaAttention(width, width, c["NC_heads"][i], c["window_size"], c["detection"], of(c, "identity_windows", i))
        else:
            self.attn = WindowAttention(width, width, c["NC_heads"][i], c["window_size"], c["relative_pos"])
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden)
        self.PCM = parallel_convolutions([width, hidden, width, width], [1, 1, 1], c["NC_group"][i])

    def forward(self, x):
        u = x + self.pos(x) if hasattr(self, "pos") and not self.skip_cpe else x
        y = x + self.attn(to_map(self.norm1(tokens(u)), x)) + self.PCM(x)
        t = tokens(y)
        return to_map(t + self.mlp(self.norm2(t)), y)


def of(c, key, i):
    return c[key][i] if isinstance(c[key], list) else c[key]


class Stage(nn.Module):
    def __init__(self, c, i, width):
        super().__init__()
        self.RC = ReductionCell(c, i, width)
        self.NC = nn.ModuleList(NormalCell(c, i) for _ in range(c["NC_depth"][i]))


class ViTAEv2(nn.Module):
    def __init__(self, c):
        super().__init__()
        c = DEFAULTS | c
        self.layers = nn.ModuleList()
        width = c["in_chans"]
        for i in range(len(c["token_dims"])):
            self.layers.append(Stage(c, i, width))
            width = c["token_dims"][i]
        if c["num_classes"] > 0:
            self.head = nn.Linear(width, c["num_classes"])

    def forward(self, x):
        """Logits (None without a head) and the stages' features."""
        features = []
        for stage in self.layers:
            x = stage.RC(x)
            for cell in stage.NC:
                x = cell(x)
            features.append(x)
        return self.head(x.mean((2, 3))) if hasattr(self, "head") else None, features
