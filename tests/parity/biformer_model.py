"""BiFormer in plain PyTorch, as its authors' repository describes it, with keys and values gathered into memory: the reference of the fixtures and the peer of
the benchmark. Parameters are named as in the authors' checkpoints.

Layouts: "biformer" (T, S, B; with extra_norms the backbone of dense prediction), "biformer_stl" and "biformer_stl_nchw". Maps are [B,h,w,C] between layers.
"""

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {
    "T": dict(architecture="biformer", depth=[2, 2, 8, 2], embed_dim=[64, 128, 256, 512], mlp_ratios=[3, 3, 3, 3]),
    "S": dict(architecture="biformer", depth=[4, 4, 18, 4], embed_dim=[64, 128, 256, 512], mlp_ratios=[3, 3, 3, 3]),
    "B": dict(architecture="biformer", depth=[4, 4, 18, 4], embed_dim=[96, 192, 384, 768], mlp_ratios=[3, 3, 3, 3]),
    "STL": dict(architecture="biformer_stl", depth=[2, 2, 6, 2], embed_dim=[96, 192, 384, 768], mlp_ratios=[4, 4, 4, 4]),
}
for name, size in SIZES.items():
    size |= dict(n_win=7, topks=[1, 4, 16, -2], qk_dims=size["embed_dim"], head_dim=32, side_dwconv=5, before_attn_dwconv=3, auto_pad=False, kv_downsample_mode="identity", num_classes=1000)


def first(x):
    return x.permute(0, 3, 1, 2)


def last(x):
    return x.permute(0, 2, 3, 1)


