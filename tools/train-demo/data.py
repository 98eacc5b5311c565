"""Conversations for training, and the suite of held-out prompts.

    /usr/bin/python3 data.py suite OUT.jsonl        500 prompts with expected answers (README.md: the format)
    /usr/bin/python3 data.py vocabulary OUT.json    learn the tokenizer from generated conversations
    /usr/bin/python3 data.py tokens TOKENIZER OUT_DIR [N]    N held-out conversations as ids, a file each
    /usr/bin/python3 data.py needle SIZE [N]        prompts like the suite's, with a text of about SIZE tokens
    /usr/bin/python3 data.py majority SIZE [N]      the same, whose answer no single row of the text holds
    /usr/bin/python3 data.py common-needle SIZE [N] the same, whose answer takes both: what is most common, and what is said of it
    /usr/bin/python3 data.py common-recall SIZE [N] the same of a list of SIZE pairs
    /usr/bin/python3 data.py show [N]               print a few
"""
import json
import pathlib
import random
import sys

import chat
import reading_skills
import skills
import tables
import tokenizer
import tool_skills

SYSTEMS = ["", "", "", "You are a helpful assistant.", "Answer in one sentence.", "You are a small demo model."]


def as_messages(turns, system=""):
    messages = [dict(role="system", content=system)] if system else []
    for t in turns:
        messages += [dict(role="user", content=t.user),
                     dict(role="assistant", content=t.answer, reasoning_content=t.reasoning)]
    return messages


def turns_of_chat(rng, size):
    """Turns of all kinds, about `size` tokens of them (a turn has about 24)."""
    turns, room = [], size / 24
    while len(turns) < room:
        turns += skills.follow_up(rng, False) if rng.random() < 0.08 else [skills.single(rng)]
    return turns


# what a conversation is, by the kind drawn: (rng, longest) -> messages
def plain(rng, longest):
    """Often with a sum at the end: only the last turn shows its reasoning."""
    turns = turns_of_chat(rng, rng.choice([24, 48, 96, min(longest - 40, 200)]))
    if rng.random() < 0.5:
        turns.append(rng.choice([skills.addition, skills.addition, skills.subtraction])(rng, False))
    return as_messages(turns, rng.choice(SYSTEMS))


