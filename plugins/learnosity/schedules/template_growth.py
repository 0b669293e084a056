"""Refuses what could make a text or a number of a template of a schedule file too large. Pure functions.

Jinja computes constant expressions already when it reads a template, so they could fill the memory of the DAG
processor. What is computed in a run could fill that of a worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from jinja2 import nodes

# Maximum number of characters of a text that a template may produce with the filter `replace`, with formats (`%`), with
# names that are put together (`x ~ x`), and with loops.
MAX_TEXT = 1024 * 1024
MAX_DIGITS = 20  # maximum number of decimal places for the filter `round`
MAX_WIDTH = 100  # maximum width, and maximum number of decimal places, in a format such as '%02d'
# Maximum length of a run id in Airflow. A template is checked before any run, so a run id of this length is assumed.
RUN_ID = 250
_FORMAT = re.compile(r"%(\([^()]*\))?[#0\- +]*([0-9]*)(?:\.([0-9]*))?[hlL]?(.|$)", re.DOTALL)

Given = Mapping[str, Sequence[nodes.Node]]


def growth(tree: nodes.Template, length: int) -> str | None:
    """The problem that a template could make something too large; None = it cannot.

    :param length: characters of the template.
    """
    given = _given(tree)
    longest = max(length, RUN_ID)
    formats = any(True for _ in tree.find_all(nodes.Mod))
    for text in _texts(tree, {}) if formats else ():
        longest += MAX_WIDTH * text.count("%")
    for text in _texts(tree, {}) if formats else ():
        longest *= max(1, text.count("%("))  # each `%(name)s` of a text may insert the same long value
    for each in tree.find_all((nodes.Filter, nodes.Mod)):
        if isinstance(each, nodes.Mod):
            if not _may_be_formatted(each.left, given, set()):
                return (
                    "a template here can use % with numbers, and behind one plain text with widths of at most "
                    f"{MAX_WIDTH}, such as '%02d' % dag_run.run_after.month. Other texts are put together with ~."
                )
        elif not isinstance(each, nodes.Filter):
            continue
        elif each.name == "round" and not _rounds_a_little(each, given):
            return (
                f"the filter round needs few places here, at most {MAX_DIGITS}: round(2), round(0, 'ceil'), or "
                "round(params.places)."
            )
        elif each.name == "replace":
            texts = [*each.args, *(keyword.value for keyword in each.kwargs)]
            if each.dyn_args or each.dyn_kwargs or not all(isinstance(value, nodes.Const) for value in texts):
                return "the filter replace needs plain texts here: replace('old', 'new')."
            # `replace('', new)` inserts `new` before each character and at the end. No other `replace` adds more, so
            # this growth is assumed.
            lengths = [len(str(value.value)) for value in texts if isinstance(value, nodes.Const)]
            longest += (longest + 1) * max(lengths, default=0)
    if longest * _repeats(tree, given) > MAX_TEXT:
        return (
            "the filters replace, the formats, the names or the loops of this template could make a text too long: "
            "write fewer of them, or shorter texts."
        )
    return None


def is_of_data(node: nodes.Node) -> bool:
    """Whether an expression is `params`, `dag_run.conf`, or a value in them: plain values without methods."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr) and node.attr == "conf" and isinstance(node.node, nodes.Name):
            return node.node.name == "dag_run"
        node = node.node
    return isinstance(node, nodes.Name) and node.name == "params"


def _is_of_run(node: nodes.Node, given: Given) -> bool:
    """Whether an expression is data of the run, and not what the template has set under that name."""
    return is_of_data(node) and given.keys().isdisjoint(("params", "dag_run"))


def _given(tree: nodes.Template) -> Given:
    """What the names of a template are set to, by name."""
    found: dict[str, list[nodes.Node]] = {}
    for each in tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With)):
        pairs: list[tuple[nodes.Node, nodes.Node]] = []
        match each:
            case nodes.Assign():
                pairs = [(each.target, each.node)]
            case nodes.AssignBlock():
                pairs = [(each.target, each)]
            case nodes.For():
                values: Sequence[nodes.Node] = _entries(each.iter) or [each.iter]
                pairs = [(each.target, value) for value in values]
            case nodes.With():
                pairs = list(zip(each.targets, each.values, strict=False))
        for target, value in pairs:
            for name in (target, *target.find_all(nodes.Name)):
                if isinstance(name, nodes.Name):
                    found.setdefault(name.name, []).append(value)
    return found


