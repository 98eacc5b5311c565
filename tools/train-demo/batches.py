"""What the model learns from: conversations grouped by length and padded."""
import collections
import random

import torch

import data

PAD = 2
EDGES = (32, 64, 128, 192, 256, 384, 512, 768, 1152, 2048, 4096)
SEEN_ANYWAY = 1 / 8   # of texts that are to be read without rows of ratio 4: it is not by these that they are known
PROMPT_WEIGHT = 0.1   # what the model reads counts a little, too: that teaches the words


def pad(conversations, length=None):
    """-> ids (b, t) and weights (b, t): how much predicting the token counts."""
    t = length or max(len(ids) for ids, *_ in conversations)
    ids = torch.full((len(conversations), t), PAD)
    weights = torch.zeros(len(conversations), t)
    for i, (row, trained, *_) in enumerate(conversations):
        ids[i, :len(row)] = torch.tensor(row)
        weights[i, 1:len(row)] = torch.where(torch.tensor(trained[1:]), 1.0, PROMPT_WEIGHT)
    return ids, weights


class Source:
    """Sorts conversations by length, and hands out a batch when one is full: all batches have one of few shapes."""

    def __init__(self, tok, course, seed, tokens=2048):
        self.course = course
        self.tok, self.rng, self.tokens = tok, random.Random(seed), tokens
        self.waiting = collections.defaultdict(list)

    def batch(self, progress):
        """-> ids, weights, and of each conversation how many tokens see no rows of ratio 4."""
        kinds = self.course.mix(progress)
        while True:
            kind, _, longest = self.rng.choices(kinds, [w for _, w, _ in kinds])[0]
            messages, thinking = data.conversation(self.rng, kind, longest)
            ids, trained = data.encode(self.tok, messages, thinking)
            if len(ids) > max(longest, 384):
                continue
            edge = next(e for e in EDGES if len(ids) <= e)
            same = self.waiting[edge]
            blind = kind in self.course.hidden_from and self.rng.random() >= SEEN_ANYWAY
            same.append((ids, trained, data.before_the_word(self.tok, messages, thinking, trained) if blind else 0))
            if len(same) * edge > self.tokens - edge:
                del self.waiting[edge]
                blind = torch.tensor([b for _, _, b in same])
                if edge >= self.course.LONG and self.rng.random() < self.course.without_csa:
                    blind[:] = edge
                return *pad(same, edge), blind
