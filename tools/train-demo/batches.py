"""What the model learns from: conversations grouped by length and padded."""
import random

import torch

import data

PAD = 2
EDGES = (32, 64, 128, 192, 256, 384, 512, 768, 1152, 2048, 4096)
PROMPT_WEIGHT = 0.1   # what the model reads counts a little, too: that teaches the words


def mix(progress):
    """[(kind, share of conversations, longest)].  Copying what stands in the window comes first: it teaches to look for
    what was there before, without which a list is guessed; then long lists, and long texts towards the end."""
    if progress < 0.12:
        return [(data.plain, 30, 256), (data.copies, 150, 64), (data.lists, 70, 64), (data.needles, 8, 128)]
    kinds = [(data.plain, 45, 256), (data.lists, 40, 256 if progress < 0.25 else 420),
             (data.copies, 15 if progress < 0.3 else 3, 200), (data.needles, 25, 256)]
    if progress >= 0.16:
        kinds.append((data.tools, 8, 700))
    if progress >= 0.3:
        kinds.append((data.needles, 4, 1100))
    if progress >= 0.6:
        kinds.append((data.needles, 1, 4096))
    return kinds


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

    def __init__(self, tok, seed, tokens=2048):
        self.tok, self.rng, self.tokens = tok, random.Random(seed), tokens
        self.waiting = {edge: [] for edge in EDGES}

    def batch(self, progress):
        kinds = mix(progress)
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
