"""Attention over a sliding window of raw rows and over compressed rows.

Ratio 0 has the window only; ratio 128 sees all rows that pool 128 tokens each; ratio 4 sees the rows that the indexer
chooses.  One row is key and value for all heads.  Sequences start at position 0 and are dense: (batch, t, ...).
"""
import torch
from torch import nn
from torch.nn import functional as F

import fast
import formats
from parts import (KEEP_OUT, Norm, Weight, hadamard_matrix, parameter, rms, rope_frequencies, rotate, store_index,
                   store_row, turn_table)


class Compressor(nn.Module):
    """Pools groups of `ratio` tokens into rows; the weights of a pool are a softmax for each channel."""

    def __init__(self, cfg, ratio, dim):
        super().__init__()
        self.ratio, self.dim = ratio, dim
        self.width = dim * (2 if ratio == 4 else 1)
        self.ape = parameter("f32", torch.randn(ratio, self.width) * 0.02)
        self.wkv = Weight("bf16", self.width, cfg["hidden_size"])
        self.wgate = Weight("bf16", self.width, cfg["hidden_size"])
        self.norm = Norm(dim, cfg["rms_norm_eps"])

    def matrices(self):
        return [self.wkv.weight, self.wgate.weight]

    def forward(self, kv, score, turns):
        """kv and score (b, t, width) -> rows (b, t // ratio, dim), rotated to the first position of their groups."""
        groups = kv.shape[1] // self.ratio
        kv = kv[:, :groups * self.ratio].unflatten(1, (groups, self.ratio))
        score = score[:, :groups * self.ratio].unflatten(1, (groups, self.ratio)) + self.ape
        if self.ratio == 4:
            kv, score = self._with_previous(kv, 0.0), self._with_previous(score, KEEP_OUT)
        row = self.norm((torch.softmax(score, 2) * kv).sum(2))
        return rotate(row.unsqueeze(2), turns[:groups * self.ratio:self.ratio]).squeeze(2)

    def _with_previous(self, x, before):
        """Eight candidates: first halves of the group before, second halves of the group itself."""
        first, second = x.split(self.dim, -1)
        first = F.pad(first[:, :-1], (0, 0, 0, 0, 1, 0), value=before)
        return torch.cat([first, second], 2)


class Indexer(nn.Module):
    """Scores compressed rows; it learns from the attention it serves (index_loss), not from the loss of the model."""

    def __init__(self, cfg):
        super().__init__()
        self.heads, self.dim, self.top_k = cfg["index_n_heads"], cfg["index_head_dim"], cfg["index_topk"]
        self.wq_b = Weight("fp8", self.heads * self.dim, cfg["q_lora_rank"])
        self.weights_proj = Weight("bf16", self.heads, cfg["hidden_size"], muon=False)
        self.compressor = Compressor(cfg, 4, self.dim)
        self.register_buffer("hadamard", hadamard_matrix(self.dim), persistent=False)

    def forward(self, x, latent, turns):
        """-> scores (b, t, rows) of all rows, visible or not."""
        b, t = x.shape[:2]
        c = self.compressor
        kv, score, gain = fast.linear(x, torch.cat([*c.matrices(), self.weights_proj.weight])).split(
            [c.width, c.width, self.heads], -1)
        keys = store_index(c(kv, score, turns), self.hadamard)
        q = rotate(fast.linear(latent, self.wq_b.weight).view(b, t, self.heads, self.dim), turns)
        q = store_index(q, self.hadamard).view(b, t * self.heads, self.dim)
        match = fast.bmm(q, keys.transpose(1, 2)).relu_().view(b * t, self.heads, -1)
        gain = gain.reshape(b * t, 1, self.heads) * (self.dim * self.heads) ** -0.5
        return fast.bmm(gain, match).view(b, t, -1)


def choose_rows(score, visible, top_k):
    """The top_k best visible rows of each token: bool (b, t, rows)."""
    score = score.masked_fill(~visible, -torch.inf)
    best = score.topk(min(top_k, score.shape[-1]), -1).indices
    return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, best, True) & visible


