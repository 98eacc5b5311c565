"""What is asked about a list or a text that the conversation holds: recall, copying, needles, and what is most common.

Several questions may be asked about one.  `held` as in skills.py.
"""
import tables
from skills import Turn, made_up, pick

RECALL = ["What is written next to {}?", "What is beside {}?", "What comes with {}?", "What is the value of {}?", "Which value has {}?", "What belongs to {}?", "{}?", "Give me the value of {}.",
          "What was the value of {}?", "And {}?", "What about {}?", "Look up {}.", "What is {} in the list?", "Find {}.",
          "What does the list say about {}?", "Tell me what {} has.", "What goes with {}?", "Value of {}?", "{}",
          "Which one belongs to {}?", "What is listed for {}?", "Tell me the value of {}.", "What does {} have?",
          "What did the list say about {}?", "Look for {}.", "Please give me the value of {}.", "What is next to {}?"]


def pairs(rng, n, held=False):
    """n different keys, each with a thing, a color or a number of two digits."""
    keys = rng.sample(tables.THINGS, min(n, len(tables.THINGS)))
    kinds = ["thing", "color", "number", "name"]
    kind = rng.choice(kinds if held else kinds + ["number", "number"])   # digits are harder to learn
    make = {"thing": lambda: rng.choice(tables.THINGS), "color": lambda: rng.choice(tables.COLORS),
            "number": lambda: str(rng.randrange(10, 100)), "name": lambda: rng.choice(tables.NAMES)}[kind]
    return [(k, make()) for k in keys]


LISTS = ["Here is a list: {}.", "Remember this list: {}.", "Keep these in mind: {}.", "Read this list: {}.", "List: {}.",
         "My list is this: {}.", "I give you a list: {}.", "These are the values: {}.", "Learn these: {}.",
         "This is the list: {}.", "Please remember: {}.", "Here are some values: {}."]


def recall(rng, held, n=None, questions=1):
    """A list, and turns that ask for values; the first turn holds the list."""
    table = pairs(rng, n or rng.choice([4, 6, 8, 12, 16, 24, 32, 48, 64]), held)
    text = pick(rng, LISTS, held).format(", ".join(f"{k}: {v}" for k, v in table))
    turns = []
    for k, v in rng.choices(table, k=questions):
        turns.append(Turn("recall", pick(rng, RECALL, held).format(k), f"{k}: {v}", v))
    turns[0].user = f"{text} {turns[0].user}"
    return turns


COPY = ["Repeat this: {}.", "Repeat: {}.", "Say this again: {}.", "Write this again: {}.", "Copy this: {}.", "Please repeat: {}."]
AGAIN = ["Say the list again.", "Repeat the list.", "Write the list again.", "What was the list?", "Show me the list."]


