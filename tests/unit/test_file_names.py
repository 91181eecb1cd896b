"""What a person called a file, however a client puts it."""

import time

import pytest

from api.receive import header_values
from api.receive.names import clean_filename, filename_in
from api.texts.errors import Problem

AT_MOST = 64 * 1024
LITTLE = 0.5
"""Seconds of this process: linear parsers need some milliseconds, quadratic ones minutes."""


def name_in(disposition: str | bytes) -> str | None:
    raw = disposition if isinstance(disposition, bytes) else disposition.encode()
    return filename_in(header_values.parse(raw))


@pytest.mark.parametrize(
    ("disposition", "shown"),
    [
        ('form-data; name="f"', None),
        ('form-data; name="f"; filename=""', ""),
        ("form-data; name=f; filename=a.png", "a.png"),
        ("form-data; name=\"f\"; filename*=utf-8''%C3%A9t%C3%A9.png", "été.png"),
        ("form-data; filename*=UTF-8'de'%C3%A9.png; filename=plain.png; name=f", "é.png"),
        ("form-data; filename=plain.png; filename*=utf-8''%FF%FE; name=f", "plain.png"),
        ("form-data; filename=plain.png; filename*=nonsense; name=f", "plain.png"),
        ("form-data; filename*=iso-8859-1''%E9.png; name=f", "é.png"),
        ("form-data; filename*=punycode''a-b; name=f", "a-b"),
        ("form-data; filename*0*=utf-8''%C3%A9-; filename*1=long; filename*2=.png", "é-long.png"),
        ('form-data; filename="=?utf-8?B?5pawLnBuZw==?="', "新.png"),
        ('form-data; filename="=?utf-8?B?5pawLnBuZw?="', "新.png"),
        ('form-data; filename="=?UTF-8?Q?Jos=C3=A9_Ruiz=2Epng?="', "José Ruiz.png"),
        ('form-data; filename="=?utf-8?B?5paw?= =?iso-8859-1?Q?=E9.png?="', "新é.png"),
        ('form-data; filename="=?utf-8?B?ww==?= =?UTF-8?Q?=A9.png?="', "é.png"),
        ('form-data; filename="=?utf-8?B?w6kv/2tpLnBuZw==?="', "\ufffdki.png"),
        ("form-data; filename=\"=?utf-8?B?YQ==?=\"; filename*=utf-8''%E6%96%B0.png", "新.png"),
        ('form-data; filename="=?utf-8?X?nothing?="', "=?utf-8?X?nothing?="),
        ('form-data; filename="a%22b%0D%0Ac.png"', 'a"b c.png'),
        ('form-data; filename="a%22b%0d%0ac.png"', 'a"b c.png'),
        ('form-data; filename="50%20off.png"', "50%20off.png"),
        ('form-data; filename="Zo%C3%AB%27s%20%E2%84%961.jpg"', "Zoë's №1.jpg"),
        ('form-data; filename="100%25 %E9.jpg"', "100%25 %E9.jpg"),
        (r'form-data; filename="C:\fakepath\x.png"', "x.png"),
        (r'form-data; filename="say \"hi\".png"', 'say "hi".png'),
        (r'form-data; filename="semi;colon.png"; name=f', "semi;colon.png"),
        ('form-data; filename="never closed.png', "never closed.png"),
        (b'form-data; filename="\xe9t\xe9.png"', "été.png"),
        ('form-data; filename="🏳️\u200d🌈.png"', "🏳️\u200d🌈.png"),
        ('form-data; filename="\u0645\u06cc\u200c\u062f.png"', "\u0645\u06cc\u200c\u062f.png"),
        ('form-data; filename="e\u0301.png"', "e\u0301.png"),
    ],
)
def test_a_file_is_shown_by_the_name_it_was_given(
    disposition: str | bytes, shown: str | None
) -> None:
    assert name_in(disposition) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a" * 251 + ".png", "a" * 251 + ".png"),
        ("b" + "a" * 251 + ".png", "a" * 251 + ".png"),
        ("é" * 127 + ".png", "é" * 125 + ".png"),
        ("one/two/three/four.png", "four.png"),
        ("one\\two\\three.png", "three.png"),
        ("folder/", ""),
    ],
    ids=[
        "as long as may be",
        "too long",
        "too long for its letters",
        "a path",
        "Windows",
        "no name",
    ],
)
def test_a_name_is_the_end_of_its_path_and_keeps_its_own_end(name: str, shown: str) -> None:
    assert clean_filename(name) == shown


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u202f", "\u3000"])
def test_unusual_spaces_stay(space: str) -> None:
    assert clean_filename(f"Bild{space}1.png") == f"Bild{space}1.png"


@pytest.mark.parametrize("between", ["\t", "\n", "\r\n", "\u2028", "\x85"])
def test_what_divides_lines_is_a_space(between: str) -> None:
    assert clean_filename(f"one{between}two.png") == "one two.png"


@pytest.mark.parametrize("name", [".", "..", " .. ", "...", "a/..", "..\\", "\u202e..\x00"])
def test_dots_alone_name_a_folder_and_no_file(name: str) -> None:
    assert clean_filename(name) == ""


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u200f", "\ufeff", "\x00", "\x7f", "\ue000"])
def test_what_hides_or_turns_a_name_is_dropped(char: str) -> None:
    assert clean_filename(f"a{char}b.png") == "ab.png"


@pytest.mark.parametrize(
    "char", ['"', "\\", ";", ",", "=", "%", "(", ")", "<", " ", "\t", "*", "?"]
)
@pytest.mark.parametrize(
    "start", ["", "a; f=", 'a; f="', "a; filename*=", 'a; filename="=?utf-8?q?', "a; x="]
)
def test_a_disposition_is_read_in_one_pass_whatever_fills_it(start: str, char: str) -> None:
    began = time.process_time()
    for header in (start + char * AT_MOST, start + f"{char};" * (AT_MOST // 2)):
        name_in(header)
    name_in(start + f"{char}=?a?b?" * (AT_MOST // 7))
    assert time.process_time() - began < LITTLE


def test_of_two_names_both_are_read_so_that_they_can_be_refused() -> None:
    value = header_values.parse(b"a; filename=x; FileName=y")
    assert [name for name, _ in value.parameters] == ["filename", "filename"]


def test_a_problem_is_no_part_of_reading() -> None:
    for odd in (b"", b";", b";;;=", b"=", b"a;=b", b'"', b'a; "', b"a; b=\\"):
        try:
            filename_in(header_values.parse(odd))
        except Problem as problem:
            pytest.fail(str(problem))
