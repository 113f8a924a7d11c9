"""A reader of the part of Go's text/template that the exported templates use.

Written from pkg.go.dev/text/template to check them where no Go is installed: range over a list
with index and element, if, else, else if, end, eq, and, len, slice, fields, trim markers.
"""

from __future__ import annotations

import re
from typing import Any

_ACTION = re.compile(r"\{\{(- )?\s*(.*?)\s*( -)?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\(|\)|[^\s()]+')

Node = tuple[Any, ...]


def render(source: str, data: dict[str, Any]) -> str:
    """Render a template."""
    nodes, _, _ = _parse(_tokens(source), 0)
    return _run(nodes, data, {"$": data})


def _tokens(source: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, trims = 0, False
    for action in _ACTION.finditer(source):
        text = source[at : action.start()]
        text = text.lstrip() if trims else text
        # "{{- x" trims the text before it, "x -}}" the text after it.
        found.append(("text", text.rstrip() if action[1] else text))
        found.append(("action", action[2]))
        at, trims = action.end(), bool(action[3])
    rest = source[at:]
    return [*found, ("text", rest.lstrip() if trims else rest)]


def _parse(tokens: list[tuple[str, str]], at: int) -> tuple[list[Node], int, str]:
    """Read nodes until end or else; return them, the place behind, and what ended them."""
    nodes: list[Node] = []
    while at < len(tokens):
        kind, text = tokens[at]
        at += 1
        if kind == "text":
            nodes.append(("text", text))
        elif text == "end" or text.startswith("else"):
            return nodes, at, text
        elif text.startswith(("if ", "range ")):
            word, _, rest = text.partition(" ")
            body, at, ended = _parse(tokens, at)
            other: list[Node] = []
            if ended.startswith("else if "):
                inner = [("action", ended.removeprefix("else ")), *tokens[at:]]
                other, used, _ = _parse_one(inner)
                at += used - 1
            elif ended == "else":
                other, at, ended = _parse(tokens, at)
            nodes.append((word, rest, body, other))
        else:
            nodes.append(("value", text))
    return nodes, at, ""


def _parse_one(tokens: list[tuple[str, str]]) -> tuple[list[Node], int, str]:
    """Read one if with its end, which is also the end of the else it stands in."""
    text = tokens[0][1]
    body, at, ended = _parse(tokens, 1)
    other: list[Node] = []
    if ended.startswith("else if "):
        other, used, _ = _parse_one([("action", ended.removeprefix("else ")), *tokens[at:]])
        at += used - 1
    elif ended == "else":
        other, at, _ = _parse(tokens, at)
    return [("if", text.partition(" ")[2], body, other)], at, "end"


def _run(nodes: list[Node], dot: Any, names: dict[str, Any]) -> str:
    out = []
    for node in nodes:
        if node[0] == "text":
            out.append(node[1])
        elif node[0] == "value":
            out.append(str(_evaluate(node[1], dot, names)))
        elif node[0] == "if":
            _, test, body, other = node
            out.append(_run(body if _evaluate(test, dot, names) else other, dot, names))
        else:
            out += _range(node, dot, names)
    return "".join(out)


def _range(node: Node, dot: Any, names: dict[str, Any]) -> list[str]:
    _, head, body, _ = node
    variables, sign, expression = head.partition(":=")
    declared = [v.strip() for v in variables.split(",")] if sign else []
    items = _evaluate(expression if sign else head, dot, names)
    return [
        _run(body, item, names | dict(zip(declared, (place, item), strict=False)))
        for place, item in enumerate(items)
    ]


def _evaluate(text: str, dot: Any, names: dict[str, Any]) -> Any:
    words = _WORD.findall(text)
    value, rest = _call(words, dot, names)
    assert not rest, f"left over: {rest}"
    return value


def _call(words: list[str], dot: Any, names: dict[str, Any]) -> tuple[Any, list[str]]:
    head, rest = words[0], words[1:]
    if head not in ("eq", "and", "len", "slice"):
        return _operand(words, dot, names)
    arguments = []
    while rest and rest[0] != ")":
        argument, rest = _operand(rest, dot, names)
        arguments.append(argument)
    if head == "eq":
        return arguments[0] == arguments[1], rest
    if head == "and":
        return next((a for a in arguments if not a), arguments[-1]), rest
    if head == "len":
        return len(arguments[0]), rest
    return arguments[0][arguments[1] :], rest


def _operand(words: list[str], dot: Any, names: dict[str, Any]) -> tuple[Any, list[str]]:
    head, rest = words[0], words[1:]
    if head == "(":
        value, rest = _call(rest, dot, names)
        assert rest[0] == ")"
        return value, rest[1:]
    if head.startswith('"'):
        return head[1:-1], rest
    if head.isdigit():
        return int(head), rest
    name, *fields = head.split(".")
    value = dot if name == "" else names[name]
    for field in fields:
        if field:
            value = value[field]
    return value, rest