def copying(rng, held, longest=60):
    """Word by word, or a list: every token of the answer must be found in what was read, which recall needs, too."""
    n = rng.randrange(3, longest)
    if rng.random() < 0.5:
        text = ", ".join(f"{k}: {v}" for k, v in pairs(rng, max(2, n // 4)))
    else:
        words = rng.choice([tables.THINGS, tables.THINGS + tables.COLORS, tables.NAMES, [str(i) for i in range(10, 100)],
                            [made_up(rng).capitalize() for _ in range(8)],
                            [str(rng.randrange(10 ** rng.randrange(1, 5))) for _ in range(8)]])
        text = " ".join(rng.choice(words) for _ in range(n))
    return Turn("copying", pick(rng, COPY, held).format(text), text, text)


def list_again(rng, first):
    """A turn that asks for the list of recall's first turn."""
    text = first.user[first.user.index(": ") + 2:first.user.index(". ")]
    return Turn("copying", pick(rng, AGAIN, False), text, text)


ASK = ["What is the {kind} of the {place}?", "Which {kind} has the {place}?", "Do you know the {kind} of the {place}?",
       "Find the {kind} of the {place}.", "The {kind} of the {place}?", "Give me the {kind} of the {place}.",
       "What was the {kind} of the {place}?", "Please find the {kind} of the {place}.", "{kind} of the {place}?",
       "Tell me the {kind} of the {place}.", "Say the {kind} of the {place}.", "I need the {kind} of the {place}."]
KINDS = ["secret word", "password", "code"]


def sentence(rng):
    who = rng.choice(tables.NAMES) if rng.random() < 0.4 else f"The {rng.choice(tables.ADJECTIVES)} {rng.choice(tables.PEOPLE)}"
    return f"{who} {rng.choice(tables.VERBS)} the {rng.choice(tables.PLACES)} {rng.choice(tables.WHEN)}."


def needle(rng, held, size, questions=1):
    """About `size` tokens of filler (a sentence has about ten) with needles somewhere in it."""
    lines = [sentence(rng) for _ in range(max(2, size // 10 - 4))]
    places = rng.sample(tables.OBJECTS, max(questions, rng.randrange(1, 5)))
    turns = []
    for place in places:
        kind = rng.choice(KINDS)
        value = rng.choice(tables.THINGS) if rng.random() < (0.7 if held else 0.5) else str(rng.randrange(10, 100))
        lines.insert(rng.randrange(len(lines) + 1), f"The {kind} of the {place} is {value}.")
        turns.append(Turn("needle", pick(rng, ASK, held).format(kind=kind, place=place),
                          f"The {kind} of the {place} is {value}.", value))
    rng.shuffle(turns)
    turns = turns[:questions]
    turns[0].user = f"Read this text. {' '.join(lines)} {turns[0].user}"
    return turns


MOST = ["Which color do most flags have?", "What is the color of most flags?", "Most flags have which color?", "Name the most common color.",
        "What color is the most common?", "Which color occurs most often?", "Tell me the color of most flags.", "The most common color?",
        "Find the color of most flags.", "What color do most flags have?", "Which color is the most common?", "Say the color of most flags."]


def flag(rng, color):
    return f"The {rng.choice(tables.PLACES)} has a {color} flag."


def majority(rng, held, size):
    """About `size` tokens with flags of four colors all over them, 40 % of one: no sentence tells it, all of them do."""
    lines = [sentence(rng) for _ in range(max(9, size // 10 - 4) * 2 // 3)]
    colors = rng.sample(tables.COLORS, 4)
    flags = len(lines) // 2
    most = max(2, round(0.4 * flags))
    for i in range(flags):
        color = colors[0] if i < most else colors[1 + i % 3]
        lines.insert(rng.randrange(len(lines) + 1), flag(rng, color))
    user = f"Read this text. {' '.join(lines)} {pick(rng, MOST, held)}"
    return [Turn("majority", user, f"Most flags are {colors[0]}.", colors[0])]


# ---- two steps: what is most common, which all rows of ratio 128 tell together, and what is said of it, in one row of ratio 4

def half_of_one(rng, n):
    """n colors of four, half of them the first, but none of those in the last fifth, which the window sees:
    -> (the four, the n)."""
    colors = rng.sample(tables.COLORS, 4)
    many = [colors[0] if 2 * i < n else colors[1 + i % 3] for i in range(n)]
    others = [many.pop() for _ in range(n // 5)]
    rng.shuffle(many)
    return colors, many + others


ASK_COMMON = ["What is the {kind} of the {place} with the color of most flags?", "Which {kind} has the {place} of the most common color?",
              "Find the {kind} of the {place} that has the color of most flags.", "The {kind} of the {place} of the most common color?",
              "Look which color is the most common and tell me the {kind} of that {place}.",
              "What color are most flags, and what is the {kind} of that {place}?",
              "Give me the {kind} of the {place} with the most common color.", "Tell me the {kind} of the {place} of the color of most flags.",
              "Say the {kind} of the {place} with the most common color.", "I need the {kind} of the {place} of the color that most flags have."]


def common_needle(rng, held, size):
    """A text with flags of four colors all over it and a needle for each color: the one of the most common is asked for."""
    lines = [sentence(rng) for _ in range(max(8, (size - 80) * 2 // 27))]   # ten tokens each, a flag has seven
    colors, flags = half_of_one(rng, max(6, len(lines) // 2))
    kind, place = rng.choice(KINDS), rng.choice(tables.OBJECTS)
    values = [rng.choice(tables.THINGS) if rng.random() < 0.5 else str(rng.randrange(10, 100)) for _ in colors]
    needles = [f"The {kind} of the {color} {place} is {value}." for color, value in zip(colors, values)]
    at = sorted(rng.randrange(len(lines) + 1) for _ in flags)
    for i, color in reversed(list(zip(at, flags))):
        lines.insert(i, flag(rng, color))
    for line in needles:
        lines.insert(rng.randrange(len(lines) + 1), line)
    user = f"Read this text. {' '.join(lines)} {pick(rng, ASK_COMMON, held).format(kind=kind, place=place)}"
    return [Turn("common-needle", user, f"Most flags are {colors[0]}. {needles[0]}", values[0])]


RECALL_COMMON = ["What is the value of the most common color?", "Which value has the most common color?", "What has the color that most have?",
                 "Look which color is the most common and tell me its value.", "Give me the value of the most common color.",
                 "Which color do most have, and what is its value?", "The value of the most common color?",
                 "Find the value of the color that most have.", "Tell me the value of the color that most have.",
                 "I need the value of the most common color."]


def common_recall(rng, held, n):
    """A list of n things with their colors, half of them one color, and with a value for each color."""
    colors, many = half_of_one(rng, n)
    lines = [f"{thing}: {color}" for thing, color in zip(rng.sample(tables.THINGS, n), many)]
    values = rng.sample(range(10, 100), len(colors))
    for color, value in zip(colors, values):
        lines.insert(rng.randrange(len(lines) + 1), f"{color}: {value}")
    user = f"{pick(rng, LISTS, held).format(', '.join(lines))} {pick(rng, RECALL_COMMON, held)}"
    return [Turn("common-recall", user, f"Most are {colors[0]}. {colors[0]}: {values[0]}", str(values[0]))]
