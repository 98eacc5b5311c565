"""What the model is taught: each skill makes one turn of a conversation.

`held` turns use phrasings, words and numbers that training never sees; facts (capitals, definitions) are the same.
"""
import dataclasses
import random

import tables


@dataclasses.dataclass
class Turn:
    skill: str
    user: str
    answer: str
    expected: str                # must occur in the answer, with no letter or digit beside it
    reasoning: str = ""
    match: str = "contains"


def pick(rng, phrasings, held):
    """The last quarter of the phrasings, at least one, is for tests."""
    n = max(1, len(phrasings) // 4)
    return rng.choice(phrasings[-n:] if held else phrasings[:-n])


OFFER = "Ask me for a capital, a sum, a unit, a day or month, or a word to spell."
HELLO, WELCOME, FINE, BYE = f"Hello! {OFFER}", "You are welcome!", f"I am fine, thank you! {OFFER}", "Goodbye!"
GREETINGS = [("How are you doing?", FINE), ("How are you now?", FINE), ("How are you this morning?", FINE), ("Are you fine?", FINE),
             ("How do you feel now?", FINE), ("Do you feel well?", FINE), ("And how are you?", FINE), ("Hi there", HELLO),
             ("Hello!", HELLO), ("Hello again!", HELLO), ("Many thanks", WELCOME), ("Thank you a lot!", WELCOME),
             ("Thanks a lot", WELCOME), ("Bye for now", BYE), ("See you!", BYE), ("Hi", HELLO), ("Good morning", HELLO),
             ("Hello, how are you?", FINE), ("How are you?", FINE),
             ("Good evening!", HELLO), ("Thank you!", WELCOME), ("Thanks", WELCOME), ("Bye!", BYE), ("Goodbye", BYE),
             ("Hello", HELLO), ("Hi!", HELLO), ("Hey", HELLO), ("Hey!", HELLO), ("Good day", HELLO), ("Thank you very much", WELCOME),
             ("See you later", BYE), ("How do you do?", FINE), ("Hi, how are you doing?", FINE), ("OK, thanks!", WELCOME),
             ("Great, thank you", WELCOME), ("Ok bye", BYE), ("Thank you so much!", WELCOME), ("Goodbye!", BYE), ("Hello!!", HELLO),
             ("Good morning!", HELLO), ("Good afternoon", HELLO), ("How is it going?", FINE), ("Are you well?", FINE),
             ("Thanks for the help", WELCOME), ("Have a nice day", BYE), ("Good night", BYE), ("Hello, model", HELLO),
             ("Hi, who is there?", HELLO), ("Thanks!", WELCOME), ("How do you feel?", FINE), ("Hi there!", HELLO), ("Many thanks!", WELCOME),
             ("Hello there", HELLO), ("How are you today?", FINE), ("Bye bye", BYE),
             ("Hello to you!", HELLO), ("I thank you!", WELCOME), ("Hello, how do you do?", FINE), ("Goodbye, model", BYE)]

ABOUT = [("who", ["Who is this?", "Who am I talking to?", "Do you have a name?", "Who are you?", "What are you?", "What is your name?", "Tell me who you are.", "Introduce yourself.",
                  "Are you a human?", "Please say who you are.", "Can you tell me who you are?"],
          "I am a small demo model with the architecture of DeepSeek V4.", "small demo model"),
         ("can", ["What can you do for me?", "What do you do?", "What are your skills?", "What are you made for?",
                  "What are you able to answer?", "Tell me what you are able to do.", "What can you do?", "How can you help me?", "What are you good at?", "What do you know?",
                  "What can I ask you?", "Help", "What are you able to do?", "Tell me what you can do.", "What is it that you can do?"],
          "I know capitals, small sums, days, months and units. I can count, spell words, turn them round, find things "
          "in a text and call tools.", "capitals"),
         ("how big", ["How big is this model?", "How many parameters are in you?", "Are you large?", "How big are you?", "How large are you?", "How many parameters do you have?", "Are you big?",
                      "What size are you?", "Tell me how big you are.", "Say how big you are."],
          "I have about ten million parameters, very few for a language model.", "ten million")]


def greeting(rng, held):
    user, answer = pick(rng, GREETINGS, held)
    return Turn("greeting", user, answer, answer.split("!")[0])


def about(rng, held):
    _, questions, answer, expected = rng.choice(ABOUT)
    return Turn("about", pick(rng, questions, held), answer, expected)


CAPITAL = ["What is the capital of {}?", "capital of {}", "Which city is the capital of {}?", "Name the capital of {}.",
           "Tell me the capital of {}.", "What is {}'s capital?", "What is the capital city of {}?",
           "Do you know the capital of {}?", "The capital of {}?", "Please name the capital of {}.",
           "Can you tell me the capital of {}?", "Which city is {}'s capital?", "Say the capital of {}."]
COUNTRY = ["Which country has {} as its capital?", "What country's capital is {}?", "What country has the capital {}?",
           "{} is the capital of which country?", "Which country has the capital {}?", "Of which country is {} the capital?",
           "In which country is {}?", "Where is {}?", "{} is in which country?", "Which country's capital is {}?",
           "Name the country whose capital is {}.", "Tell me the country of {}.", "To which country does {} belong?",
           "In what country is {}?", "{} is the capital of what?", "What country has {} as its capital?",
           "What country is {} in?", "Name the country of {}.", "Which country does {} belong to?"]


def capital(rng, held):
    country = rng.choice(list(tables.CAPITALS))
    city = tables.CAPITALS[country]
    return Turn("capital", pick(rng, CAPITAL, held).format(country), f"The capital of {country} is {city}.", city)


def country(rng, held):
    country = rng.choice(list(tables.CAPITALS))
    city = tables.CAPITALS[country]
    return Turn("country", pick(rng, COUNTRY, held).format(city), f"{city} is the capital of {country}.", country)


SUM = ["What is {a} + {b}?", "{a} + {b}", "{a}+{b}=", "How much is {a} plus {b}?", "Add {a} and {b}.", "Compute {a} + {b}.",
       "What is {a} plus {b}?", "What is the sum of {a} and {b}?", "Calculate {a}+{b}.", "{a} plus {b}", "Sum of {a} and {b}?",
       "Please add {a} and {b}.", "How much is {a} + {b}?", "Tell me {a} plus {b}."]
DIFFERENCE = ["What is {a} - {b}?", "{a} - {b}", "{a}-{b}=", "How much is {a} minus {b}?", "Subtract {b} from {a}.",
              "Compute {a} - {b}.", "What is {a} minus {b}?", "Take {b} away from {a}.", "Calculate {a}-{b}.",
              "How much is {a} - {b}?", "Tell me {a} minus {b}."]


def held_pair(a, b):
    return (a * 31 + b * 17) % 10 == 0


def pair_of_numbers(rng, held):
    while True:
        lowest = 10 if held or rng.random() < 0.85 else 0
        a, b = rng.randrange(lowest, 100), rng.randrange(lowest, 100)
        if held_pair(a, b) == held:
            return a, b


def column_sum(a, b):
    """Digits from the right, one carry at most: 7+5=12, 4+3+1=8."""
    ones = a % 10 + b % 10
    carry = "+1" if ones > 9 else ""
    tens = a // 10 + b // 10 + ones // 10
    return f"{a % 10}+{b % 10}={ones}, {a // 10}+{b // 10}{carry}={tens}, so {a + b}."


def column_difference(a, b):
    """The same for a >= b: 12-5=7, 7-3=4."""
    borrow = a % 10 < b % 10
    tens = a // 10 - borrow
    top = f"1{a % 10}" if borrow else f"{a % 10}"
    return f"{top}-{b % 10}={(a - b) % 10}, {tens}-{b // 10}={tens - b // 10}, so {a - b}."


def addition(rng, held):
    a, b = pair_of_numbers(rng, held)
    return Turn("sum", pick(rng, SUM, held).format(a=a, b=b), f"{a}+{b}={a + b}", str(a + b), column_sum(a, b))


def subtraction(rng, held):
    a, b = pair_of_numbers(rng, held)
    if a < b:
        a, b = b, a
    return Turn("difference", pick(rng, DIFFERENCE, held).format(a=a, b=b), f"{a}-{b}={a - b}", str(a - b),
                column_difference(a, b))


COUNT = ["Count from {a} to {b}.", "count from {a} to {b}", "Please count from {a} to {b}.", "Count {a} to {b}",
         "List the numbers from {a} to {b}.", "Write the numbers from {a} to {b}.", "Numbers from {a} to {b}",
         "Tell me the numbers from {a} to {b}.", "Count up from {a} to {b}.", "Say the numbers from {a} to {b}.",
         "Can you count from {a} to {b}?", "Count for me from {a} to {b}.", "Give me the numbers from {a} to {b}."]


def counting(rng, held):
    a = rng.randrange(0, 60)
    while (a % 7 == 3) != held:
        a = rng.randrange(0, 60)
    b = a + rng.randrange(3, 11)
    numbers = ", ".join(str(i) for i in range(a, b + 1))
    return Turn("counting", pick(rng, COUNT, held).format(a=a, b=b), numbers, numbers)


SPELL = ['Spell the word "{}".', 'How do you spell "{}"?', 'Spell "{}"', 'spell "{}"', 'Please spell "{}".',
         'Write the letters of "{}".', 'Spell "{}" for me.', 'What letters are in "{}"?', 'Can you spell "{}"?',
         'Give me the letters of "{}".', 'Spell out "{}".']
REVERSE = ['Write the word "{}" backwards.', 'Can you turn "{}" round?', 'Say the word "{}" backwards.', 'Reverse the word "{}".',
           'Spell "{}" backwards.', 'Turn "{}" round.', 'reverse "{}"', 'Write "{}" backwards.', 'What is "{}" backwards?',
           'Please reverse "{}".', 'Can you reverse "{}"?', 'Say "{}" backwards.', 'Please write "{}" backwards.']
LENGTH = ['What is the length of "{}"?', 'Number of letters in "{}"?', 'How many letters has "{}"?',
          'Say how many letters "{}" has.', 'How many letters are there in "{}"?', 'Give me the number of letters in "{}".',
          'Count the letters in "{}".', 'How many letters are in "{}"?', 'How long is the word "{}"?', 'Count the letters of "{}".',
          'How many letters does "{}" have?', 'Tell me the number of letters in "{}".', 'Please count the letters of "{}".',
          'How many letters make "{}"?']


def word(rng, held):
    at = rng.randrange(len(tables.WORDS))
    while (at % 5 == 0) != held:
        at = rng.randrange(len(tables.WORDS))
    return tables.WORDS[at]


def spelling(rng, held):
    w = word(rng, held) if held or rng.random() < 0.7 else made_up(rng)
    return Turn("spelling", pick(rng, SPELL, held).format(w), " ".join(w), " ".join(w))


def reversing(rng, held):
    w = word(rng, held) if held or rng.random() < 0.7 else made_up(rng)
    return Turn("reversing", pick(rng, REVERSE, held).format(w), " ".join(w[::-1]), " ".join(w[::-1]))


def length(rng, held):
    w = word(rng, held) if held or rng.random() < 0.7 else made_up(rng)
    return Turn("length", pick(rng, LENGTH, held).format(w), f"{' '.join(w)}: {len(w)} letters", f"{len(w)} letters")


def made_up(rng):
    """Letters that make no word: nothing but the letters helps to spell them."""
    return "".join(rng.choice("bcdfghjklmnprstvwz" if i % 2 == 0 else "aeiou") if rng.random() < 0.8 else
                   rng.choice("abcdefghijklmnopqrstuvwxyz") for i in range(rng.randrange(3, 9)))


NEXT = ["Which {kind} comes after {x}?", "What {kind} comes after {x}?", "What is the {kind} after {x}?",
        "Name the {kind} that follows {x}.", "{x} is followed by which {kind}?", "Tell me the {kind} after {x}."]
BEFORE = ["Which {kind} comes before {x}?", "What {kind} comes before {x}?", "What is the {kind} before {x}?",
          "Name the {kind} just before {x}.", "Tell me the {kind} before {x}."]
MONTH_LENGTH = ["How many days has {x}?", "How many days are in {x}?", "How long is {x}?", "How many days does {x} have?"]


def dates(rng, held):
    kind, names = rng.choice([("day", tables.DAYS), ("month", tables.MONTHS)])
    i = rng.randrange(len(names))
    if kind == "month" and rng.random() < 0.3:
        days = tables.MONTH_DAYS[i]
        return Turn("dates", pick(rng, MONTH_LENGTH, held).format(x=names[i]), f"{names[i]} has {days} days.", str(days))
    step, phrasings = rng.choice([(1, NEXT), (-1, BEFORE)])
    other = names[(i + step) % len(names)]
    how = "after" if step == 1 else "before"
    return Turn("dates", pick(rng, phrasings, held).format(kind=kind, x=names[i]),
                f"The {kind} {how} {names[i]} is {other}.", other)


CONVERT = ["How many {to} are {n} {of}?", "How many {to} are in {n} {of}?", "Convert {n} {of} to {to}.",
           "{n} {of} in {to}?", "What are {n} {of} in {to}?", "How many {to} have {n} {of}?", "Change {n} {of} to {to}.",
           "{n} {of} to {to}", "Tell me how many {to} {n} {of} are.", "Express {n} {of} in {to}.",
           "How many {to} make {n} {of}?", "Please convert {n} {of} to {to}."]


def units(rng, held):
    of, to, factor = rng.choice(tables.UNITS)
    n = rng.randrange(2, 13)
    return Turn("units", pick(rng, CONVERT, held).format(n=n, of=of, to=to), f"{n} {of} are {n * factor} {to}.",
                str(n * factor), f"{n}*{factor}={n * factor}")


DEFINE = ["Say what {a} {x} is.", "What is {a} {x}?", "Define {x}.", "What does {x} mean?", "Explain the word {x}.", "What is meant by {x}?",
          "Tell me what {a} {x} is."]
MASS = {"gravity", "oxygen", "lightning", "wind"}


def definition(rng, held):
    x = rng.choice(list(tables.DEFINITIONS))
    article = "" if x in MASS else "an" if x[0] in "aeiou" else "a"
    user = pick(rng, DEFINE, held).format(a=article, x=x).replace("  ", " ")
    answer = tables.DEFINITIONS[x][0].upper() + tables.DEFINITIONS[x][1:]
    return Turn("definition", user, answer + ".", answer)


FOLLOW = ["And {}?", "What about {}?", "and {}", "And of {}?", "And what about {}?", "And the one of {}?", "And that of {}?", "{}?",
          "Now {}.", "And for {}?", "Next: {}", "Then {}?", "And {}", "What is it for {}?", "Or {}?", "Same for {}?", "Also {}?",
          "And in {}?", "And what is it for {}?", "What of {}?", "How about {}?", "And how about {}?", "OK, and {}?", "And then {}?",
          "And now {}?"]


def follow_up(rng, held):
    """Capitals, the later questions naming the country only."""
    first = capital(rng, held)
    turns = [first]
    for country in rng.sample(list(tables.CAPITALS), rng.randrange(1, 3)):
        city = tables.CAPITALS[country]
        turns.append(Turn("follow-up", pick(rng, FOLLOW, held).format(country), f"The capital of {country} is {city}.", city))
    return turns


UNKNOWN = ["What is the size of {country}?", "What is the flag of {country}?", "What is the meaning of life?", "Tell me a joke.", "Write a poem about the {place}.", "Who is {name}?",
           "How do I cook {thing}?", "Why is the sky blue?", "What do you think about the {thing}?", "Where do you live?",
           "Do you like {thing}?", "Tell me a story about a {thing}.", "Who is the president of {country}?", "Who won the game?",
           "How many people live in {country}?", "What is the language of {country}?", "Tell me about {country}.",
           "What is the best {thing}?", "Write a program.", "How old are you?", "What is {a} * {b}?", "What is {a} times {b}?",
           "Translate {word} into French.", "I am {adjective} today.", "Can you recommend a {thing}?", "Is {name} at the {place}?",
           "Where is the {place}?", "What is your favorite color?", "What is the weather like?", "What time is it?",
           "Do you know {name}?", "My name is {name}.", "Can you sing?", "What is a {word}?", "What does {word} mean?",
           "Why is the {thing} {adjective}?", "How far is it to {city}?", "What is the news?", "Let us play a game.",
           "Tell me about yourself and the {thing}.", "What do you want?", "When was {name} born?", "Is it true?",
           "Which {thing} is the best?", "Who wrote the {thing}?", "What is love?", "How do I get to {city}?",
           "Draw a {thing}.", "Where can I buy a {thing}?", "I like the {place}.", "What is the population of {country}?"]
TOO_LARGE = ["What is {a} + {b}?", "{a} + {b}", "{a}-{b}", "What is {a} - {b}?", "How much is {a} plus {b}?", "{a}+{b}"]


def unknown(rng, held):
    """What the model was not taught: it says so, and does not invent."""
    if rng.random() < 0.15:
        user = pick(rng, TOO_LARGE, held).format(a=rng.randrange(100, 10000), b=rng.choice([rng.randrange(100), rng.randrange(10000)]))
        return Turn("unknown", user, "I only add and subtract numbers below 100.", "below 100")
    new = [w for w in rng.sample(tables.WORDS, 40) if w not in tables.DEFINITIONS]
    user = pick(rng, UNKNOWN, held).format(
        place=rng.choice(tables.PLACES), name=rng.choice(tables.NAMES), thing=rng.choice(tables.THINGS), word=new[0],
        adjective=rng.choice(tables.ADJECTIVES), country=rng.choice(list(tables.CAPITALS)),
        city=rng.choice(list(tables.CAPITALS.values())), a=rng.randrange(2, 100), b=rng.randrange(2, 100))
    return Turn("unknown", user, f"I do not know that. {OFFER}", "do not know")


SINGLE = [(greeting, 3), (about, 2), (unknown, 4), (capital, 6), (country, 5), (addition, 5), (subtraction, 4), (counting, 4),
          (spelling, 5), (reversing, 4), (length, 3), (dates, 2), (units, 4), (definition, 3)]


def as_typed(rng, text):
    """As people type: small letters, no mark at the end, a greeting in front."""
    if rng.random() < 0.12:
        text = text.lower()
    if rng.random() < 0.1:
        text = text.rstrip("?.!")
    if rng.random() < 0.04:
        text = rng.choice(["Hi! ", "Hello, ", "Please tell me: ", "hi, ", "OK. "]) + text
    return text


def single(rng):
    """For training only."""
    skill = rng.choices([s for s, _ in SINGLE], [w for _, w in SINGLE])[0]
    turn = skill(rng, False)
    turn.user = as_typed(rng, turn.user)
    return turn
