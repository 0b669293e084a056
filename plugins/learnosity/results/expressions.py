"""What a JMESPath expression of a declaration does with a reply, apart from its value: what it leaves out or misses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath  # type: ignore[import-untyped]

_PROJECTIONS = ("projection", "value_projection", "filter_projection")
_ITSELF = {"type": "identity", "children": []}
_ALWAYS = {"type": "literal", "value": True, "children": []}
_FALSE: tuple[Any, ...] = (None, False, "", [], {})


def is_absent(node: Mapping[str, Any], value: Any) -> bool:
    """Whether an expression names a key that `value` does not have. A key with the value null is there.

    :param node: an expression of keys such as `meta.next`, or a choice of several (`||`). No other names a key.
    """
    kind, children = node["type"], node.get("children", ())
    if kind == "field":
        return not (isinstance(value, dict) and node["value"] in value)
    if kind == "or_expression":
        return all(is_absent(child, value) for child in children)
    if kind in ("subexpression", "index_expression", "pipe"):
        for child in children:
            if value is not None and is_absent(child, value):
                return True
            value = _value_of(child, value)
    return False


def cursors_beside(node: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """The object `cursors` with `before` and `after` beside the key `next` that an expression names, as in Graph.

    Such a reply has these cursors on its last page, too, and leaves `next` out there.

    :returns: the object itself, and not a copy; an empty one when there is none.
    """
    kind, children = node["type"], node.get("children", ())
    if kind == "or_expression":
        return next(filter(None, (cursors_beside(child, value) for child in children)), {})
    if kind != "subexpression" or children[-1]["type"] != "field" or children[-1]["value"] != "next":
        return {}
    for child in children[:-1]:
        value = _value_of(child, value)
    beside = value.get("cursors") if isinstance(value, dict) else None
    return beside if isinstance(beside, dict) and {"before", "after"} <= beside.keys() else {}


def without_filters(node: Mapping[str, Any], value: Any) -> Any:
    """The value of an expression if each filter in it kept every entry; None when it has no filter."""
    whole = _unfiltered(node)
    return _value_of(whole, value) if whole != node else None


def _unfiltered(node: Mapping[str, Any]) -> Mapping[str, Any]:
    children = [_unfiltered(each) if isinstance(each, dict) else each for each in node.get("children", ())]
    if node["type"] == "filter_projection":
        children[2:] = [_ALWAYS]
    return {**node, "children": children}


def drops(node: Mapping[str, Any], value: Any) -> bool:
    """Whether an expression leaves out entries of a list, so that a file or a row would be lost.

    A projection leaves out entries that are null or do not have the requested field. A slice (`[:1]`) leaves out
    entries by their place. A filter (`[?…]`) leaves out entries too. That is allowed, because the declaration says
    which entries it asks for.
    """
    kind, children = node["type"], node.get("children", ())
    if kind in ("subexpression", "index_expression", "pipe"):
        for child in children:
            if drops(child, value):
                return True
            value = _value_of(child, value)
        return False
    if kind in ("or_expression", "and_expression"):
        first, second = children
        is_first = (_value_of(first, value) in _FALSE) == (kind == "and_expression")
        return drops(first if is_first else second, value)
    if kind in ("flatten", "multi_select_list", "function_expression"):
        return any(drops(child, value) for child in children)
    if kind == "slice":
        return isinstance(value, list) and len(_value_of(node, value)) != len(value)
    return kind in _PROJECTIONS and _projection_drops(node, value)


def _projection_drops(node: Mapping[str, Any], value: Any) -> bool:
    source, of_each = node["children"][:2]
    if drops(source, value):
        return True
    whole = {**node, "children": [source, _ITSELF, *node["children"][2:]]}
    base = _value_of(whole if node["type"] == "filter_projection" else source, value)
    kept = _value_of(node, value)
    if not isinstance(base, list | dict) or not isinstance(kept, list):
        return False
    entries = base.values() if isinstance(base, dict) else base
    return len(base) != len(kept) or any(drops(of_each, entry) for entry in entries)


def _value_of(node: Mapping[str, Any], value: Any) -> Any:
    return jmespath.parser.ParsedResult("", node).search(value)
