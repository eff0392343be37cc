# A plain PyTorch implementation of RGT (arXiv 2303.06373), written from a description of the authors' network: pads, rolls, cuts and masks windows and
# holds every logit in memory, as the authors do. Names of parameters and buffers are those of their checkpoints.
# Needs torch==2.11.0.
import torch
from torch import nn
from torch.nn import functional as F

RGT_S = dict(upscale=4, in_chans=3, img_size=64, img_range=1.0, depth=[6] * 6, embed_dim=180, num_heads=[6] * 6, mlp_ratio=2, qkv_bias=True, split_size=[8, 32],
             c_ratio=0.5, resi_connection="1conv")
RGT = dict(RGT_S, depth=[6] * 8, num_heads=[6] * 8)


def depthwise(channels, kernel, **options):
    return nn.Conv2d(channels, channels, kernel, groups=channels, **options)


def as_map(tokens, height, width):
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)


def as_tokens(picture):
    return picture.flatten(2).transpose(1, 2)


def windows(x, height, width):
    """[B, H, W, C] -> [B * windows, height * width, C]."""
    batch, rows, columns, channels = x.shape
    x = x.view(batch, rows // height, height, columns // width, width, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height * width, channels)


def whole(x, height, width, rows, columns):
    x = x.view(-1, rows // height, columns // width, height, width, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, rows, columns, x.shape[-1])


def window_mask(rows, columns, height, width):
    """-100 between cells of a rolled map that were not neighbours: [windows, cells, cells]."""
    names = torch.zeros(1, rows, columns, 1)
    edges = lambda size, window: (slice(0, -window), slice(-window, -(window // 2)), slice(-(window // 2), None))
    for i, y in enumerate(edges(rows, height)):
        for j, x in enumerate(edges(columns, width)):
            names[:, y, x] = 3 * i + j
    names = windows(names, height, width).squeeze(2)
    return torch.where(names[:, None] == names[:, :, None], 0.0, -100.0)


class Position(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        step = lambda out: nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out))
        self.pos_proj = nn.Linear(2, width)
        self.pos1, self.pos2, self.pos3 = step(width), step(width), step(heads)

    def forward(self, offsets):
        return self.pos3(self.pos2(self.pos1(self.pos_proj(offsets))))


class Branch(nn.Module):
    def __init__(self, channels, heads, height, width):
        super().__init__()
        self.heads, self.height, self.width = heads, height, width
        self.pos = Position(channels // 4 // 4, heads)
        dy, dx = torch.arange(1 - height, height), torch.arange(1 - width, width)
        self.register_buffer("rpe_biases", torch.stack(torch.meshgrid(dy, dx, indexing="ij")).flatten(1).T.contiguous().float())
        cells = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).flatten(1)
        difference = cells[:, :, None] - cells[:, None, :]
        self.register_buffer("relative_position_index", (difference[0] + height - 1) * (2 * width - 1) + difference[1] + width - 1)

    def forward(self, qkv, mask):
        """qkv [3, B, H, W, C], H and W multiples of the window."""
        rows, columns, channels = qkv.shape[2:]
        q, k, v = (windows(x, self.height, self.width).unflatten(2, (self.heads, -1)).transpose(1, 2) for x in qkv)
        logits = q * (channels // self.heads) ** -0.5 @ k.transpose(2, 3)
        cells = self.height * self.width
        logits = logits + self.pos(self.rpe_biases)[self.relative_position_index.view(-1)].view(cells, cells, self.heads).permute(2, 0, 1)
        if mask is not None:
            logits = (logits.view(-1, *mask.shape[:1], self.heads, cells, cells) + mask[None, :, None]).view(-1, self.heads, cells, cells)
        return whole((logits.softmax(-1) @ v).transpose(1, 2).flatten(2), self.height, self.width, rows, columns)


class LocalAttention(nn.Module):
    def __init__(self, channels, heads, split, bias, shifted):
        super().__init__()
        self.shifted, self.multiple = shifted, max(split)
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.proj = nn.Linear(channels, channels)
        self.sizes = [(split[0], split[1]), (split[1], split[0])]
        self.attns = nn.ModuleList([Branch(channels // 2, heads // 2, *size) for size in self.sizes])
        if shifted:
            for i, size in enumerate(self.sizes):
                self.register_buffer(f"attn_mask_{i}", window_mask(64, 64, *size))
        self.get_v = depthwise(channels, 3, padding=1)

    def forward(self, x, rows, columns):
        batch, count, channels = x.shape
        qkv = self.qkv(x).view(batch, rows, columns, 3, channels).permute(3, 0, 1, 2, 4)
        beside = self.get_v(qkv[2].permute(0, 3, 1, 2))
        right, bottom = -columns % self.multiple, -rows % self.multiple
        qkv = F.pad(qkv, (0, 0, 0, right, 0, bottom))
        parts = []
        for i, (height, width) in enumerate(self.sizes):
            part, mask = qkv[..., i * channels // 2:(i + 1) * channels // 2], None
            if self.shifted:
                part = part.roll((-(height // 2), -(width // 2)), (2, 3))
                mask = getattr(self, f"attn_mask_{i}") if part.shape[2:4] == (64, 64) else window_mask(*part.shape[2:4], height, width).to(x.device)
            part = self.attns[i](part, mask)
            parts.append(part.roll((height // 2, width // 2), (1, 2)) if self.shifted else part)
        attended = torch.cat(parts, 3)[:, :rows, :columns].reshape(batch, count, channels)
        return self.proj(attended + as_tokens(beside))


class RecursiveAttention(nn.Module):
    def __init__(self, channels, heads, c_ratio, bias):
        super().__init__()
        narrow = int(channels * c_ratio)
        self.heads, self.scale = heads, (channels // heads * c_ratio) ** -0.5
        self.reduction1 = depthwise(channels, 4, stride=4)
        self.dwconv = depthwise(channels, 3, padding=1)
        self.conv = nn.Conv2d(channels, narrow, 1)
        self.norm_act = nn.Sequential(nn.LayerNorm(narrow), nn.GELU())
        self.q, self.k, self.v = nn.Linear(channels, narrow, bias=bias), nn.Linear(narrow, narrow, bias=bias), nn.Linear(narrow, channels, bias=bias)
        self.cpe = depthwise(channels, 3, padding=1)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x, rows, columns):
        quotient, times = max(rows // 16, columns // 16), 0
        while 4 ** (times + 1) <= quotient:
            times += 1
        m = as_map(x, rows, columns)
        for _ in range(max(2, times)):
            m = self.reduction1(m)
        m = self.conv(self.dwconv(m))
        height, width = m.shape[2:]
        m = self.norm_act(as_tokens(m))
        in_heads = lambda t: t.unflatten(2, (self.heads, -1)).transpose(1, 2)
        v = self.v(m)
        v = v + as_tokens(self.cpe(as_map(v, height, width)))
        shares = (in_heads(self.q(x)) @ in_heads(self.k(m)).transpose(2, 3) * self.scale).softmax(-1)
        return self.proj((shares @ in_heads(v)).transpose(1, 2).flatten(2))


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = depthwise(channels, 3, padding=1)

    def forward(self, x, rows, columns):
        a, b = x.chunk(2, 2)
        return a * as_tokens(self.conv(as_map(self.norm(b), rows, columns)))


class Mlp(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.sg = Gate(hidden // 2)
        self.fc2 = nn.Linear(hidden // 2, channels)

    def forward(self, x, rows, columns):
        return self.fc2(self.sg(F.gelu(self.fc1(x)), rows, columns))


class Block(nn.Module):
    def __init__(self, config, group, index):
        super().__init__()
        channels, heads = config["embed_dim"], config["num_heads"][group]
        self.gamma = nn.Parameter(1e-4 * torch.ones(channels))
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        if index % 2 == 0:
            shifted = index % 4 == (2 if group % 2 == 0 else 0)
            self.attn = LocalAttention(channels, heads, config["split_size"], config["qkv_bias"], shifted)
        else:
            self.attn = RecursiveAttention(channels, heads, config["c_ratio"], config["qkv_bias"])
        self.mlp = Mlp(channels, int(channels * config["mlp_ratio"]))

    def forward(self, x, rows, columns):
        before = x
        x = x + self.attn(self.norm1(x), rows, columns)
        x = x + self.mlp(self.norm2(x), rows, columns)
        return x + self.gamma * before


def residual_convolution(channels, kind):
    if kind == "1conv":
        return nn.Conv2d(channels, channels, 3, padding=1)
    return nn.Sequential(nn.Conv2d(channels, channels // 4, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(channels // 4, channels // 4, 1), nn.LeakyReLU(0.2),
                         nn.Conv2d(channels // 4, channels, 3, padding=1))


class Group(nn.Module):
    def __init__(self, config, group):
        super().__init__()
        self.blocks = nn.ModuleList([Block(config, group, i) for i in range(config["depth"][group])])
        self.conv = residual_convolution(config["embed_dim"], config["resi_connection"])

    def forward(self, x, rows, columns):
        y = x
        for block in self.blocks:
            y = block(y, rows, columns)
        return x + as_tokens(self.conv(as_map(y, rows, columns)))


class Upscaler(nn.Module):
    def __init__(self, **config):
        super().__init__()
        channels, scale = config["embed_dim"], config["upscale"]
        self.scale, self.range = scale, config["img_range"]
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.before_RG = nn.Sequential(nn.Identity(), nn.LayerNorm(channels))
        self.layers = nn.ModuleList([Group(config, i) for i in range(len(config["depth"]))])
        self.norm = nn.LayerNorm(channels)
        self.conv_after_body = residual_convolution(channels, config["resi_connection"])
        self.conv_before_upsample = nn.Sequential(nn.Conv2d(channels, 64, 3, padding=1), nn.LeakyReLU())
        step = lambda factor: [nn.Conv2d(64, factor * factor * 64, 3, padding=1), nn.PixelShuffle(factor)]
        self.upsample = nn.Sequential(*(step(3) if scale == 3 else step(2) * 1 if scale == 2 else step(2) + step(2)))
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(self, image):
        rows, columns = image.shape[2:]
        mean = image.new_tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
        first = self.conv_first((image - mean) * self.range)
        x = self.before_RG(as_tokens(first))
        for group in self.layers:
            x = group(x, rows, columns)
        features = self.conv_after_body(as_map(self.norm(x), rows, columns)) + first
        return self.conv_last(self.upsample(self.conv_before_upsample(features))) / self.range + mean
