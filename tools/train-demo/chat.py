"""Conversations -> the text of the official preview encoding, in pieces that say which of them the model writes.

What the generator uses of the encoding is here: system text with tools, user, assistant with reasoning and calls,
tool results.  ggl-encode renders all of it; check.py compares the two byte for byte.
"""
import json

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT, THINK, END_THINK, DSML = "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜"

TOOLS = """## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<｜DSML｜tool_calls>" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name="$TOOL_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$TOOL_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

%s

You MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.
"""


def dumps(value):
    return json.dumps(value, ensure_ascii=False)


def render_tools(tools):
    return TOOLS % "\n".join(dumps(tool["function"]) for tool in tools)


def render_parameter(name, value):
    kind, text = ("true", value) if isinstance(value, str) else ("false", dumps(value))
    return f'<{DSML}parameter name="{name}" string="{kind}">{text}</{DSML}parameter>'


def render_calls(calls):
    blocks = []
    for call in calls:
        arguments = json.loads(call["function"]["arguments"])
        parameters = "\n".join(render_parameter(k, v) for k, v in arguments.items())
        blocks.append(f'<{DSML}invoke name="{call["function"]["name"]}">\n{parameters}\n</{DSML}invoke>')
    return f"\n\n<{DSML}tool_calls>\n" + "\n".join(blocks) + f"\n</{DSML}tool_calls>"


def _users(messages):
    """Indices at which a user turn begins; results that follow one another are one turn."""
    return [i for i, m in enumerate(messages) if m["role"] == "user" or
            (m["role"] == "tool" and messages[i - 1]["role"] != "tool")]


def render(messages, thinking):
    """-> [(text, written by the model)].  A conversation that ends with a user or a tool ends as a prompt."""
    keep = any("tools" in m for m in messages)
    last = max(_users(messages), default=-1)
    parts = [(BOS, False)]
    for i, m in enumerate(messages):
        if m["role"] == "system":
            tools = "\n\n" + render_tools(m["tools"]) if "tools" in m else ""
            parts.append((m["content"] + tools, False))
        elif m["role"] in ("user", "tool"):
            parts.append((_user_text(messages, i), False))
            if i + 1 == len(messages) or messages[i + 1]["role"] == "assistant":
                shown = thinking and (keep or i >= last)
                parts.append((ASSISTANT + (THINK if shown else END_THINK), False))
        else:
            shown = thinking and (keep or i > last)
            text = (m.get("reasoning_content") or "") + END_THINK if shown else ""
            text += m["content"] + (render_calls(m["tool_calls"]) if m.get("tool_calls") else "")
            parts.append((text + EOS, True))
    return parts


def _user_text(messages, i):
    m = messages[i]
    if m["role"] == "user":
        return USER + m["content"]
    joined = "\n\n" if messages[i - 1]["role"] == "tool" else USER
    return f"{joined}<tool_result>{m['content']}</tool_result>"


def prompt(messages, thinking):
    return "".join(text for text, _ in render(messages, thinking))
