"""The number formats of a V4 checkpoint and of its caches: BF16, FP8 E4M3, FP4 E2M1, scales that are powers of two.

Everything rounds exactly as the runtime does, and returns float32 tensors that hold only representable values.
A weight is rounded once a step (trainer.py keeps the unrounded master copy); an activation is rounded inside the
graph by Straight, whose gradient ignores the rounding.
"""
import torch

TILE = 128   # an FP8 matrix has one scale for 128 x 128 weights
GROUP = 32   # an FP4 matrix has one scale for 32 inputs of a row


def bf16(x):
    return x.to(torch.bfloat16).to(torch.float32)


def power_of_two_above(x):
    """The smallest power of two that is at least x, for x > 0, read from the bits as the official kernels do."""
    bits = x.contiguous().view(torch.int32)
    exponent = (bits >> 23) + ((bits & 0x7FFFFF) != 0).to(torch.int32)
    return (exponent << 23).view(torch.float32)


def _round_mantissa(x, bits, smallest_normal):
    """Nearest float with so many bits of mantissa, ties to even, the same step for all below smallest_normal."""
    power = (x.contiguous().view(torch.int32) & 0x7F800000).view(torch.float32).clamp_(min=smallest_normal)
    step = power.mul_(2.0 ** -bits)
    return torch.round(x / step).mul_(step)


def e4m3(x):
    """Nearest E4M3; |x| is at most 448 already."""
    return _round_mantissa(x, 3, 2.0 ** -6)


def e2m1(x):
    """Nearest E2M1; |x| is at most 6 already."""
    return _round_mantissa(x, 1, 1.0)


def fp8_scale(amax):
    return power_of_two_above(amax.clamp(min=1e-4) * (1 / 448.0))


def fp4_scale(amax):
    return power_of_two_above(amax.clamp(min=6 * 2.0 ** -126) * (1 / 6.0))


def round_fp8_row(x, block):
    """The last axis in blocks, each with a scale of its own."""
    parts = x.reshape(*x.shape[:-1], x.shape[-1] // block, block)
    scale = fp8_scale(parts.abs().amax(-1, keepdim=True))
    return (e4m3((parts / scale).clamp_(-448, 448)) * scale).reshape(x.shape)


def round_fp4_row(x):
    parts = x.reshape(*x.shape[:-1], x.shape[-1] // GROUP, GROUP)
    scale = fp4_scale(parts.abs().amax(-1, keepdim=True))
    return (e2m1((parts / scale).clamp_(-6, 6)) * scale).reshape(x.shape)


def tiles_of(w):
    """[..., n, k] -> [..., n / 128, 128, k / 128, 128], padded with zeros."""
    n, k = w.shape[-2:]
    padded = torch.nn.functional.pad(w, (0, -k % TILE, 0, -n % TILE))
    return padded.reshape(*w.shape[:-2], -(-n // TILE), TILE, -(-k // TILE), TILE)


def fp8_matrix(w):
    """-> codes' values divided by their scales [..., n, k], and the scales [..., n / 128, k / 128]."""
    n, k = w.shape[-2:]
    parts = tiles_of(w)
    scale = fp8_scale(parts.abs().amax((-3, -1), keepdim=True))
    codes = e4m3((parts / scale).clamp_(-448, 448))
    codes = codes.reshape(*w.shape[:-2], parts.shape[-4] * TILE, parts.shape[-2] * TILE)[..., :n, :k]
    return codes, scale.squeeze(-1).squeeze(-2)


def fp4_matrix(w):
    """-> codes' values [..., n, k], and the scales [..., n, k / 32]."""
    parts = w.reshape(*w.shape[:-1], w.shape[-1] // GROUP, GROUP)
    scale = fp4_scale(parts.abs().amax(-1, keepdim=True))
    return e2m1((parts / scale).clamp_(-6, 6)).reshape(w.shape), scale.squeeze(-1)


def spread_tiles(scale, n, k):
    """One scale for each weight of an FP8 matrix."""
    return scale.repeat_interleave(TILE, -2)[..., :n, :].repeat_interleave(TILE, -1)[..., :k]


def round_weight(w, kind):
    """What a weight will be after it was written and read again."""
    if kind == "f32":
        return w.clone()
    if kind == "bf16":
        return bf16(w)
    if kind == "fp8":
        codes, scale = fp8_matrix(w)
        return codes * spread_tiles(scale, *w.shape[-2:])
    if kind == "fp4":
        codes, scale = fp4_matrix(w)
        return codes * scale.repeat_interleave(GROUP, -1)
    raise ValueError(kind)


class Straight(torch.autograd.Function):
    """round_to(x) whose gradient is that of x."""

    @staticmethod
    def forward(ctx, x, round_to):
        return round_to(x)

    @staticmethod
    def backward(ctx, g):
        return g, None
