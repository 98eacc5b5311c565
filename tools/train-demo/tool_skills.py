"""Turns that call tools and use their results."""
import json

import tables
from skills import made_up, pick


def schema(name, description, **properties):
    return dict(type="function", function=dict(name=name, description=description, parameters=dict(
        type="object", properties={k: dict(type=t, description=d) for k, (t, d) in properties.items()},
        required=list(properties))))


WEATHER = schema("get_weather", "Get the weather of a city", city=("string", "The city"))
TIME = schema("get_time", "Get the local time of a city", city=("string", "The city"))
MULTIPLY = schema("multiply", "Multiply two numbers", a=("integer", "A number"), b=("integer", "A number"))
PRICE = schema("get_price", "Get the price of a thing", item=("string", "The thing"))

ASK = {
    "get_weather": ["Is it raining in {}?", "What will the weather be in {}?", "The weather of {}?",
                    "What is the weather in {}?", "How is the weather in {}?", "Weather in {}?", "Is it warm in {}?",
                    "Tell me the weather in {}.", "What is the weather like in {}?", "Get the weather of {}.", "Please get the weather of {}."],
    "get_time": ["The time of {}?", "Find the time of {}.", "What is the local time in {}?", "Say the time of {}.",
                 "What time is it in {}?", "Tell me the time in {}.", "Time in {}?", "What is the time in {}?",
                 "How late is it in {}?", "Get the time of {}.", "Please get the time of {}."],
    "multiply": ["Please compute {} * {}.", "Find {} * {}.", "Calculate {} * {}.", "What is {} * {}?",
                 "What is {} times {}?", "Multiply {} by {}.", "{} * {}", "How much is {} times {}?", "Compute {} * {}.", "Please multiply {} by {}."],
    "get_price": ["Say the price of a {}.", "The price of a {}?", "Find the price of a {}.", "What is a {} worth?",
                  "What does a {} cost?", "What is the price of a {}?", "How much is a {}?", "Price of a {}?",
                  "Tell me the price of a {}.", "Please tell me the price of a {}."]}
CONDITIONS = ["sunny", "cloudy", "rainy", "windy", "foggy", "clear"]


def city(rng, held):
    how = 1 if held else rng.random()
    if how < 0.25:
        return made_up(rng).capitalize()   # nothing but reading helps to write it
    if how < 0.6:   # nor this, which has the tokens of names: Mosington, Colombul
        first, last = city(rng, False), city(rng, False)
        return first[:rng.randrange(2, len(first))] + last[rng.randrange(1, len(last) - 1):].lower()
    cities = sorted(set(tables.CAPITALS.values()))
    at = rng.randrange(len(cities))
    while (at % 5 == 0) != held:
        at = rng.randrange(len(cities))
    return cities[at]


def use(rng, held, tool):
    """-> question, arguments, result, answer, what the answer must contain."""
    name = tool["function"]["name"]
    if name == "get_weather":
        where, degrees, sky = city(rng, held), rng.randrange(-5, 40), rng.choice(CONDITIONS)
        return (pick(rng, ASK[name], held).format(where), dict(city=where), dict(temperature=degrees, condition=sky),
                f"It is {sky} in {where}, {degrees} degrees.", sky)
    if name == "get_time":
        where, clock = city(rng, held), f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
        return (pick(rng, ASK[name], held).format(where), dict(city=where), dict(time=clock),
                f"It is {clock} in {where}.", clock)
    if name == "multiply":
        a, b = rng.randrange(11, 100), rng.randrange(11, 100)
        return (pick(rng, ASK[name], held).format(a, b), dict(a=a, b=b), dict(result=a * b), f"{a}*{b}={a * b}", str(a * b))
    thing, price = rng.choice(tables.THINGS), rng.randrange(2, 100)
    return (pick(rng, ASK[name], held).format(thing), dict(item=thing), dict(price=price),
            f"A {thing} costs {price} dollars.", str(price))


def call(number, tool, arguments):
    return dict(id=f"call_{number}", type="function",
                function=dict(name=tool["function"]["name"], arguments=json.dumps(arguments, ensure_ascii=False)))


def conversation(rng, held):
    """System message with one or two tools, then one or two questions that need them."""
    tools = rng.sample([WEATHER, TIME, MULTIPLY, PRICE], rng.randrange(1, 3))
    messages = [dict(role="system", content=rng.choice(["", "You are a helpful assistant."]), tools=tools)]
    calls, expected = 0, []
    both = len(tools) == 2 and rng.random() < (0.3 if held else 0.6)   # two questions at once: two calls in one answer
    for turn in range(1 if both else rng.randrange(1, 3)):
        used = tools if both else [rng.choice(tools)]
        parts = [use(rng, held, tool) for tool in used]
        messages.append(dict(role="user", content=" ".join(p[0] for p in parts)))
        made = [call(calls + i, tool, p[1]) for i, (tool, p) in enumerate(zip(used, parts))]
        names = " and ".join(tool["function"]["name"] for tool in used)
        messages.append(dict(role="assistant", content="", reasoning_content=f"I call {names}.", tool_calls=made))
        messages += [dict(role="tool", tool_call_id=c["id"], content=json.dumps(p[2])) for c, p in zip(made, parts)]
        messages.append(dict(role="assistant", content=" ".join(p[3] for p in parts), reasoning_content=""))
        expected.append([p[4] for p in parts])
        calls += len(used)
    return messages, expected
