"""Reads a checkpoint directory that export.py wrote: the model again, number for number."""
import json
import math
import pathlib

import torch

import formats
import trainer
from export import official_name
from model import Model


def _e4m3(code):
    exponent, mantissa = code >> 3 & 15, code & 7
    size = math.ldexp(mantissa, -9) if exponent == 0 else math.ldexp(8 + mantissa, exponent - 10)
    return -size if code & 128 else size


E4M3 = torch.tensor([_e4m3(c) for c in range(256)])
E2M1 = torch.tensor([s * v for s in (1, -1) for v in (0, .5, 1, 1.5, 2, 3, 4, 6)])


class Checkpoint:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.data, self.header = {}, {}
        for path in sorted(self.directory.glob("*.safetensors")):
            raw = path.read_bytes()
            start = 8 + int.from_bytes(raw[:8], "little")
            for name, t in json.loads(raw[8:start]).items():
                if name != "__metadata__":
                    self.header[name] = t
                    self.data[name] = raw[start + t["data_offsets"][0]:start + t["data_offsets"][1]]

    def _bytes(self, name):
        return torch.frombuffer(bytearray(self.data[name]), dtype=torch.uint8).view(self.header[name]["shape"])

    def _scale(self, name):
        codes = self._bytes(name.removesuffix("weight") + "scale")
        return (codes.to(torch.int32) << 23).view(torch.float32)   # a scale of 2^-127 is written by nobody

    def read(self, name):
        """The numbers of a tensor, its scales applied."""
        kind, shape = self.header[name]["dtype"], self.header[name]["shape"]
        raw = bytearray(self.data[name])
        if kind == "F32":
            return torch.frombuffer(raw, dtype=torch.float32).view(shape)
        if kind == "BF16":
            return torch.frombuffer(raw, dtype=torch.bfloat16).view(shape).float()
        if kind == "I64":
            return torch.frombuffer(raw, dtype=torch.int64).view(shape)
        if kind == "F8_E4M3":
            return E4M3[self._bytes(name).long()] * formats.spread_tiles(self._scale(name), *shape)
        if kind == "I8":
            pairs = self._bytes(name).long()
            values = E2M1[torch.stack([pairs & 15, pairs >> 4], -1).flatten(-2)]
            return values * self._scale(name).repeat_interleave(formats.GROUP, -1)
        raise ValueError(f"{self.directory}: {name}: dtype {kind}")

    def experts(self, prefix, n):
        """w13 (n, 2, inner, d) and w2 (n, d, inner)."""
        w1, w2, w3 = ([self.read(f"{prefix}{e}.{w}.weight") for e in range(n)] for w in ("w1", "w2", "w3"))
        return dict(w13=torch.stack([torch.stack(pair) for pair in zip(w1, w3)]), w2=torch.stack(w2))


@torch.no_grad()
def load(directory):
    """The model, in eval mode; a training may go on from it, without what FP8 and FP4 do not keep."""
    checkpoint = Checkpoint(directory)
    cfg = json.loads((pathlib.Path(directory) / "config.json").read_text(encoding="utf-8"))
    model = Model(cfg)
    for name, p in model.named_parameters():
        prefix, which = name.rsplit(".", 1)
        if ".experts.w" in name:
            p.copy_(checkpoint.experts(prefix + ".", cfg["n_routed_experts"])[which])
        else:
            p.copy_(checkpoint.read(official_name(name)))
    for name, b in model.named_buffers():
        if name.endswith(("gate.bias", "gate.tid2eid")):
            b.copy_(checkpoint.read(name))
    return model.eval()


def open_model(directory):
    """Of a checkpoint, or of a run as its last state is, rounded as it will be written."""
    state = pathlib.Path(directory) / "state.pt"
    return trainer.load_model(state) if state.exists() else load(directory)