def _repeats(tree: nodes.Template, given: Given) -> int:
    """How many times a template may write its longest text: by names that it uses several times, and by loops."""
    weights: dict[str, int] = {}
    if all(_weigh(name, given, weights, ()) for name in given):
        return max(1, _uses(tree, given, weights))
    # Here, a name occurs in its own value: each `{% set x = x ~ x %}` makes `x` twice as long, two of them four times.
    # So the names in the value of each statement are counted (2 in the example; `alike` gives each the weight 1), and
    # these counts are multiplied with each other.
    alike = dict.fromkeys(given, 1)
    repeats = max(1, _uses(tree, given, alike))
    for each in tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.With)):
        values: Sequence[nodes.Node] = ()
        match each:
            case nodes.Assign():
                values = [each.node]
            case nodes.AssignBlock():
                values = each.body
            case nodes.With():
                values = each.values
        repeats *= max(1, sum(_uses(value, given, alike) for value in values))
    return repeats


def _weigh(name: str, given: Given, weights: dict[str, int], above: tuple[str, ...]) -> bool:
    """Note how many times the value of a name may have the longest text. Names in it are weighed before.

    :param above: the names whose values have this one.
    :returns: whether no name is in its own value.
    """
    if name in weights:
        return True
    if name in above:
        return False
    for value in given[name]:
        inner = {each.name for each in (value, *value.find_all(nodes.Name)) if isinstance(each, nodes.Name)}
        if not all(_weigh(each, given, weights, (*above, name)) for each in inner & given.keys()):
            return False
    weights[name] = max(1, *(_writes(value, given, weights) for value in given[name]))
    return True


def _writes(value: nodes.Node, given: Given, weights: Mapping[str, int]) -> int:
    """As `_uses`, of what a name is set to: a block is what it writes."""
    body = value.body if isinstance(value, nodes.AssignBlock) else [value]
    return sum(_uses(each, given, weights, other=1) for each in body)


def _uses(node: nodes.Node, given: Given, weights: Mapping[str, int], *, other: int = 0) -> int:
    """How many times what a node writes, or its value, may have the longest text of the names that are set.

    :param weights: how many times the value of each name may have it.
    :param other: the same of a name that the template does not set, such as `run_id`. 0 = it is written once only, so
        that the length of the template bounds it.
    """

    def of(several: Iterable[nodes.Node], other: int = other) -> int:
        return sum(_uses(each, given, weights, other=other) for each in several)

    match node:
        case nodes.Name(name=name, ctx="load"):
            return weights.get(name, other)
        case nodes.For():
            turns = _turns(node.iter, given, set())
            # A loop over anything but a written list such as `[1, 2]` may have a turn for each character of a text.
            # In `for c in x ~ x`, this text is twice as long as `x`, so there are twice as many turns.
            if not _entries(node.iter):
                turns *= max(1, of([node.iter], 1))
            return turns * max(1, of(node.body + node.else_, 1))
        case nodes.Assign() | nodes.AssignBlock():
            return 0  # the statement itself writes nothing
        case nodes.With():
            return of(node.body)
        case nodes.Sub() | nodes.Div() | nodes.FloorDiv() | nodes.Compare() | nodes.Not() | nodes.Test():
            return 0  # the value is a number, true or false, so it is never a long text
        case nodes.Filter(name="abs" | "float" | "int" | "length" | "round"):
            return 0
        case nodes.Expr() if (branches := _branches(node, {}, set())) is not None:
            return max((_uses(each, given, weights) for each in branches), default=0)
    return of(node.iter_child_nodes())


def _entries(node: nodes.Node) -> list[nodes.Expr]:
    """The entries of a list that is written out; empty = the expression is none."""
    return node.items if isinstance(node, nodes.List | nodes.Tuple) else []


def _turns(node: nodes.Node, given: Given, seen: set[str]) -> int:
    """How many turns a loop over a value makes. Data of the run counts as one: who starts the run knows its length."""
    if isinstance(node, nodes.List | nodes.Tuple):
        return len(node.items)
    if _is_of_run(node, given):
        return 1
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    if isinstance(node, nodes.Name) and (branches := _branches(node, given, seen)) is not None:
        return max((_most_turns(each, given, seen) for each in branches), default=1)
    return RUN_ID  # one turn for each character of a text such as `run_id`