def cut(x, height, width):
    """[B,H,W,C] into regions of height x width cells: [B,R,height*width,C]."""
    b, h, w, c = x.shape
    return x.reshape(b, h // height, height, w // width, width, c).transpose(2, 3).reshape(b, -1, height * width, c)


def join(x, rows, columns, height, width):
    return x.reshape(x.shape[0], rows, columns, height, width, -1).transpose(2, 3).reshape(x.shape[0], rows * height, columns * width, -1)


def gathered_attention(q, k, v, index, heads, scale):
    """q, k, v [B,R,cells,C] and the regions that each region attends, index [B,R,N] -> [B,R,cells,C]."""
    b, regions, cells, _ = q.shape
    rows = torch.arange(b)[:, None, None]
    keys, values = k[rows, index].flatten(2, 3), v[rows, index].flatten(2, 3)  # [B,R,N*cells,C]
    split = lambda x: x.unflatten(-1, (heads, -1)).transpose(2, 3)
    weights = torch.softmax(split(q) * scale @ split(keys).transpose(-1, -2), -1)
    return (weights @ split(values)).transpose(2, 3).flatten(3)


def looped_attention(q, k, v, index, heads, scale):
    """The same, number by number."""
    out = torch.zeros_like(v)
    for b in range(q.shape[0]):
        for r in range(q.shape[1]):
            for i in range(q.shape[2]):
                for m in range(heads):
                    channels, width = slice(m * q.shape[3] // heads, (m + 1) * q.shape[3] // heads), slice(m * v.shape[3] // heads, (m + 1) * v.shape[3] // heads)
                    logits = torch.stack([scale * (q[b, r, i, channels] * k[b, s, j, channels]).sum() for s in index[b, r] for j in range(k.shape[2])])
                    values = torch.stack([v[b, s, j, width] for s in index[b, r] for j in range(v.shape[2])])
                    out[b, r, i, width] = torch.softmax(logits, 0) @ values
    return out


def first_best(logits, topk):
    """The best topk of each row, equal ones by number."""
    return torch.sort(logits, dim=-1, descending=True, stable=True).indices[..., :topk]


class Linear1x1(nn.Conv2d):
    """A 1x1 convolution of the last axis."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x):
        return last(super().forward(first(x)))


def depthwise(width, kernel):
    return nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)


class Projection(nn.Module):
    def __init__(self, width, qk_width):
        super().__init__()
        self.qkv = nn.Linear(width, 2 * qk_width + width)


class Routed(nn.Module):
    """The first implementation: pads before the projection."""

    def __init__(self, width, qk_width, heads, n_win, topk, config, attend):
        super().__init__()
        self.lepe = depthwise(width, config.get("side_dwconv", 5))
        self.qkv = Projection(width, qk_width)
        self.wo = nn.Linear(width, width)
        self.qk_width, self.heads, self.n_win, self.topk, self.pads, self.attend = qk_width, heads, n_win, topk, config.get("auto_pad", False), attend
        self.scale = qk_width**-0.5

    def forward(self, x, records):
        rows, columns = x.shape[1:3]
        if self.pads:
            x = F.pad(x, (0, 0, 0, -columns % self.n_win, 0, -rows % self.n_win))
        height, width = x.shape[1] // self.n_win, x.shape[2] // self.n_win
        assert x.shape[1] % self.n_win == 0 and x.shape[2] % self.n_win == 0
        q, k, v = self.qkv.qkv(x).split([self.qk_width, self.qk_width, x.shape[3]], -1)
        side = last(self.lepe(first(v)))
        q, k, v = cut(q, height, width), cut(k, height, width), cut(v, height, width)
        logits = (q.mean(2) * self.scale @ k.mean(2).transpose(1, 2)).detach()
        index = first_best(logits, self.topk)
        records.append((index, logits, (self.n_win, self.n_win, height, width)))
        out = join(self.attend(q, k, v, index, self.heads, self.scale), self.n_win, self.n_win, height, width)
        return self.wo(out + side)[:, :rows, :columns]


class RoutedNchw(nn.Module):
    """The second: cuts by size, pads after the projection with zeros, which are attended but do not count in the means."""

    def __init__(self, width, heads, n_win, topk, config, attend):
        super().__init__()
        self.lepe = depthwise(width, config.get("side_dwconv", 5))
        self.qkv_linear = Linear1x1(width, 3 * width)
        self.output_linear = Linear1x1(width, width)
        self.heads, self.n_win, self.topk, self.attend, self.scale = heads, n_win, topk, attend, width**-0.5

    def forward(self, x, records):
        rows, columns = x.shape[1:3]
        height, width = rows // self.n_win, columns // self.n_win
        q, k, v = self.qkv_linear(x).chunk(3, -1)
        side = last(self.lepe(first(v)))
        means = lambda map: F.avg_pool2d(first(map), (height, width), ceil_mode=True, count_include_pad=False).flatten(2)
        logits = (means(q).transpose(1, 2) @ means(k)).detach()
        index = first_best(logits, self.topk)
        grid = -(-rows // height), -(-columns // width)
        records.append((index, logits, (*grid, height, width)))
        q, k, v = (cut(F.pad(map, (0, 0, 0, -columns % width, 0, -rows % height)), height, width) for map in (q, k, v))
        out = join(self.attend(q, k, v, index, self.heads, self.scale), *grid, height, width)[:, :rows, :columns]
        return self.output_linear(out + side)


class Dense(nn.Module):
    """All cells; `side` says what the depthwise convolution reads."""

    def __init__(self, width, side, linear, config):
        super().__init__()
        self.qkv = linear(width, 3 * width, bias=False)
        self.proj = linear(width, width)
        self.side = side
        if side:
            self.lepe = depthwise(width, config.get("side_dwconv", 5))

    def forward(self, x, records):
        q, k, v = self.qkv(x).chunk(3, -1)
        split = lambda map: map.flatten(1, 2).unflatten(2, (8, -1)).transpose(1, 2)
        weights = torch.softmax(split(q) @ split(k).transpose(2, 3) * (x.shape[3] // 8) ** -0.5, -1)
        out = (weights @ split(v)).transpose(1, 2).flatten(2).view(x.shape)
        if self.side:
            out = out + last(self.lepe(first(x if self.side == "input" else v)))
        return self.proj(out)


class Block(nn.Module):
    def __init__(self, config, stage, attend):
        super().__init__()
        layout, width, topk = config["architecture"], config["embed_dim"][stage], config["topks"][stage]
        n_win = config["n_win"][stage] if isinstance(config["n_win"], list) else config["n_win"]
        second = layout == "biformer_stl_nchw"
        linear = Linear1x1 if second else nn.Linear
        if layout == "biformer":
            self.pos_embed = depthwise(width, 3)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        qk_width = config.get("qk_dims", config["embed_dim"])[stage]
        if topk > 0:
            heads = qk_width // config["head_dim"]
            self.attn = RoutedNchw(width, heads, n_win, topk, config, attend) if second else Routed(width, qk_width, heads, n_win, topk, config, attend)
        else:
            self.attn = Dense(width, "values" if second else "input" if topk == -2 else "", linear, config)
        hidden = int(config["mlp_ratios"][stage] * width)
        middle = [nn.Identity(), nn.GELU()] if layout == "biformer" else [nn.GELU()]
        self.mlp = nn.Sequential(linear(width, hidden), *middle, linear(hidden, width))

    def forward(self, x, records):
        if hasattr(self, "pos_embed"):
            x = x + last(self.pos_embed(first(x)))
        x = x + self.attn(self.norm1(x), records)
        return x + self.mlp(self.norm2(x))


class Blocks(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def __iter__(self):
        return iter(self.blocks)


class BiFormer(nn.Module):
    """`attend` computes the attention of regions."""

    def __init__(self, config, attend=gathered_attention):
        super().__init__()
        self.config = config
        dims, swin = config["embed_dim"], config["architecture"] != "biformer"
        norm = nn.BatchNorm2d
        if swin:
            down = [nn.Sequential(nn.Conv2d(3, dims[0], 4, 4), norm(dims[0]))]
            down += [nn.Sequential(norm(a), nn.Conv2d(a, b, 2, 2)) for a, b in zip(dims, dims[1:])]
        else:
            down = [nn.Sequential(nn.Conv2d(3, dims[0] // 2, 3, 2, 1), norm(dims[0] // 2), nn.GELU(), nn.Conv2d(dims[0] // 2, dims[0], 3, 2, 1), norm(dims[0]))]
            down += [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), norm(b)) for a, b in zip(dims, dims[1:])]
        self.downsample_layers = nn.ModuleList(down)
        blocks = [[Block(config, i, attend) for _ in range(config["depth"][i])] for i in range(4)]
        self.stages = nn.ModuleList(Blocks(stage) if swin else nn.ModuleList(stage) for stage in blocks)
        if config.get("extra_norms"):
            self.extra_norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for width in dims)
        else:
            self.norm = norm(dims[3])
            self.head = nn.Linear(dims[3], config["num_classes"])

    def forward(self, x):
        """[B,3,H,W] -> logits (None for dense prediction), features of the stages [B,C,h,w], and (index, logits, grid) of each routed block by "STAGE.BLOCK"."""
        features, routes = [], {}
        for i, (down, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = last(down(x))
            for j, block in enumerate(stage):
                records = []
                x = block(x, records)
                routes |= {f"{i}.{j}": record for record in records}
            features.append(first(self.extra_norms[i](x) if self.config.get("extra_norms") else x))
            x = first(x)
        return None if self.config.get("extra_norms") else self.head(self.norm(x).mean((2, 3))), features, routes