def index_loss(score, visible, mass):
    """How far the indexer's softmax is from where attention's mass lies (KL divergence; mean over the tokens that
    see a row).  mass (b, t, rows) is a constant here."""
    some = visible[:, 0].expand(mass.shape[:2])
    target = mass / mass.sum(-1, keepdim=True).clamp(min=1e-9)
    guess = torch.log_softmax(score.masked_fill(~visible, KEEP_OUT), -1)
    loss = (torch.xlogy(target, target) - target * guess).sum(-1)
    return (loss * some).sum() / some.sum().clamp(min=1)


class Masks:
    """Who may see what, as scores to add; made once for each length."""

    def __init__(self, window):
        self.window, self.made = window, {}

    def raw(self, t, device):
        """(blocks, window, 2 * window), or (1, t, t) for a sequence inside one window."""
        if ("raw", t) not in self.made:
            w = self.window
            if t <= w:
                allowed = torch.ones(1, t, t, dtype=torch.bool).tril()
            else:
                age = torch.arange(w)[:, None] - torch.arange(-w, w)[None, :]
                allowed = ((age >= 0) & (age < w)).repeat(t // w, 1, 1)
                allowed[0, :, :w] = False
            self.made["raw", t] = torch.where(allowed, 0.0, KEEP_OUT).to(device)
        return self.made["raw", t]

    def rows(self, t, ratio, device):
        """bool (t, rows)."""
        if (ratio, t) not in self.made:
            done = (torch.arange(t) + 1) // ratio
            self.made[ratio, t] = (torch.arange(t // ratio)[None, :] < done[:, None]).to(device)
        return self.made[ratio, t]


class Attention(nn.Module):
    def __init__(self, cfg, ratio):
        super().__init__()
        d, q_rank, eps = cfg["hidden_size"], cfg["q_lora_rank"], cfg["rms_norm_eps"]
        self.ratio, self.heads, self.dim, self.eps = ratio, cfg["num_attention_heads"], cfg["head_dim"], eps
        self.rope, self.window, self.groups = cfg["qk_rope_head_dim"], cfg["sliding_window"], cfg["o_groups"]
        o_rank, depth = cfg["o_lora_rank"], cfg["num_hidden_layers"]
        self.attn_sink = parameter("f32", torch.zeros(self.heads))
        self.wq_a = Weight("fp8", q_rank, d)
        self.q_norm = Norm(q_rank, eps)
        self.wq_b = Weight("fp8", self.heads * self.dim, q_rank)
        self.wkv = Weight("fp8", self.dim, d)
        self.kv_norm = Norm(self.dim, eps)
        self.wo_a = Weight("fp8", self.groups * o_rank, self.heads * self.dim // self.groups)
        self.wo_b = Weight("fp8", d, self.groups * o_rank, gain=(2 * depth) ** -0.5)
        if ratio:
            self.compressor = Compressor(cfg, ratio, self.dim)
        if ratio == 4:
            self.indexer = Indexer(cfg)
        self.masks = Masks(self.window)
        self.register_buffer("freqs", rope_frequencies(cfg, ratio > 0), persistent=False)

    def forward(self, x, notes):
        """x (b, t, d) -> (b, t, d); notes.index_losses gets the indexer's loss."""
        short = x.shape[1]
        if short > self.window:
            x = F.pad(x, (0, 0, 0, -short % self.window))   # whole windows; what is behind the end is seen by nobody
        b, t, _ = x.shape
        turns = turn_table(torch.arange(t, device=x.device), self.freqs)
        latent, kv, *compressor = self._project(x)
        latent = self.q_norm(latent)
        q = fast.linear(latent, self.wq_b.weight).view(b, t, self.heads, self.dim)
        q = rotate(rms(q, self.eps) * self.dim ** -0.5, turns)
        kv = store_row(rotate(self.kv_norm(kv).unsqueeze(2), turns).squeeze(2), self.rope)
        rows, seen = None, None
        if self.ratio and t >= self.ratio:
            rows = store_row(self.compressor(*compressor, turns), self.rope)
            seen = self.masks.rows(t, self.ratio, x.device)
        index = self.indexer(x.detach(), latent.detach(), turns) if self.ratio == 4 and rows is not None else None
        out = self._attend(q, kv, rows, seen, index, notes)
        return self._output(rotate(out, turns.conj()))[:, :short]

    def _project(self, x):
        """All that is linear in x, in one matrix."""
        weights = [self.wq_a.weight, self.wkv.weight] + (self.compressor.matrices() if self.ratio else [])
        return fast.linear(x, torch.cat(weights)).split([w.shape[0] for w in weights], -1)

    def _attend(self, q, kv, rows, seen, index, notes):
        b, t, heads, dim = q.shape
        keys = self._window_keys(kv)
        blocks = keys.shape[0] // b
        raw = fast.bmm(q.reshape(b * blocks, -1, dim), keys.transpose(1, 2))
        mask = self.masks.raw(t, q.device)
        raw = raw.view(b, blocks, -1, heads, raw.shape[-1]).add_(mask.unsqueeze(2)).view(b, t, heads, -1)
        top = torch.maximum(raw.detach().amax(-1, keepdim=True), self.attn_sink.detach()[:, None])
        far = None
        if rows is not None:
            far = fast.bmm(q.reshape(b, t * heads, dim), rows.transpose(1, 2)).view(b, t, heads, -1)
            allowed = self._choose(far, top, seen, index, notes)
            far = far.add_(torch.where(allowed, 0.0, KEEP_OUT).unsqueeze(-2))
            top = torch.maximum(top, far.detach().amax(-1, keepdim=True))
        raw = raw.sub_(top).exp_()
        total = raw.sum(-1, keepdim=True) + torch.exp(self.attn_sink[:, None] - top)
        out = fast.bmm(raw.view(b * blocks, -1, raw.shape[-1]), keys).view(b, t, heads, dim)
        if rows is not None:
            far = far.sub_(top).exp_()
            total = total + far.sum(-1, keepdim=True)
            out = out + fast.bmm(far.view(b, t * heads, -1), rows).view(b, t, heads, dim)
        return out / total

    def _window_keys(self, kv):
        """(b * blocks, keys, dim): each window of queries sees the window before and its own."""
        b, t, dim = kv.shape
        if t <= self.window:
            return kv
        own = kv.view(b, t // self.window, self.window, dim)
        before = F.pad(own[:, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat([before, own], 2).view(-1, 2 * self.window, dim)

    def _choose(self, far, top, seen, index, notes):
        """The rows that attention may see; on the way the indexer is told where attention would look."""
        if index is None:
            return (seen & (notes.damage != "no-hca")).expand(far.shape[0], -1, -1)
        if self.training:
            with torch.no_grad():
                scores = far.masked_fill(~seen.unsqueeze(1), KEEP_OUT)
                mass = torch.softmax(scores, -1).sum(2) * seen
            notes.index_losses.append(index_loss(index, seen, mass))
        if notes.damage == "no-csa":
            return torch.zeros_like(seen).expand(far.shape[0], -1, -1)
        seen = seen.expand(far.shape[0], -1, -1)
        if notes.blind is not None:
            seen = seen & (torch.arange(seen.shape[1], device=seen.device) >= notes.blind[:, None]).unsqueeze(-1)
        if notes.all_rows or index.shape[-1] <= self.indexer.top_k:
            return seen
        index = torch.rand_like(index) if notes.damage == "random-index" else index.detach()
        return choose_rows(index, seen, self.indexer.top_k)

    def _output(self, out):
        b, t = out.shape[:2]
        w = self.wo_a.weight.view(self.groups, -1, self.wo_a.weight.shape[-1])
        low = fast.bmm(out.reshape(b * t, self.groups, -1).transpose(0, 1), w.transpose(1, 2))
        return fast.linear(low.transpose(0, 1).reshape(b, t, -1), self.wo_b.weight)
