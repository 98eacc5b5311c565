"""What one step learns from: conversations grouped by length and padded, each step's drawn from a seed of its own, so
that a resumed run sees what an uninterrupted one would have.
"""
import random

import torch

import data

PAD = 2
EDGES = (48, 96, 160, 256, 384, 512, 768, 1024, 2048, 4096)
PROMPT_WEIGHT = 0.1   # what the model reads counts a little, too: that teaches the words


def mix(progress):
    """[(kind, share of conversations, longest)]: short ones first, long texts towards the end."""
    middle = 256 if progress < 0.15 else 384
    kinds = [(data.plain, 60, 256), (data.lists, 24, middle), (data.needles, 8, 256)]
    if progress >= 0.1:
        kinds.append((data.tools, 8, 700))
    if progress >= 0.35:
        kinds.append((data.needles, 3, 1100))
    if progress >= 0.7:
        kinds.append((data.needles, 1, 4096))
    return kinds


def draw(tok, rng, progress, tokens):
    """Conversations of about so many tokens in all: [(ids, written by the model)]."""
    kinds = mix(progress)
    out, room = [], tokens
    while room > 0:
        kind, _, longest = rng.choices(kinds, [w for _, w, _ in kinds])[0]
        ids, trained = data.encode(tok, *data.conversation(rng, kind, longest))
        if len(ids) <= longest:
            out.append((ids, trained))
            room -= len(ids)
    return out


def pad(conversations):
    """-> ids (b, t) and weights (b, t): how much predicting the token counts."""
    t = max(len(ids) for ids, _ in conversations)
    ids = torch.full((len(conversations), t), PAD)
    weights = torch.zeros(len(conversations), t)
    for i, (row, trained) in enumerate(conversations):
        ids[i, :len(row)] = torch.tensor(row)
        weights[i, 1:len(row)] = torch.where(torch.tensor(trained[1:]), 1.0, PROMPT_WEIGHT)
    return ids, weights


def groups(conversations):
    """Padded batches of similar lengths."""
    rest = sorted(conversations, key=lambda c: len(c[0]))
    for edge in EDGES:
        fit = [c for c in rest if len(c[0]) <= edge]
        rest = rest[len(fit):]
        if fit:
            yield pad(fit)


def of_step(tok, seed, worker, step, progress, tokens):
    rng = random.Random(f"{seed} {worker} {step}")
    return list(groups(draw(tok, rng, progress, tokens)))
