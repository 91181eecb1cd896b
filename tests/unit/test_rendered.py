"""Answers that are kept for those who ask again."""

from api.http.rendered import LARGEST, Rendered


def test_an_answer_is_found_again_as_long_as_what_it_is_made_of_is_the_same() -> None:
    rendered = Rendered()
    rendered.keep("upl_a", {"version": 1, "name": "a"}, b"first")
    assert rendered.get("upl_a", {"version": 1, "name": "a"}) == b"first"
    assert rendered.get("upl_a", {"version": 1, "name": "b"}) is None
    assert rendered.get("upl_b", {"version": 1, "name": "a"}) is None
    rendered.keep("upl_a", {"version": 2}, b"second")
    assert rendered.get("upl_a", {"version": 2}) == b"second"
    assert rendered.get("upl_a", {"version": 1, "name": "a"}) is None


def test_together_they_take_up_no_more_than_they_may_and_the_longest_unused_goes_first() -> None:
    rendered = Rendered(most=30)
    for name in "abc":
        rendered.keep(name, 1, 10 * b"x")
    rendered.get("a", 1)
    rendered.keep("d", 1, 10 * b"x")
    assert [name for name in "abcd" if rendered.get(name, 1)] == ["a", "c", "d"]
    for _ in range(10):
        rendered.keep("a", 1, 15 * b"x")
    assert [name for name in "abcd" if rendered.get(name, 1)] == ["a", "d"]


def test_a_large_one_isnt_kept_nor_what_it_replaces() -> None:
    rendered = Rendered()
    rendered.keep("frm_a", 1, b"small")
    rendered.keep("frm_a", 2, (LARGEST + 1) * b"x")
    assert rendered.get("frm_a", 1) is rendered.get("frm_a", 2) is None
