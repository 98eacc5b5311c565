"""The mixture of experts: hash or learned routing, experts in groups of tokens, a shared expert."""
import torch
from torch import nn
from torch.nn import functional as F

import fast
from parts import Weight, parameter


class ToExperts(torch.autograd.Function):
    """Rows repeated and ordered by expert; the gradient is collected the other way round, without scattering."""

    @staticmethod
    def forward(ctx, x, order, back, copies):
        ctx.save_for_backward(back)
        ctx.copies = copies
        return x[torch.div(order, copies, rounding_mode="floor")]

    @staticmethod
    def backward(ctx, g):
        back, = ctx.saved_tensors
        return g[back].view(-1, ctx.copies, g.shape[-1]).sum(1), None, None, None


class FromExperts(torch.autograd.Function):
    """The sum of a token's rows, which lie ordered by expert."""

    @staticmethod
    def forward(ctx, y, order, back, copies):
        ctx.save_for_backward(order)
        ctx.copies = copies
        return y[back].view(-1, copies, y.shape[-1]).sum(1)

    @staticmethod
    def backward(ctx, g):
        order, = ctx.saved_tensors
        return g[torch.div(order, ctx.copies, rounding_mode="floor")], None, None, None


def swiglu(gate, up, limit):
    """Clamped before the activation, as the runtime does."""
    return F.silu(gate.clamp(max=limit)) * up.clamp(-limit, limit)


class Experts(nn.Module):
    """All routed experts: w13 (experts, 2, inner, d) are w1, the gate, and w3; w2 (experts, d, inner)."""

    def __init__(self, cfg):
        super().__init__()
        n, d, inner = cfg["n_routed_experts"], cfg["hidden_size"], cfg["moe_intermediate_size"]
        self.n = n
        gain = (2 * cfg["num_hidden_layers"]) ** -0.5
        self.w13 = parameter("fp4", torch.randn(n, 2, inner, d) * d ** -0.5, muon=True)
        self.w2 = parameter("fp4", torch.randn(n, d, inner) * gain * inner ** -0.5, muon=True)

    def forward(self, x, chosen, gains, limit):
        """x (n, d), chosen and gains (n, k) -> (n, d)."""
        k = chosen.shape[1]
        order = torch.argsort(chosen.flatten())
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        counts = torch.bincount(chosen.flatten(), minlength=self.n).tolist()
        parts = ToExperts.apply(x, order, back, k).split(counts)
        both = torch.cat([fast.linear(p, w.flatten(0, 1)) for p, w in zip(parts, self.w13.unbind())])
        gate, up = both.chunk(2, -1)
        inner = swiglu(gate, up, limit) * gains.flatten()[order].unsqueeze(1)
        y = torch.cat([fast.linear(p, w) for p, w in zip(inner.split(counts), self.w2.unbind())])
        return FromExperts.apply(y, order, back, k)


class SharedExpert(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d, inner = cfg["hidden_size"], cfg["moe_intermediate_size"]
        self.w1, self.w3 = Weight("fp8", inner, d), Weight("fp8", inner, d)
        self.w2 = Weight("fp8", d, inner, gain=(2 * cfg["num_hidden_layers"]) ** -0.5)

    def forward(self, x, limit):
        gate, up = fast.linear(x, torch.cat([self.w1.weight, self.w3.weight])).chunk(2, -1)
        return fast.linear(swiglu(gate, up, limit), self.w2.weight)


class Gate(nn.Module):
    """Which experts a token goes to: by a table of its id in the first layers, by score plus bias in the others.

    The bias belongs to no gradient: balance() raises it for experts that had too few tokens.
    """

    def __init__(self, cfg, hashed):
        super().__init__()
        n, self.k, self.scale = cfg["n_routed_experts"], cfg["num_experts_per_tok"], cfg["routed_scaling_factor"]
        self.weight = parameter("bf16", torch.randn(n, cfg["hidden_size"]) * cfg["hidden_size"] ** -0.5)
        self.hashed = hashed
        if hashed:
            self.register_buffer("tid2eid", torch.rand(cfg["vocab_size"], n).argsort(1)[:, :self.k].contiguous())
        else:
            self.register_buffer("bias", torch.zeros(n))
        self.register_buffer("load", torch.zeros(n), persistent=False)

    def forward(self, x, tokens):
        score = F.softplus(F.linear(x, self.weight)).sqrt()
        if self.hashed:
            chosen = self.tid2eid[tokens]
        else:
            chosen = (score.detach() + self.bias).topk(self.k, -1).indices
            if self.training:
                self.load += torch.bincount(chosen.flatten(), minlength=len(self.load))
        gains = score.gather(1, chosen)
        return chosen, gains / gains.sum(-1, keepdim=True) * self.scale

    def balance(self, rate):
        if not self.hashed:
            self.bias += rate * torch.sign(self.load.mean() - self.load)
            self.bias -= self.bias.mean()
            self.load.zero_()


class MixtureOfExperts(nn.Module):
    def __init__(self, cfg, hashed):
        super().__init__()
        self.limit = cfg["swiglu_limit"]
        self.gate, self.experts, self.shared_experts = Gate(cfg, hashed), Experts(cfg), SharedExpert(cfg)

    def forward(self, x, tokens):
        """x (n, d), tokens (n)."""
        chosen, gains = self.gate(x, tokens)
        return self.experts(x, chosen, gains, self.limit) + self.shared_experts(x, self.limit)
