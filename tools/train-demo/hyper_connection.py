"""Manifold-constrained hyper-connections (mHC): four residual streams, mixed by matrices that each token computes
and Sinkhorn's iteration makes doubly stochastic.
"""
import torch

import fast


def mixes_of(h, fn, eps):
    """h (n, streams, d) -> (n, outputs): a matrix times the streams, whose root mean square divides the result."""
    flat = h.flatten(1)
    size = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return flat @ fn.t() * torch.rsqrt(size * size / flat.shape[1] + eps)


def sinkhorn(comb, iterations, eps):
    """comb (n, source, destination) -> rows and columns that sum to one; a column comes last."""
    comb = torch.softmax(comb, -1) + eps
    comb = comb / (comb.sum(-2, keepdim=True) + eps)
    for _ in range(iterations - 1):
        comb = comb / (comb.sum(-1, keepdim=True) + eps)
        comb = comb / (comb.sum(-2, keepdim=True) + eps)
    return comb


def split(mixes, scale, base, streams, iterations, eps):
    """-> pre (n, streams), post (n, streams), comb (n, source, destination)."""
    pre = torch.sigmoid(mixes[:, :streams] * scale[0] + base[:streams]) + eps
    post = 2 * torch.sigmoid(mixes[:, streams:2 * streams] * scale[1] + base[streams:2 * streams])
    comb = (mixes[:, 2 * streams:] * scale[2] + base[2 * streams:]).view(-1, streams, streams)
    return pre, post, sinkhorn(comb, iterations, eps)


def gather(h, pre):
    """The streams weighed into one row a token: (n, d)."""
    return torch.bmm(pre.unsqueeze(1), h).squeeze(1)


def scatter(y, h, post, comb):
    """The streams mixed, and the block's output added to each: (n, streams, d)."""
    return torch.baddbmm(post.unsqueeze(2) * y.unsqueeze(1), comb.transpose(1, 2), h)


def read(h, fn, scale, base, cfg):
    """-> the row that a sub-block works on (n, d), and how its result is written back."""
    streams, iterations, eps = cfg["hc_mult"], cfg["hc_sinkhorn_iters"], cfg["hc_eps"]
    if fast.has_kernels(h):
        return fast.Read.apply(h, fn, scale, base, iterations, cfg["rms_norm_eps"], eps)
    pre, post, comb = split(mixes_of(h, fn, cfg["rms_norm_eps"]), scale, base, streams, iterations, eps)
    return gather(h, pre), post, comb


def write(y, h, post, comb):
    return fast.Write.apply(y, h, post, comb) if fast.has_kernels(h) else scatter(y, h, post, comb)
