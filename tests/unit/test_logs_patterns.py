"""Filter patterns: each row is an event and whether a pattern means it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.kernel.errors import AwsError
from windtunnel.services.logs.patterns import compile_pattern
from windtunnel.services.logs.regexes import BadRegex, Regex

LINE = '127.0.0.1 - bob [10/Oct/2000:13:25:15 -0700] "GET / HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    "pattern, message, expected",
    [
        pytest.param("", "anything", True, id="an empty pattern means everything"),
        pytest.param("ERROR", "[ERROR] x", True, id="a term between punctuation"),
        pytest.param("ERROR", "error", False, id="case counts"),
        pytest.param("ERROR", "ERRORS", False, id="a term is a whole token"),
        pytest.param("ERROR -timeout", "ERROR timeout", False, id="an excluded term"),
        pytest.param("ERROR -timeout", "ERROR 500", True, id="without the excluded term"),
        pytest.param("?ERROR ?WARN", "WARN x", True, id="one of the optional terms"),
        pytest.param("?ERROR ?WARN", "INFO x", False, id="none of the optional terms"),
        pytest.param('"bad request"', "a bad request b", True, id="a phrase"),
        pytest.param('"bad request"', "bad: request", False, id="a phrase is exact"),
        pytest.param(r'"a \"b\""', 'x a "b" y', True, id="a quote in a phrase"),
        pytest.param("[ip, id, user, ts, req, status=4*, size]", LINE, True, id="fields of an access log"),
        pytest.param("[ip, id, user, ts, req, status=5*, size]", LINE, False, id="a field that does not match"),
        pytest.param("[..., status=404, size]", LINE, True, id="any number of fields before"),
        pytest.param("[ip, ...]", LINE, True, id="any number of fields after"),
        pytest.param("[ip, user]", LINE, False, id="too few fields"),
        pytest.param("[ip, ..., size > 1000]", LINE, True, id="a number that is greater"),
        pytest.param("[ip, ..., size < 1000]", LINE, False, id="a number that is not less"),
        pytest.param('[ip, ..., req = "GET / *", status, size]', LINE, True, id="a quoted field with a wildcard"),
        pytest.param("[ip, ..., status = 5* || status = 4*, size]", LINE, True, id="either"),
        pytest.param("[ip, ..., status >= 400 && status != 404, size]", LINE, False, id="both fields conditions"),
        pytest.param("[ip = %^127[.]%, ...]", LINE, True, id="a regular expression in a field"),
        pytest.param("[ip != %^127[.]%, ...]", LINE, False, id="a field that a regular expression does not match"),
        pytest.param("%ERR.*[0-9]%", "an ERR 12", True, id="a regular expression anywhere"),
        pytest.param("%ERR.*[0-9]$%", "an ERR 12 x", False, id="a regular expression at the end"),
        pytest.param("%^ERR%", "an ERR", False, id="a regular expression at the beginning"),
        pytest.param("-%ERR%", "an ERR", False, id="a regular expression that excludes"),
        pytest.param("{ $.s = %a+b{2}% }", '{"s":"xaabb"}', True, id="a regular expression in JSON"),
        pytest.param("{ $.s != %a+b{2}% }", '{"s":"xaab"}', True, id="unequal to a regular expression"),
        pytest.param("{ $.code = 4* }", '{"code":404}', True, id="a number by its beginning"),
        pytest.param("{ $.code = 4* }", '{"code":504}', False, id="another number by its beginning"),
        pytest.param("{ $.a.b = 1 }", '{"a":{"b":1}}', True, id="a number"),
        pytest.param("{ $.a.b = 1 }", '{"a":{"b":"1"}}', False, id="a number is not a string"),
        pytest.param("{ $.a.b = 1 }", "no json {", False, id="what is not JSON"),
        pytest.param('{ $.s = "abc*" }', '{"s":"abcd"}', True, id="a wildcard at the end"),
        pytest.param('{ $.s = "*b*d" }', '{"s":"abcd"}', True, id="wildcards inside"),
        pytest.param('{ $.s = "ab*bc" }', '{"s":"abc"}', False, id="the ends may not overlap"),
        pytest.param("{ $.s = abc }", '{"s":"abc"}', True, id="a bare word"),
        pytest.param('{ $.s != "a" }', '{"s":"b"}', True, id="unequal"),
        pytest.param('{ $.s != "a" }', "{}", False, id="unequal needs the field"),
        pytest.param("{ ($.x > 5) && ($.y IS NULL) }", '{"x":6,"y":null}', True, id="both"),
        pytest.param("{ $.x > 5 || $.y = 1 && $.z = 1 }", '{"x":6}', True, id="and binds tighter than or"),
        pytest.param("{ $.x >= 1.5e2 }", '{"x":150}', True, id="scientific notation"),
        pytest.param("{ $.x > 5 }", '{"x":true}', False, id="a boolean is no number"),
        pytest.param("{ $.z NOT EXISTS }", "{}", True, id="a missing field"),
        pytest.param("{ $.z IS TRUE }", '{"z":true}', True, id="a true field"),
        pytest.param("{ $.a[1].b = 2 }", '{"a":[{"b":1},{"b":2}]}', True, id="an array's element"),
        pytest.param("{ $.a[*].b = 2 }", '{"a":[{"b":1},{"b":2}]}', True, id="any element"),
        pytest.param('{ $["a.b"] = 2 }', '{"a.b":2}', True, id="a quoted name"),
    ],
)
def test_a_pattern_means(pattern: str, message: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(AwsError) as caught:
            compile_pattern(pattern)
        assert caught.value.code == "NotImplemented"
    else:
        assert compile_pattern(pattern)(message) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "{ $.a = ",
        "{ $.a }",
        "{ $.a = 1 ) }",
        "{ = 1 }",
        "{ $.a > x }",
        '"open',
        "{" + "(" * 200 + "}",
        "[",
        "[a, ]",
        "[..., ...]",
        "[a = ]",
        "[a > x]",
        '[a = "x]',
        "[a = b c]",
    ],
)
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(AwsError) as caught:
        compile_pattern(pattern)
    assert caught.value.code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("expression", "message", "expected"),
    [
        ("abc", "xxabcxx", True),
        ("a.c", "xxabcxx", True),
        ("a.c", "ac", False),
        ("ab?c", "ac", True),
        ("ab*c", "abbbbc", True),
        ("ab+c", "ac", False),
        ("ab{2,3}c", "abc", False),
        ("ab{2,3}c", "abbbc", True),
        ("ab{2,}c", "abbbbbbc", True),
        ("ab{2}c", "abbbc", False),
        ("cat|dog", "hotdog", True),
        ("^cat|dog$", "a dog", True),
        ("^cat|dog$", "dogs cat", False),
        ("[0-9]{3}-[^a-z]", "123-X", True),
        ("[0-9]{3}-[^a-z]", "123-x", False),
        (r"\d+\.\d+", "v 1.25", True),
        (r"\w+@\w+", "me@host", True),
        (r"\S\s\S", "a b", True),
        (r"a\x2Fb", "a/b", True),
        (r"[\]x]", "]", True),
        ("^$", "", True),
        ("", "anything", True),
    ],
)
def test_a_regular_expression_means(expression: str, message: str, expected: bool) -> None:
    assert Regex(expression).search(message) is expected


@given(st.text("abc.?*+|^", min_size=1, max_size=8), st.text("abc", max_size=12))
def test_expressions_mean_what_they_mean_elsewhere(expression: str, message: str) -> None:
    try:
        found = Regex(expression).search(message)
    except BadRegex:
        return
    assert found is (re.search(expression, message) is not None)


@pytest.mark.parametrize("expression", ["(a)", "a**", "*a", "a{2", "[a", "a\\", r"\q", "a{5,2}", "a^b", "a{101}"])
def test_an_expression_that_is_none(expression: str) -> None:
    with pytest.raises(BadRegex):
        Regex(expression)


def test_a_search_is_linear_whatever_the_expression() -> None:
    began = time.process_time()
    assert not Regex("a*a*a*a*a*a*a*a*a*a*b").search("a" * 20_000)
    assert time.process_time() - began < 5