def _most_turns(node: nodes.Node, given: Given, seen: set[str]) -> int:
    """As `_turns`, of a value or of what is in it: the name of an outer loop has one entry of its list."""
    match node:
        case nodes.List(items=items) | nodes.Tuple(items=items):
            return max([len(items), *(_most_turns(each, given, seen) for each in items)])
        case nodes.Const(value=value):
            return len(value) if isinstance(value, str) else 1
    return _turns(node, given, seen)


def _texts(node: nodes.Node, given: Given) -> Iterator[str]:
    """The texts that an expression is made of, with those of the names in it."""
    left, seen = [node], set[str]()
    while left:
        each = left.pop()
        match each:
            case nodes.Const(value=str(text)) | nodes.TemplateData(data=text):
                yield text
            case nodes.Name(name=name) if name in given and name not in seen:
                seen.add(name)
                left += given[name]
        if not _is_of_run(each, given):  # in `params["key"]`, the text `key` is not part of the value
            left += each.iter_child_nodes()


def _options(node: nodes.Filter) -> list[nodes.Node]:
    """The arguments of a filter."""
    more = [each for each in (node.dyn_args, node.dyn_kwargs) if each is not None]
    return [*node.args, *(keyword.value for keyword in node.kwargs), *more]


def _branches(node: nodes.Node, given: Given, seen: set[str]) -> list[nodes.Node] | None:
    """The expressions one of which is the value of an expression; None = it is another kind of expression.

    :param seen: names that were looked at; such a name has no branches any more.
    """
    match node:
        case nodes.CondExpr():
            return [each for each in (node.expr1, node.expr2) if each]
        case nodes.And() | nodes.Or():
            return [node.left, node.right]
        case nodes.Filter(name="default" | "d") if node.node:
            return [node.node, *_options(node)]
        case nodes.Name(name=name) if name in given:
            values = [] if name in seen else list(given[name])
            seen.add(name)
            return values
    return None


def _may_be_formatted(node: nodes.Node, given: Given, seen: set[str]) -> bool:
    """Whether `%` may stand behind an expression: it is a number, a value of the run, or a text with small widths."""
    if (branches := _branches(node, given, seen)) is not None:
        return all(_may_be_formatted(each, given, seen) for each in branches)
    match node:
        case nodes.Const(value=str(text)):
            return all(_is_narrow(found) for found in _FORMAT.finditer(text))
        case nodes.Compare() | nodes.Not() | nodes.Test() | nodes.Filter(name="abs" | "length" | "round"):
            return True
        case nodes.Filter(name="int" | "float"):
            return all(_may_be_formatted(each, given, seen) for each in _options(node))
    return not any("%" in text for text in _texts(node, given))


def _is_narrow(found: re.Match[str]) -> bool:
    numbers = [each for each in (found[2], found[3]) if each]
    return found[4] not in ("*", "(") and all(len(each) <= 3 and int(each) <= MAX_WIDTH for each in numbers)


def _rounds_a_little(node: nodes.Filter, given: Given) -> bool:
    """Whether a filter `round` has few places. It computes 10 to the power of its number."""
    return not node.dyn_args and not node.dyn_kwargs and all(_is_small(each, given, set()) for each in _options(node))


def _is_small(node: nodes.Node, given: Given, seen: set[str]) -> bool:
    """Whether an expression is a small number, or a value of the run, which is not known before it."""
    if (branches := _branches(node, given, seen)) is not None:
        return all(_is_small(each, given, seen) for each in branches)
    match node:
        case nodes.Const(value=value):
            try:
                return abs(float(value)) <= MAX_DIGITS
            except (TypeError, ValueError, OverflowError):
                # `float` fails for 'ceil' and for a huge integer. 'ceil' is the argument of `round` that says how to
                # round, so it is allowed. The integer is refused.
                return not isinstance(value, int)
        case nodes.Neg() | nodes.Pos():
            return _is_small(node.node, given, seen)
        case nodes.Add() | nodes.Sub():
            both = (node.left, node.right)
            return not any(True for _ in _texts(node, given)) and all(_is_small(each, given, seen) for each in both)
        case nodes.Filter(name="int" | "float" | "abs") if node.node:
            # The base of `int`, as in `int(0, 36)` and `int(base=36)`, is refused: with it, the text '20' becomes 72.
            options = _options(node)
            is_plain = len(options) <= 1 and not node.dyn_args and not node.dyn_kwargs
            is_plain &= all(each.key == "default" for each in node.kwargs)
            return is_plain and all(_is_small(each, given, seen) for each in (node.node, *options))
    return _is_of_run(node, given)
