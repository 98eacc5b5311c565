"""What the model learns from: conversations grouped by length and padded."""
import random

import torch

import data

PAD = 2
EDGES = (32, 64, 128, 192, 256, 384, 512, 768, 1152, 2048, 4096)
PROMPT_WEIGHT = 0.1   # what the model reads counts a little, too: that teaches the words


def pad(conversations, length=None):
    """-> ids (b, t) and weights (b, t): how much predicting the token counts."""
    t = length or max(len(ids) for ids, _ in conversations)
    ids = torch.full((len(conversations), t), PAD)
    weights = torch.zeros(len(conversations), t)
    for i, (row, trained) in enumerate(conversations):
        ids[i, :len(row)] = torch.tensor(row)
        weights[i, 1:len(row)] = torch.where(torch.tensor(trained[1:]), 1.0, PROMPT_WEIGHT)
    return ids, weights


class Source:
    """Sorts conversations by length, and hands out a batch when one is full: all batches have one of few shapes."""

    def __init__(self, tok, mix, seed, tokens=2048):
        self.mix = mix
        self.tok, self.rng, self.tokens = tok, random.Random(seed), tokens
        self.waiting = {edge: [] for edge in EDGES}

    def batch(self, progress):
        kinds = self.mix(progress)
        while True:
            kind, _, longest = self.rng.choices(kinds, [w for _, w, _ in kinds])[0]
            ids, trained = data.encode(self.tok, *data.conversation(self.rng, kind, longest))
            if len(ids) > max(longest, 384):
                continue
            edge = next(e for e in EDGES if len(ids) <= e)
            self.waiting[edge].append((ids, trained))
            if len(self.waiting[edge]) * edge > self.tokens - edge:
                full, self.waiting[edge] = self.waiting[edge], []
                return pad(full, edge)
