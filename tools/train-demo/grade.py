"""The trainer's own accuracy on a suite, and where its greedy answers differ from the runtime's.

    /usr/bin/python3 grade.py DIR SUITE.jsonl ANSWERS.jsonl [--only REGEX] [--damage random-index|no-hca|no-csa] [--most 256]

DIR is a checkpoint, or a run.  ANSWERS is what `ggl-eval --suite SUITE --answers ANSWERS` wrote.  A pass over a prompt with the runtime's answer behind
it tells how far the two agree; from there on the model goes on by itself.
"""
import argparse
import collections
import json
import pathlib
import re

import torch

import chat
import load
import tokenizer
from model import Notes


def completion(answer):
    """The text that the model wrote, from the parts that it was parsed into."""
    calls = chat.render_calls(answer["tool_calls"]) if "tool_calls" in answer else ""
    think = (answer.get("reasoning") or "") + chat.END_THINK if answer["thinking"] else ""
    return think + (answer.get("answer") or "") + calls + chat.EOS


def argmaxes(model, ids, start, damage):
    """The most likely token behind each place from `start` - 1 on."""
    rows = model.rows(model.hidden(torch.tensor([ids]), Notes(damage=damage)))
    return model.logits(rows[start - 1:]).argmax(-1).tolist()


@torch.no_grad()
def greedy(model, prompt, guess, end, most, damage=None):
    """-> the answer's tokens, at most so many."""
    answer = list(guess)
    while True:
        best = argmaxes(model, prompt + answer, len(prompt), damage)
        agree = next((i for i, t in enumerate(answer) if best[i] != t), len(answer))
        if agree == len(answer) and answer and answer[-1] == end:
            return answer
        answer = answer[:agree] + [best[agree]]
        if answer[-1] == end or len(answer) >= most:
            return answer


def parse(text, thinking):
    """-> content and calls (None: malformed)."""
    text = text.removesuffix(chat.EOS)
    content = text.split(chat.END_THINK, 1)[-1] if thinking else text
    content, _, block = content.partition(f"\n\n<{chat.DSML}tool_calls>")
    calls = []
    for name, body in re.findall(rf'<{chat.DSML}invoke name="([^"]*)">(.*?)</{chat.DSML}invoke>', block, re.S):
        found = re.findall(rf'<{chat.DSML}parameter name="([^"]*)" string="(true|false)">(.*?)</{chat.DSML}parameter>', body, re.S)
        try:
            calls.append(dict(name=name, arguments={k: v if kind == "true" else json.loads(v) for k, kind, v in found}))
        except ValueError:
            return content, None
    return content, calls


def is_right(item, text):
    content, calls = parse(text, item["thinking"])
    if item["match"] == "calls":
        return calls == item["expected"]
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(item['expected'])}(?![A-Za-z0-9])", content) is not None


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("dir", "suite", "answers"):
        p.add_argument(name, type=pathlib.Path)
    p.add_argument("--only", metavar="REGEX", default="", help="skills whose names begin so")
    p.add_argument("--most", type=int, default=256, help="tokens of an answer; one that is cut is wrong")
    p.add_argument("--damage", choices=["random-index", "no-hca", "no-csa"])
    args = p.parse_args()
    tok = tokenizer.Tokenizer(args.dir / "tokenizer.json")
    model = load.open_model(args.dir)
    items = {i["id"]: i for i in map(json.loads, args.suite.read_text(encoding="utf-8").splitlines())}
    counts, different = collections.defaultdict(lambda: [0, 0]), []
    for answer in map(json.loads, args.answers.read_text(encoding="utf-8").splitlines()):
        item = items[answer["id"]]
        if not re.match(args.only, item["skill"]):
            continue
        prompt = tok.encode(chat.prompt(item["messages"], item["thinking"]))
        guess = tok.encode(completion(dict(answer, thinking=item["thinking"])))
        mine = greedy(model, prompt, guess, tok.added[chat.EOS], args.most, args.damage)
        right = mine[-1] == tok.added[chat.EOS] and is_right(item, tok.decode(mine))
        counts[item["skill"]][0] += 1
        counts[item["skill"]][1] += right
        if mine != guess:
            different.append((answer["id"], answer["right"], right))
    for skill, (n, right) in counts.items():
        print(f"{skill:12} {n:4} {right:4} {100 * right / n:6.1f} %")
    n, right = (sum(c[i] for c in counts.values()) for i in (0, 1))
    print(f"{'total':12} {n:4} {right:4} {100 * right / n:6.1f} %")
    print(f"{len(different)} answers differ from the runtime's; right there and wrong here "
          f"{sum(a and not b for _, a, b in different)}, the other way round {sum(b and not a for _, a, b in different)}")
    for name, there, here in different:
        print(f"  {name}: right there: {there}, here: {here}")


if __name__ == "__main__":
    main()
