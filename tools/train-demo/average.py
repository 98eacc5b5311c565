"""Mixes two checkpoints of one model, of which one was trained on from the other: what the later one has learned, with
less of what it forgot on the way.

    /usr/bin/python3 average.py LATER EARLIER OUT [--share 0.75]

Every weight is `share` of the later one's and the rest of the earlier one's, rounded to what a checkpoint can hold.
"""
import argparse
import pathlib

import torch

import export
import formats
import load


@torch.no_grad()
def average(later, earlier, share):
    """-> later, changed."""
    weights, buffers = dict(earlier.named_parameters()), dict(earlier.named_buffers())
    for name, p in later.named_parameters():
        p.copy_(formats.round_weight(share * p + (1 - share) * weights[name], p.kind))
    for name, b in later.named_buffers():
        if name.endswith("gate.bias"):
            b.copy_(share * b + (1 - share) * buffers[name])
    return later


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("later", type=pathlib.Path)
    p.add_argument("earlier", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--share", type=float, default=0.75, help="of the later one")
    args = p.parse_args()
    model = average(load.load(args.later), load.load(args.earlier), args.share)
    export.write_checkpoint(model, args.out, args.later / "tokenizer.json")


if __name__ == "__main__":
    main()
