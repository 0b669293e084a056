"""What a template of a schedule may do: read the documented fields, and change times. Nothing leads out of it."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from learnosity.schedules.template_growth import MAX_TEXT, MAX_WIDTH, RUN_ID
from learnosity.schedules.templates import NAMES, template_problem

HOSTILE = {
    "connection": "conn.aws_default.password",
    "Variable": "var.value.db_url",
    "Variable whose name is put together": "var.value.get('pass' ~ 'word')",
    "Variable as JSON": "var.json.settings.token",
    "environment, by a module of a macro": "macros.uuid.os.environ",
    "file, by a module of a macro": "macros.json.codecs.open('/etc/passwd').read()",
    "task": "ti.get_template_context()",
    "the template itself": "self._TemplateReference__context",
    "configuration": "conf.get('core', 'fernet_key')",
    "asset events": "triggering_asset_events.values()",
    "file, by a method of the run": "dag_run.parse_file('/etc/passwd')",
    "pickle, by a method of the run": "dag_run.parse_raw('x', proto='pickle', allow_pickle=true)",
    "class of the run": "dag_run.__class__.__mro__",
    "attribute by item": "dag_run['parse_raw']('{}')",
    "attribute by a name that is put together": "dag_run['parse' ~ '_raw']('{}')",
    "attribute by filter": "dag_run | attr('parse_raw')",
    "attribute by filter of a list": "[dag_run] | map(attribute='parse_raw') | first",
    "attribute by filter of a time": "data_interval_start | attr('tzinfo')",
    "the whole run": "dag_run",
    "the whole run in a list": "[dag_run]",
    "the whole run as text": "dag_run | string",
    "who started the run": "dag_run.triggering_user_name",
    "method of a text": "run_id.format(dag_run)",
    "method of a value of the run config": "params.x.mro()",
    "method of a value of dag_run.conf": "dag_run.conf.x.mro()",
    "class of the params": "params.__class__.__init__.__globals__",
    "class of a value by item": "params.x['__class__']",
    "class of the run config": "dag_run.conf['__class__'].__init__",
    "class of a time": "data_interval_start.__class__",
    "module of a time": "data_interval_start.tzinfo.__module__",
    "unknown method of a time": "data_interval_start.__reduce__()",
    "function": "range(3)",
    "function of Jinja": "lipsum()",
    "long text": "'x' * 9999999999",
    "large number": "9 ** 9 ** 9",
    "long text by filter": "'x' | center(9999999999)",
    "function of a filter": "(run_id | string)(1)",
}
STATEMENTS = {
    "other name": "{% set run = dag_run %}{{ run.parse_raw('{}') }}",
    "other name in a loop": "{% for run in [dag_run] %}{{ run.parse_raw('{}') }}{% endfor %}",
    "the run as params": "{% set params = dag_run %}{{ params.parse_raw('{}') }}",
    "filter of a block": "{% filter attr('x') %}x{% endfilter %}",
    "macro": "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "import": "{% import 'x' as x %}",
    "include": "{% include ['x', 'y'] %}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
}


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.promise("no secret")
def test_what_leads_out_of_a_template_is_refused_wherever_it_stands(expression: str) -> None:
    for text in (
        f"{{{{ {expression} }}}}",
        f"{{{{ ({expression}) | string | lower }}}}",
        f"{{% if {expression} %}}x{{% endif %}}",
        f"{{% set x = {expression} %}}",
        f"{{{{ data_interval_start | days_before({expression}) | iso }}}}",
        f"{{{{ params[{expression}] }}}}",
        f"{{{{ 'a' if {expression} else 'b' }}}}",
    ):
        assert template_problem(text) is not None, text


@pytest.mark.parametrize("text", STATEMENTS.values(), ids=STATEMENTS)
def test_no_statement_leads_out_of_a_template(text: str) -> None:
    assert template_problem(text) is not None


@pytest.mark.parametrize(
    "expression",
    [
        "data_interval_start | iso",
        "dag_run | interval_start | iso",
        "dag_run | interval_end | days_before(30) | day_start | iso",
        "dag_run.run_after | days_before(1) | iso",
        "dag_run.run_after.strftime('%Y-%m')",
        "dag_run.logical_date.subtract(days=3).isoformat()",
        "dag_run.run_after.year - 1",
        "dag_run.conf.season",
        "dag_run.conf['a']['b'] | default('x')",
        "params.dataset_type",
        "params['filters']['activity_id'][0]",
        "ds",
        "ds_nodash[:6]",
        "run_id | replace(':', '-') | lower",
        "logical_date | ds",
        "'spring' if data_interval_end.month < 7 else 'autumn'",
        "partition_key",
        "'a' ~ ds",
    ],
)
def test_the_documented_fields_and_times_can_be_used(expression: str) -> None:
    assert template_problem(f"s3://x/{{{{ {expression} }}}}/y") is None


GROWING = {
    "chain": "'aaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaa')" * 12,
    "of a run": "run_id" + " | replace('', 'xxxxxxxxxx')" * 6,
    "by keyword": "ds" + " | replace(old='-', new='----------')" * 6,
    "large texts": f"'{'a' * 5000}' | replace('a', '{'b' * 5000}')",
    "text of the run": "ds | replace('-', dag_run.conf.long)",
    "unpacked": "ds | replace(*params.texts)",
}


@pytest.mark.parametrize("expression", GROWING.values(), ids=GROWING)
def test_no_template_makes_a_text_too_long_when_it_is_read(expression: str) -> None:
    assert "replace" in (template_problem(f"{{{{ {expression} }}}}") or "")


FORMAT = "'%09999d'"
GROWING_WHEN_READ = {
    "format": f"{FORMAT} % 1",
    "precision": "'%.9999f' % 1",
    "width of a value": "'%0*d' % (dag_run.run_after.int_timestamp, 1)",
    "with a key": "'%(a)09999d' % {'a': 1}",
    "with a key in brackets": "'%((a))09999d' % {'(a)': 1}",
    "second format": "'%02d%09999d' % (1, 1)",
    "made by a format": "('%%0%dd' % 9999) % 1",
    "default of a param": f"params.n | default({FORMAT}) % 1",
    "default of a param, unpacked": f"params.n | default(*[{FORMAT}]) % 1",
    "int of a param, unpacked": f"params.n | int(*[{FORMAT}]) % 1",
    "made by a time": "dag_run.run_after.strftime('%%09999d') % 1",
    "long width": f"'%{'9' * 5000}d' % 1",
    "format of a value": f"{FORMAT} % dag_run.run_after.year",
    "format in parts": "('%0' ~ '9999d') % 1",
    "sum": "('%0' + '9999d') % 1",
    "choice": f"({FORMAT} if true else ds) % 1",
    "or": f"({FORMAT} or ds) % 1",
    "and": f"(1 and {FORMAT}) % 1",
    "list": f"[{FORMAT}][0] % 1",
    "field of a dict": f"{{'year': {FORMAT}}}.year % 1",
    "filter": f"({FORMAT} | trim) % 1",
    "default": f"(0 | default({FORMAT}, true)) % 1",
    "default of a sum": f"((1 - 1) | default({FORMAT}, true)) % 1",
    "default of int": f"('x' | int({FORMAT})) % 1",
    "nested": f"({FORMAT} % 1) % 1",
    "round up": "1 | round(9999, 'ceil')",
    "round down": "1 | round(-9999)",
    "round by keyword": "1 | round(precision=9999, method='floor')",
    "round by a sum": "1 | round(9000 + 999, 'ceil')",
    "round by a text": "1 | round('9999' | int, 'ceil')",
    "round by texts": "1 | round(('9' + '9' + '9' + '9') | int, 'ceil')",
    "round by joined digits": "1 | round((9 ~ 9 ~ 9 ~ 9) | int, 'ceil')",
    "round by another base": "1 | round('zzzz' | int(0, 36), 'ceil')",
    "round by a named base": "1 | round('1e1' | int(base=16), 'ceil')",
    "round by a default and a named base": "1 | round('1e1' | int(default=0, base=16), 'ceil')",
    "round by an unpacked base": "1 | round('1e1' | int(**{'base': 16}), 'ceil')",
    "round by a default": "1 | round(params.n | default(9999), 'ceil')",
    "round by a sum with a param": "1 | round(params.n + 9999, 'ceil')",
    "round by a time": "1 | round(dag_run.run_after.int_timestamp, 'ceil')",
    "round by infinity": "1 | round(1e999, 'ceil')",
    "round unpacked": "1 | round(*[9999, 'ceil'])",
}


@pytest.mark.parametrize("expression", GROWING_WHEN_READ.values(), ids=GROWING_WHEN_READ)
def test_nothing_large_is_computed_when_a_template_is_read(expression: str) -> None:
    for text in (
        f"{{{{ {expression} }}}}",
        f"{{{{ ({expression}) | string | lower }}}}",
        f"{{% if {expression} %}}x{{% endif %}}",
        f"{{% set x = {expression} %}}",
        f"{{{{ data_interval_start | days_before({expression}) | iso }}}}",
    ):
        found = template_problem(text) or ""
        assert "%" in found or "round" in found, text


@pytest.mark.parametrize(
    "text",
    [
        f"{{% set x = {FORMAT} %}}{{{{ x % 1 }}}}",
        f"{{% set y = {FORMAT} %}}{{% set x = y %}}{{{{ x % 1 }}}}",
        f"{{% set x = y %}}{{% set y = {FORMAT} %}}{{{{ x % 1 }}}}",
        "{% set x = '%0' %}{% set x = x ~ '9999d' %}{{ x % 1 }}",
        f"{{% set x, y = {FORMAT}, 1 %}}{{{{ x % y }}}}",
        "{% set x %}%09999d{% endset %}{{ x % 1 }}",
        f"{{% for x in [{FORMAT}] %}}{{{{ x % 1 }}}}{{% endfor %}}",
        f"{{% with x = {FORMAT} %}}{{{{ x % 1 }}}}{{% endwith %}}",
        f"{{% set params = {{'n': {FORMAT}}} %}}{{{{ params.n % 1 }}}}",
        "{% set n = 9999 %}{{ 1 | round(n, 'ceil') }}",
        "{% set params = {'n': 9999} %}{{ 1 | round(params.n, 'ceil') }}",
        "{% for n in [9999] %}{{ 1 | round(n, 'ceil') }}{% endfor %}",
    ],
)
def test_no_name_leads_to_something_large(text: str) -> None:
    found = template_problem(text) or ""
    assert "%" in found or "round" in found


@pytest.mark.parametrize("levels", [1, 6])
def test_a_value_that_formats_repeat_does_not_become_too_long(levels: int) -> None:
    keys = "%(a)s" * (20_000 if levels == 1 else 40)
    text = f"'{'x' * 200}'"
    for _ in range(levels):
        text = f"'{keys}' % {{'a': {text}}}"
    assert "too long" in (template_problem(f"{{{{ {text} }}}}") or "")


def test_the_largest_width_can_be_used() -> None:
    assert template_problem(f"{{{{ '%{MAX_WIDTH}s' % ds }}}}") is None
    assert template_problem(f"{{{{ '%{MAX_WIDTH + 1}s' % ds }}}}") is not None


@pytest.mark.parametrize(
    "text",
    [
        "{% set x = dag_run.run_after.month %}{{ x % 2 }}",
        "{% set t = dag_run.run_after %}{{ t.month % 2 }}",
        "{% set t = dag_run.run_after.strftime('%j') %}{{ t | int % 7 }}",
        "{% set x = '%02d' %}{{ x % dag_run.run_after.month }}",
        "{% set n = 2 %}{{ params.x | round(n) }}",
        "{% set x = 1 %}{% set x = x + 1 %}{{ x % 2 }}",
        "{% for m in [1, 2] %}{{ m % 2 }}{% endfor %}",
        "100%{% set x %}{{ dag_run.run_after.month }}{% endset %}{{ x | int % 2 }}",
    ],
)
def test_names_of_a_template_can_be_used_as_numbers(text: str) -> None:
    assert template_problem(text) is None


@pytest.mark.parametrize(
    "expression",
    [
        "'%02d' % dag_run.run_after.month",
        "'%s-%s' % (params.a, params.b)",
        "'%d-%02d' % (dag_run.run_after.year, dag_run.run_after.month % 12 + 1)",
        "'%(season)s %(year)d' % {'season': params.season, 'year': dag_run.run_after.year}",
        "'%(season)s' % params",
        "'%.1f%%' % params.share",
        "'2026/%-12s/2027' % params.name",
        "('%02d' % dag_run.run_after.month) | int % 2",
        "('5' | int) % 2",
        "('5' | float(0)) % 2",
        "('abc' | length) % 2",
        "(dag_run.run_after.day > 15) % 2",
        "(not params.x) % 2",
        "(params.x is defined) % 2",
        "params['50%'] % 7",
        "params.x | default('%d') % 7",
        "('%d' if params.short else '%03d') % 7",
        "params.x | round(params.n)",
        "params.x | round(params.n | default(2))",
        "params.x | round(params.n | default('2') | int)",
        "params.x | round(dag_run.conf.n + 1, 'floor')",
        "params.x | round(2 if params.exact else 0)",
        "dag_run.run_after.month % 2",
        "(dag_run.run_after | local).day_of_year % 7",
        "(dag_run.run_after.month - 1) % 3",
        "-dag_run.run_after.month % 12",
        "dag_run.run_after.timestamp() % 60",
        "dag_run.run_after.strftime('%j') | int % 7",
        "params.landing_shards % 2",
        "params['options']['step'] | default(7) | int % 7",
        "dag_run.conf.number % 10",
        "(1 if dag_run.run_after.month < 7 else dag_run.run_after.month) % 2",
        "7 % 2",
        "dag_run.run_after.month / 3 | round",
        "(dag_run.run_after.month / 3) | round(0, 'ceil') | int",
        "params.share | round(precision=2)",
        "params.number | round(-2)",
    ],
)
def test_remainders_formats_and_rounding_can_be_used(expression: str) -> None:
    assert template_problem(f"{{{{ {expression} }}}}") is None


@given(st.lists(st.tuples(st.sampled_from(["", "a", "-", "20"]), st.text("ab", max_size=60)), max_size=8))
def test_what_replace_may_do_stays_below_its_limit(texts: list[tuple[str, str]]) -> None:
    chain = "".join(f" | replace('{old}', '{new}')" for old, new in texts)
    if template_problem(f"{{{{ run_id{chain} }}}}") is None:
        text = "a" * RUN_ID
        for old, new in texts:
            text = text.replace(old, new)
        assert len(text) <= MAX_TEXT


@pytest.mark.parametrize("sizes", [(3, 4, 10, 18), (1, 10, 18, 4, 1), (46, 88), (4, 37, 21)])
def test_the_limit_of_replace_counts_what_is_put_in_at_the_end_of_a_text(sizes: tuple[int, ...]) -> None:
    text = "a" * RUN_ID
    for size in sizes:
        text = text.replace("", "b" * size)
    assert MAX_TEXT < len(text) < MAX_TEXT * 1.005
    chain = "".join(f" | replace('', '{'b' * size}')" for size in sizes)
    assert "replace" in (template_problem(f"{{{{ run_id{chain} }}}}") or "")


@given(
    st.sampled_from(sorted(dir(datetime.datetime) + dir(str) + ["mro", "parse_raw", "model_dump"])),
    st.sampled_from(sorted(NAMES)),
)
def test_a_name_with_underscores_or_that_is_not_listed_is_no_attribute(attribute: str, name: str) -> None:
    if name == "params":
        assert template_problem(f"{{{{ params.x.{attribute}() }}}}") is not None
    elif attribute.startswith("_") or attribute in ("format", "format_map", "mro", "parse_raw", "model_dump"):
        assert template_problem(f"{{{{ {name}.{attribute} }}}}") is not None
        assert template_problem(f"{{{{ {name}.{attribute}('x') }}}}") is not None


TENFOLD = " ~ ".join(["x"] * 10)
REPEATING = {
    "put together": "{% set x = run_id %}" + f"{{% set x = {TENFOLD} %}}" * 4 + "{{ x }}",
    "put together with other names": "{% set x = ds %}"
    + "{% set y = x ~ '-' ~ x ~ x ~ x ~ x %}{% set x = y ~ y ~ y ~ y ~ y %}" * 4
    + "{{ x }}",
    "sum": "{% set x = run_id %}" + "{% set x = x + x %}" * 13 + "{{ x }}",
    "list": "{% set x = [run_id] %}" + "{% set x = [x, x, x, x] %}" * 7 + "{{ x }}",
    "long list": "{% set x = [1] %}" + "{% set x = x + x %}" * 13 + "{{ x | length }}",
    "dict": "{% set x = run_id %}" + "{% set x = {'a': x, 'b': x} %}" * 13 + "{{ x }}",
    "block": "{% set x = run_id %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 13 + "{{ x }}",
    "block with a loop": "{% set x = run_id %}"
    + "{% set x %}{% for i in [1, 2] %}{{ x }}{% endfor %}{% endset %}" * 13
    + "{{ x }}",
    "choice": "{% set x = run_id %}" + "{% set x = x ~ x if params.a else x ~ x %}" * 13 + "{{ x }}",
    "with": "{% set x = run_id %}" + "{% with x = x ~ x %}" * 13 + "{{ x }}" + "{% endwith %}" * 13,
    "written often": "{% set x = run_id %}" + f"{{% set x = {TENFOLD} %}}" * 2 + "{{ x }}" * 50,
    "loop over a text": "{% for a in run_id %}" * 3 + "x" + "{% endfor %}" * 3,
    "by a chain of names": "{% set x0 = run_id %}"
    + "".join(f"{{% set x{n + 1} = x{n} ~ x{n} %}}" for n in range(13))
    + "{{ x13 }}",
    "loop over a text of names": "{% set x = ds %}{% set y = x ~ x ~ x ~ x ~ x ~ x ~ x ~ x %}"
    + "{% set z = y ~ y ~ y ~ y %}{% for a in z %}"
    + "x" * 500
    + "{% endfor %}",
    "loop over a list of a list": f"{{% set x = [{[0] * 20}] %}}{{% for a in x %}}"
    + "{% for b in a %}" * 6
    + "x"
    + "{% endfor %}" * 7,
    "loop over a text of a list": f"{{% set x = ['{'a' * 99}'] %}}{{% for a in x %}}"
    + "{% for b in a %}" * 4
    + "x"
    + "{% endfor %}" * 5,
    "loop over a text of other names": f"{{% set x = {' ~ '.join(['run_id'] * 60)} %}}"
    + "{% for a in x %}{{ x }}{% endfor %}",
    "other names in a loop over a text": "{% for a in run_id %}" + "{{ run_id }}" * 60 + "{% endfor %}",
    "loop over a list": "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] %}" * 5 + "x" + "{% endfor %}" * 5,
    "loop over a name": "{% set l = [1] %}"
    + "{% set l = l + l %}" * 8
    + "{% for a in l %}" * 2
    + "x"
    + "{% endfor %}" * 2,
}


@pytest.mark.parametrize("text", REPEATING.values(), ids=REPEATING)
def test_no_name_and_no_loop_makes_a_text_too_long(text: str) -> None:
    assert "too long" in (template_problem(text) or "")


@pytest.mark.parametrize(
    "text",
    [
        "{% set t = dag_run.run_after %}{{ t.year }}-{{ '%02d' % t.month }}-{{ '%02d' % t.day }}/{{ t | iso }}",
        "{% set t = dag_run.run_after | local %}{% set y = t.year if t.month > 7 else t.year - 1 %}{{ y }}-{{ y+1 }}",
        "{% set m = dag_run.run_after.month %}{% set q = (m - 1 - (m - 1) % 3) / 3 + 1 %}{{ 'q' ~ q | int }}",
        "{% set name = run_id | replace(':', '-') | replace('+', '-') %}{{ name }}/{{ name }}.csv",
        "{% for a in params.activities %}{% for b in params.sessions %}{{ a }}/{{ b }},{% endfor %}{% endfor %}",
        "{% set l = params.schools %}{% for a in l %}{{ a }} {% endfor %}{% for a in l %}{{ a }} {% endfor %}",
        "{% for m in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] %}{{ '%02d' % m }}{{ ',' if m < 12 }}{% endfor %}",
        "{% set x = 'a' if params.a else 'b' if params.b %}{% set y = x ~ '-' ~ x %}{{ y if params.c else x }}",
        "{% set t = dag_run.run_after %}" + "{{ t.year }}" * 100,
        "{% set t = dag_run.run_after %}{% for m in ["
        + ", ".join(f"t.subtract(months={month})" for month in range(12, 0, -1))
        + "] %}{{ m.year }}-{{ '%02d' % m.month }}{{ ',' }}{% endfor %}",
        "{% set t = dag_run.run_after %}{% for m in ["
        + ", ".join(f"t.subtract(days={day})" for day in range(31))
        + "] %}{{ m.year }}-{{ '%02d' % m.month }}-{{ '%02d' % m.day }}{{ ' ' if m.day > 1 }}{% endfor %}",
        "{% for a, b in [('x', ds), ('y', run_id)] %}{{ a }}={{ b }};{% endfor %}",
        "{% set t = dag_run.run_after | days_before(1) %}{% set y = t.year %}{% set m = '%02d' % t.month %}"
        "{% set d = '%02d' % t.day %}{% set begin = y ~ '-' ~ m ~ '-01' %}{% set end = y ~ '-' ~ m ~ '-' ~ d %}"
        "{% set folder = y ~ '/' ~ m ~ '/' ~ d %}{% set german = d ~ '.' ~ m ~ '.' ~ y %}{% set plain = y ~ m ~ d %}"
        "{% set us = m ~ '/' ~ d ~ '/' ~ y %}{{ folder }}/{{ plain }}/{{ begin }}--{{ end }}/{{ german }} {{ us }}",
    ],
)
def test_names_and_loops_of_every_day_can_be_used(text: str) -> None:
    assert template_problem(text) is None


VALUES = st.one_of(
    st.lists(st.sampled_from(["x", "y", "run_id", "'-'"]), min_size=1, max_size=5).map(" ~ ".join),
    st.sampled_from(["x + y", "x if params else y ~ y", "x or y", "x | default(y ~ y)", "(x ~ y) | lower"]),
)
STATEMENTS_OF_NAMES = st.one_of(
    st.builds("{{% set {} = {} %}}".format, st.sampled_from("xy"), VALUES),
    st.builds("{{% set {} %}}{{{{ {} }}}}{{{{ {} }}}}{{% endset %}}".format, st.sampled_from("xy"), VALUES, VALUES),
    st.builds("{{% for i in [1, 2, 3] %}}{{{{ {} }}}}{{% endfor %}}".format, VALUES),
    st.builds("{{% with x = {} %}}{{{{ x ~ y }}}}{{% endwith %}}".format, VALUES),
)


@given(st.lists(STATEMENTS_OF_NAMES, max_size=6))
def test_what_names_and_loops_may_do_stays_below_the_limit(statements: list[str]) -> None:
    text = "{% set x = run_id %}{% set y = run_id %}" + "".join(statements) + "{{ x }}{{ y }}"
    if template_problem(text) is None:
        assert len(Environment(autoescape=True).from_string(text).render(run_id="a" * RUN_ID)) <= MAX_TEXT
