"""The mixture of experts: hash or learned routing, experts in groups of tokens, a shared expert."""
import torch
from torch import nn
from torch.nn import functional as F

import fast
from parts import Weight, parameter


STEP = 64   # an expert's rows are padded to a multiple: matrix products of few different sizes are prepared once


class Plan:
    """Where each token's k rows lie, ordered by expert: assignment a of the flat (n, k) has row place[a]."""

    def __init__(self, chosen, experts):
        self.copies = chosen.shape[1]
        flat = chosen.flatten()
        order = torch.argsort(flat)
        counts = torch.bincount(flat, minlength=experts)
        padded = (counts + STEP - 1) // STEP * STEP
        shift = (padded.cumsum(0) - padded) - (counts.cumsum(0) - counts)
        rows = torch.arange(len(flat), device=flat.device) + shift[flat[order]]
        self.place = torch.empty_like(order)
        self.place[order] = rows
        self.sizes = padded.tolist()

    def spread(self, x):
        """Rows of x (n, d), each in its k places; zeros between."""
        out = x.new_zeros(sum(self.sizes), x.shape[-1])
        for i in range(self.copies):
            out[self.place[i::self.copies]] = x
        return out

    def collect(self, y):
        """The sum of each token's rows."""
        out = y[self.place[0::self.copies]]
        for i in range(1, self.copies):
            out += y[self.place[i::self.copies]]
        return out


class ToExperts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, plan):
        ctx.plan = plan
        return plan.spread(x)

    @staticmethod
    def backward(ctx, g):
        return ctx.plan.collect(g), None


class FromExperts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, plan):
        ctx.plan = plan
        return plan.collect(y)

    @staticmethod
    def backward(ctx, g):
        return ctx.plan.spread(g), None


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
        plan = Plan(chosen, self.n)
        parts = ToExperts.apply(x, plan).split(plan.sizes)
        both = torch.cat([fast.linear(p, w.flatten(0, 1)) for p, w in zip(parts, self.w13.unbind()) if len(p)])
        gate, up = both.chunk(2, -1)
        gain = gains.new_zeros(sum(plan.sizes)).index_copy(0, plan.place, gains.flatten())
        inner = swiglu(gate, up, limit) * gain.unsqueeze(1)
        y = torch.cat([fast.linear(p, w) for p, w in zip(inner.split(plan.sizes), self.w2.unbind()) if len(p)])
        return FromExperts.apply(y, plan)


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
