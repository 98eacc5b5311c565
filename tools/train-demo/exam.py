"""How many answers are right, by skill, on held-out turns.

An answer counts if every token of it, reasoning included, is the most likely one behind the tokens before: then, and
only then, greedy decoding writes exactly this answer.  One pass tells that for many questions at once.

    /usr/bin/python3 exam.py DIR [--questions 40] [--only REGEX] [--damage random-index|no-hca|no-csa]

DIR is a checkpoint, or a run that is still going on.
"""
import argparse
import collections
import pathlib
import random
import re

import torch

import batches
import data
import load
import reading_skills
import skills
import tokenizer
import tool_skills
from model import Notes


def questions(n, seed, long=False):
    """(skill, messages, thinking) with the answer as the last message."""
    rng = random.Random(seed)
    for skill, _, make in data.PLAN:
        for i in range(n):
            yield skill, data.as_messages([make(rng, True)]), skill in data.ALWAYS_THINKING or i % 2 == 0
    for i in range(n):
        yield "sum-direct", data.as_messages([skills.addition(rng, True)]), False
        yield "recall-16", data.as_messages(reading_skills.recall(rng, True, 16)), i % 2 == 0
        yield "recall-64", data.as_messages(reading_skills.recall(rng, True, 64)), i % 2 == 0
        for skill, make in data.READING.items():
            size = 60 if skill == "common-recall" else 200
            yield f"{skill}-{size}", data.as_messages(make(rng, True, size)), i % 2 == 0
        messages = tool_skills.conversation(rng, True)[0]
        at = next(i for i, m in enumerate(messages) if m["role"] == "assistant")
        yield "tool-call", messages[:at + 1], i % 2 == 0
    for i in range(n if long else 0):
        for size in (1000, 4000) if i < n // 4 else (1000,):
            for skill in ("needle", "majority", "common-needle"):
                yield f"{skill}-{size // 1000}k", data.as_messages(data.READING[skill](rng, True, size)), i % 2 == 0


@torch.no_grad()
def take(model, tok, n=16, seed=99, long=False, damage=None, only=""):
    """-> {skill: share of right answers}."""
    asked = []
    for skill, messages, thinking in questions(n, seed, long):
        if not re.match(only, skill):
            continue
        ids, trained = data.encode(tok, messages, thinking)
        asked.append((ids, trained, skill))
    right = collections.defaultdict(list)
    asked.sort(key=lambda a: len(a[0]))
    was_training = model.training
    model.eval()
    while asked:
        size = max(1, 4096 // len(asked[-1][0]))
        group, asked = asked[-size:], asked[:-size]
        ids = batches.pad([(i, t) for i, t, _ in group])[0].to(model.embed.weight.device)
        rows = model.rows(model.hidden(ids, Notes(damage=damage))).view(*ids.shape, -1)
        for row, (tokens, trained, skill) in zip(rows, group):
            last = max(i for i, t in enumerate(trained) if not t) + 1   # the last answer only
            best = model.logits(row[last - 1:len(tokens) - 1]).argmax(-1)
            right[skill].append(best.tolist() == tokens[last:])
    model.train(was_training)
    return {skill: sum(r) / len(r) for skill, r in sorted(right.items())}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("--questions", type=int, default=40, help="of each skill")
    p.add_argument("--only", metavar="REGEX", default="", help="skills whose names begin so")
    p.add_argument("--damage", choices=["random-index", "no-hca", "no-csa"])
    args = p.parse_args()
    tok = tokenizer.Tokenizer(args.dir / "tokenizer.json")
    results = take(load.open_model(args.dir), tok, args.questions, long=True, damage=args.damage, only=args.only)
    for skill, share in results.items():
        print(f"{skill:16} {100 * share:6.1f} %")


if __name__ == "__main__":
    main()
