"""What all parts of the model are made of: parameters that know how they are stored, norms, rotary positions."""
import math

import torch
from torch import nn

import formats

CACHE_ROUNDING = True   # off: what the runtime calls --cache-rounding off, to tell rounding from arithmetic
KEEP_OUT = -1e30   # a score that softmax turns into nothing; an infinity would make gradients of empty rows NaN


def parameter(kind, tensor, muon=False):
    """A parameter that is stored as `kind` (formats.round_weight); muon: its last two axes are a matrix of a linear
    map, which is trained by Muon."""
    p = nn.Parameter(tensor)
    p.kind, p.muon = kind, muon
    return p


class Weight(nn.Module):
    """NAME.weight of the checkpoint."""

    def __init__(self, kind, *shape, gain=1.0, muon=True):
        super().__init__()
        self.weight = parameter(kind, torch.randn(*shape) * gain * shape[-1] ** -0.5, muon)


class Norm(nn.Module):
    """Root mean square norm with a weight."""

    def __init__(self, n, eps):
        super().__init__()
        self.weight = parameter("bf16", torch.ones(n))
        self.eps = eps

    def forward(self, x):
        return rms(x, self.eps) * self.weight


def rms(x, eps):
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * torch.rsqrt(size * size / x.shape[-1] + eps)


def rope_frequencies(cfg, compressed):
    """Layers with a compressor have a base and YaRN of their own; no attention factor anywhere."""
    dim = cfg["qk_rope_head_dim"]
    base = cfg["compress_rope_theta"] if compressed else cfg["rope_theta"]
    freqs = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    if not compressed:
        return freqs
    yarn = cfg["rope_scaling"]

    def turns(n):
        return dim * math.log(yarn["original_max_position_embeddings"] / (n * 2 * math.pi)) / (2 * math.log(base))

    low, high = max(math.floor(turns(yarn["beta_fast"])), 0), min(math.ceil(turns(yarn["beta_slow"])), dim - 1)
    high = high + 0.001 if low == high else high
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    return freqs / yarn["factor"] * ramp + freqs * (1 - ramp)


def turn_table(positions, freqs):
    """e^(i * position * frequency): (positions, rope_dim / 2), complex."""
    angle = positions.to(torch.float32)[:, None] * freqs
    return torch.polar(torch.ones_like(angle), angle)


class Rotate(torch.autograd.Function):
    """Turn neighbouring pairs of the last dims of x (..., t, heads, d) by table (t, pairs); the gradient turns back."""

    @staticmethod
    def forward(ctx, x, table):
        ctx.save_for_backward(table)
        return _turned(x, table)

    @staticmethod
    def backward(ctx, g):
        return _turned(g, ctx.saved_tensors[0].conj()), None


def _turned(x, table):
    out = x.clone(memory_format=torch.contiguous_format)
    n = 2 * table.shape[-1]
    pairs = torch.view_as_complex(out[..., -n:].unflatten(-1, (n // 2, 2)))
    pairs.mul_(table.unsqueeze(1))
    return out


def rotate(x, table):
    """x (batch, t, heads, d)."""
    return Rotate.apply(x, table)


def store_row(rows, n_rope):
    """A row of the KV cache: FP8 in blocks of 64, the rotary part BF16."""

    def rounded(x):
        return torch.cat([formats.round_fp8_row(x[..., :-n_rope], 64), formats.bf16(x[..., -n_rope:])], -1)

    return formats.Straight.apply(rows, rounded) if CACHE_ROUNDING else rows


def hadamard_matrix(n):
    h = torch.ones(1, 1)
    while h.shape[0] < n:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)], 0)
    return h * n ** -0.5


def store_index(rows, matrix):
    """An index query or key: turned by Hadamard's matrix, then FP4."""
    turned = rows @ matrix
    return formats.Straight.apply(turned, formats.round_fp4_row) if CACHE_ROUNDING else turned