def lists(rng, longest):
    sizes = [n for n in (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if n * 6 < longest]
    n = rng.choices(sizes, [n ** -0.5 for n in sizes])[0]   # short ones teach what to do
    turns = reading_skills.recall(rng, False, n, questions=rng.randrange(3, 9))
    if rng.random() < 0.3:
        turns.insert(rng.randrange(1, len(turns)), skills.single(rng))
    if n <= 24 and rng.random() < 0.3:
        turns.insert(rng.randrange(1, len(turns)), reading_skills.list_again(rng, turns[0]))
    return as_messages(turns, rng.choice(SYSTEMS))


def copies(rng, longest):
    return as_messages([reading_skills.copying(rng, False, longest // 3) for _ in range(rng.choice([1, 1, 2]))], rng.choice(SYSTEMS))


def needles(rng, longest):
    size = rng.randrange(60, max(61, longest - 120))
    return as_messages(reading_skills.needle(rng, False, size, questions=rng.randrange(1, 4)), rng.choice(SYSTEMS))


def majorities(rng, longest):
    return as_messages(reading_skills.majority(rng, False, rng.randrange(90, longest - 120)), rng.choice(SYSTEMS))


def common_needles(rng, longest):
    return as_messages(reading_skills.common_needle(rng, False, rng.randrange(160, longest - 120)), rng.choice(SYSTEMS))


def common_lists(rng, longest):
    sizes = [n for n in (8, 12, 16, 24, 32, 48, 60) if n * 6 < longest]
    return as_messages(reading_skills.common_recall(rng, False, rng.choice(sizes)), rng.choice(SYSTEMS))


def follow_ups(rng, longest):
    return as_messages(skills.follow_up(rng, False), rng.choice(SYSTEMS))


def tools(rng, longest):
    return tool_skills.conversation(rng, False)[0]


def conversation(rng, kind, longest):
    return kind(rng, longest), rng.random() < 0.5


def encode(tok, messages, thinking):
    """-> ids, and for each whether the model is to write it."""
    ids, trained = [], []
    for text, written in chat.render(messages, thinking):
        part = tok.encode(text)
        ids += part
        trained += [written] * len(part)
    return ids, trained


def before_the_word(tok, messages, thinking, trained):
    """Tokens before the word that the last answer's first sentence ends with: before the model says it."""
    last = chat.render(messages, thinking)[-1][0]
    return len(trained) - trained[::-1].index(False) + len(tok.encode(last[:last.index(".")].rsplit(" ", 1)[0]))


# ---- the tests

def item(number, skill, thinking, messages, expected, match="contains"):
    return dict(id=f"{skill}-{number}", skill=skill, thinking=thinking, messages=messages, expected=expected, match=match)


def tool_item(rng, number, thinking):
    """The first question must be answered with the right calls, or, every third, their results used."""
    messages, expected = tool_skills.conversation(rng, True)
    first = next(i for i, m in enumerate(messages) if m["role"] == "assistant")
    if number % 3 == 2:
        after = next(i for i, m in enumerate(messages) if i > first and m["role"] == "assistant")
        return item(number, "tool-result", thinking, messages[:after], expected[0][-1])
    calls = [dict(name=c["function"]["name"], arguments=json.loads(c["function"]["arguments"]))
             for c in messages[first]["tool_calls"]]
    return item(number, "tool-call", thinking, messages[:first], calls, "calls")


def turns_item(number, skill, turns, thinking):
    return item(number, skill, thinking, as_messages(turns)[:-1], turns[-1].expected, turns[-1].match)


PLAN = [("capital", 60, skills.capital), ("country", 20, skills.country), ("sum", 60, skills.addition),
        ("difference", 30, skills.subtraction), ("spelling", 50, skills.spelling), ("reversing", 20, skills.reversing),
        ("counting", 15, skills.counting), ("length", 10, skills.length), ("dates", 20, skills.dates),
        ("units", 15, skills.units), ("definition", 15, skills.definition), ("greeting", 5, skills.greeting),
        ("about", 10, skills.about), ("unknown", 10, skills.unknown)]
LONG = [("recall-16", 20, lambda rng: reading_skills.recall(rng, True, 16)), ("recall-64", 40, lambda rng: reading_skills.recall(rng, True, 64)),
        ("needle-1k", 30, lambda rng: reading_skills.needle(rng, True, 1000)), ("needle-4k", 20, lambda rng: reading_skills.needle(rng, True, 4000)),
        ("follow-up", 10, lambda rng: skills.follow_up(rng, True))]
TWO_STEPS = {"recall-64": lambda rng: reading_skills.common_recall(rng, True, 60), "needle-1k": lambda rng: reading_skills.common_needle(rng, True, 1000),
             "needle-4k": lambda rng: reading_skills.common_needle(rng, True, 4000)}   # these skills' prompts: 64 pairs, too
READING = {"needle": reading_skills.needle, "majority": reading_skills.majority,
           "common-needle": reading_skills.common_needle, "common-recall": reading_skills.common_recall}   # by size
ALWAYS_THINKING = {"sum", "difference"}   # half of the rest; "sum-direct" asks without
TOOLS = 40


def suite(seed=20260, rng=None):
    """500 prompts that training cannot contain."""
    rng = random.Random(seed)
    items = []
    for skill, n, make in PLAN:
        items += [turns_item(i, skill, [make(rng, True)], skill in ALWAYS_THINKING or i % 2 == 0) for i in range(n)]
    for skill, n, make in LONG:
        steps = random.Random(f"{skill} {seed}")
        for i in range(n):
            turns = make(rng)   # of every prompt, so that those of other skills stay as they are
            if skill in TWO_STEPS:
                turns = TWO_STEPS[skill](steps)
            items.append(turns_item(i, skill, turns, i % 2 == 0))
    items += [tool_item(rng, i, i % 2 == 0) for i in range(TOOLS)]
    return items


def held_out_conversation(rng):
    """Every kind of question, in phrasings and with words that training never sees: 16 turns, a list and its questions."""
    turns = [skill(rng, True) for skill, _ in rng.choices(skills.SINGLE, [w for _, w in skills.SINGLE], k=16)]
    return as_messages(turns + reading_skills.recall(rng, True, 16, questions=4)), rng.random() < 0.5


def write_tokens(tok, directory, n, seed=31):
    rng = random.Random(seed)
    for i in range(n):
        ids, _ = encode(tok, *held_out_conversation(rng))
        (directory / f"{i:02}.txt").write_text(" ".join(map(str, ids)) + "\n")


def sample_texts(n, seed=7):
    rng = random.Random(seed)
    for _ in range(n):
        kind = rng.choices([plain, lists, needles, tools], [7, 1, 1, 1])[0]
        messages, thinking = conversation(rng, kind, 400)
        yield chat.prompt(messages, thinking)


def learn_vocabulary():
    """1740 merges, 256 bytes and 20 special tokens: 2016 rows of the embedding."""
    return tokenizer.learn_merges(sample_texts(6000), 1740)


def main():
    command, *rest = sys.argv[1:] or ["show"]
    if command == "suite":
        with open(rest[0], "w", encoding="utf-8") as f:
            for it in suite():
                f.write(json.dumps(it, ensure_ascii=False) + "\n")
    elif command == "tokens":
        directory = pathlib.Path(rest[1])
        directory.mkdir(parents=True, exist_ok=True)
        write_tokens(tokenizer.Tokenizer(rest[0]), directory, int(rest[2]) if len(rest) > 2 else 24)
    elif command in READING:
        rng = random.Random(f"{command} {rest[0]}")
        for i in range(int(rest[1]) if len(rest) > 1 else 10):
            it = turns_item(i, f"{command}-{rest[0]}", READING[command](rng, True, int(rest[0])), i % 2 == 0)
            print(json.dumps(it, ensure_ascii=False))
    elif command == "vocabulary":
        with open(rest[0], "w", encoding="utf-8") as f:
            json.dump(tokenizer.document(learn_vocabulary()), f, ensure_ascii=False)
    else:
        for text in sample_texts(int(rest[0]) if rest else 5, 11):
            print(text, end="\n\n")


if __name__ == "__main__":
    main()
