"""DeepSeek V4, differentiable and small.

Modules and parameters have the names of the official checkpoint.  The parameters hold numbers that the checkpoint's
formats can hold (round_all); who trains keeps the unrounded ones.
"""
import torch
from torch import nn

import fast
import formats
import hyper_connection as hc
from attention import Attention
from experts import MixtureOfExperts
from parts import Norm, Weight, parameter


class Notes:
    """What a pass tells besides its result, and how it is run."""

    def __init__(self, all_rows=False, damage=None, blind=None):
        self.index_losses = []
        self.all_rows = all_rows   # no selection: the indexer is still learning
        self.damage = damage       # "random-index": rows are chosen by chance; "no-hca", "no-csa": none of ratio 128, of 4
        self.blind = blind         # (b,): so many tokens from the first on see no rows of ratio 4


class HeadMix(nn.Module):
    """The last step of the streams, before a norm and the head: hc_head_* of the checkpoint."""

    def __init__(self, cfg):
        super().__init__()
        streams, d = cfg["hc_mult"], cfg["hidden_size"]
        self.cfg = cfg
        self.hc_head_fn = parameter("f32", torch.randn(streams, streams * d) * (streams * d) ** -0.5)
        self.hc_head_base = parameter("f32", torch.zeros(streams))
        self.hc_head_scale = parameter("f32", torch.full((1,), 0.1))
        self.norm = Norm(d, cfg["rms_norm_eps"])

    def mix(self, h):
        """h (n, streams, d) -> (n, d), normed."""
        m = hc.mixes_of(h, self.hc_head_fn, self.cfg["rms_norm_eps"])
        pre = torch.sigmoid(m * self.hc_head_scale + self.hc_head_base) + self.cfg["hc_eps"]
        return self.norm(hc.gather(h, pre))


class Block(nn.Module):
    def __init__(self, cfg, layer):
        super().__init__()
        self.cfg = cfg
        self.attn = Attention(cfg, cfg["compress_ratios"][layer])
        self.ffn = MixtureOfExperts(cfg, layer < cfg["num_hash_layers"])
        self.attn_norm = Norm(cfg["hidden_size"], cfg["rms_norm_eps"])
        self.ffn_norm = Norm(cfg["hidden_size"], cfg["rms_norm_eps"])
        for part in ("attn", "ffn"):
            self._add_connection(part)

    def _add_connection(self, part):
        """At first the streams stay apart (comb near identity), read alike and are written to unlike."""
        streams, width = self.cfg["hc_mult"], self.cfg["hc_mult"] * self.cfg["hidden_size"]
        base = torch.cat([torch.full((streams,), -1.1), torch.randn(streams) * 0.5,
                          (torch.eye(streams) * 4).flatten()])
        setattr(self, f"hc_{part}_fn", parameter("f32", torch.randn(len(base), width) * width ** -0.5))
        setattr(self, f"hc_{part}_base", parameter("f32", base))
        setattr(self, f"hc_{part}_scale", parameter("f32", torch.full((3,), 0.1)))

    def _read(self, h, part):
        return hc.read(h, *(getattr(self, f"hc_{part}_{name}") for name in ("fn", "scale", "base")), self.cfg)

    def forward(self, h, tokens, notes):
        """h (b * t, streams, d), tokens (b, t)."""
        x, post, comb = self._read(h, "attn")
        x = self.attn(self.attn_norm(x).view(*tokens.shape, -1), notes)
        h = hc.write(x.reshape(len(h), -1), h, post, comb)
        x, post, comb = self._read(h, "ffn")
        return hc.write(self.ffn(self.ffn_norm(x), tokens.flatten()), h, post, comb)


class MtpBlock(Block):
    """Predicts the token after the next from the streams and the next token."""

    def __init__(self, cfg, index):
        super().__init__(cfg, cfg["num_hidden_layers"] + index)
        d, eps = cfg["hidden_size"], cfg["rms_norm_eps"]
        self.e_proj, self.h_proj = Weight("fp8", d, d), Weight("fp8", d, d)
        self.enorm, self.hnorm = Norm(d, eps), Norm(d, eps)
        self.out = HeadMix(cfg)

    def draft(self, h, embedded, following, notes):
        """h (n, streams, d) of all positions but the last, embedded (n, d) the tokens that follow them."""
        z = fast.linear(self.hnorm(h), self.h_proj.weight)
        z = z + fast.linear(self.enorm(embedded), self.e_proj.weight).unsqueeze(1)
        return self.out.mix(self(z, following, notes))


class Model(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        d, vocab = cfg["hidden_size"], cfg["vocab_size"]
        self.embed = Weight("bf16", vocab, d, muon=False)
        self.embed.weight.data.mul_(d ** 0.5 * 0.5)
        self.head = Weight("bf16", vocab, d, muon=False)
        self.layers = nn.ModuleList(Block(cfg, i) for i in range(cfg["num_hidden_layers"]))
        self.out = HeadMix(cfg)
        self.mtp = nn.ModuleList(MtpBlock(cfg, i) for i in range(cfg["num_nextn_predict_layers"]))

    def hidden(self, tokens, notes):
        """tokens (b, t) -> the streams behind the last layer (b * t, streams, d)."""
        x = nn.functional.embedding(tokens.flatten(), self.embed.weight)
        h = x.unsqueeze(1).expand(-1, self.cfg["hc_mult"], -1).contiguous()
        for layer in self.layers:
            h = layer(h, tokens, notes)
        return h

    def rows(self, h):
        """What the head multiplies: (n, d)."""
        return self.out.mix(h)

    def logits(self, rows):
        return fast.linear(rows, self.head.weight)

    def draft_rows(self, h, tokens, notes):
        """The same of the MTP block, for positions 0 to t - 2: row i foretells token i + 2."""
        b, t = tokens.shape
        following = tokens[:, 1:].contiguous()
        kept = h.view(b, t, *h.shape[1:])[:, :-1].reshape(b * (t - 1), *h.shape[1:])
        embedded = nn.functional.embedding(following.flatten(), self.embed.weight)
        return self.mtp[0].draft(kept, embedded, following, notes)

    def forward(self, tokens):
        """All logits (b, t, vocab)."""
        return self.logits(self.rows(self.hidden(tokens, Notes()))).view(*tokens.shape, -1)

    @torch.no_grad()
    def round_all(self, masters):
        """Parameters := what the checkpoint can hold of the masters (name -> tensor)."""
        for name, p in self.named_parameters():
            p.copy_(formats.round_weight(masters[name], p.kind))

    def masters(self):
        return {name: p.detach().clone() for name, p in self.named_parameters()}

    @torch.no_grad()
    def balance(self, rate):
        for block in [*self.layers, *self.mtp]:
            block.ffn.gate.balance(rate)
