"""Muon for matrices of linear maps, AdamW for everything else.

Muon's step is the momentum with all singular values made (nearly) one, by Newton and Schulz's iteration; it is scaled
so that its root mean square is that of an AdamW step, and one learning rate serves both.
"""
import torch

import fast

# six iterations in two parts: fast from anywhere to near one, then exactly there (in BF16, to 0.4 %)
SHARES = [(3.4445, -4.7750, 2.0315)] * 4 + [(2.0, -1.5, 0.5)] * 2


def orthogonal(g):
    """(matrices, n, k) -> the nearest matrices with orthonormal rows or columns."""
    wide = g.shape[-2] <= g.shape[-1]
    x = g if wide else g.transpose(-2, -1)
    x = (x / x.flatten(1).norm(dim=1)[:, None, None].clamp(min=1e-12)).to(fast.product_type())
    for a, b, c in SHARES:
        square = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    x = x.float()
    return x if wide else x.transpose(-2, -1)


def muon_step(w, momentum, g, lr, decay, beta=0.95):
    momentum.mul_(beta).add_(g)
    step = orthogonal((g + beta * momentum).reshape(-1, *g.shape[-2:])).view_as(w)
    w.mul_(1 - lr * decay).add_(step, alpha=-lr * 0.2 * max(g.shape[-2:]) ** 0.5)


def adamw_step(w, m, v, g, lr, decay, step, betas=(0.9, 0.95), eps=1e-8):
    m.lerp_(g, 1 - betas[0])
    v.lerp_(g * g, 1 - betas[1])
    size = (v / (1 - betas[1] ** step)).sqrt_().add_(eps)
    w.mul_(1 - lr * decay).addcdiv_(m, size, value=-lr / (1 - betas[0] ** step))


class Optimizer:
    """Keeps the unrounded weights; steps only the parameters that it is told to, so that processes share the work."""

    def __init__(self, model, use_muon=True, decay=0.1):
        self.named = dict(model.named_parameters())
        self.masters = model.masters()
        self.use_muon, self.decay, self.count = use_muon, decay, 0
        self.first = {n: torch.zeros_like(p) for n, p in self.named.items()}
        self.second = {n: torch.zeros_like(p) for n, p in self.named.items() if not self.by_muon(p)}

    def by_muon(self, p):
        return self.use_muon and p.muon

    def tensors(self):
        """All state, for sharing and for checkpoints."""
        return {f"{kind}.{n}": t for kind, part in (("master", self.masters), ("first", self.first),
                                                    ("second", self.second)) for n, t in part.items()}

    @torch.no_grad()
    def step(self, names, gradient, lr, count):
        for n in names:
            w, g, p = self.masters[n], gradient(n), self.named[n]
            if self.by_muon(p):
                muon_step(w, self.first[n], g, lr, self.decay)
            else:
                decay = self.decay if p.muon else 0.0
                adamw_step(w, self.first[n], self.second[n], g, lr, decay, count)
