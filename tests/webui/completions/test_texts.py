import random
import re
import time

import pytest

from webui.completions.completion_text import marked, pieces
from webui.completions.text_diff import MOST_PARTS, compared

HOSTILE = '<script>alert(1)</script><think>"><img src=x onerror=alert(2)>\\boxed{<b>}</think>'


def plain(markup: object) -> str:
    """Return the text without our own elements, unescaped."""
    text = re.sub(r"</?(mark|span|del|ins)[^>]*>", "", str(markup))
    for code, letter in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'")):
        text = text.replace(code, letter)
    return text.replace("&amp;", "&")


@pytest.mark.parametrize(
    "text", [HOSTILE, "", "a & b", "</think>", "<think>", "\\boxed{", "\\boxed{{}", "<|im_end|>"]
)
def test_marking_keeps_every_character_and_lets_no_element_through(text: str) -> None:
    assert plain(marked(text)) == text
    assert set(re.findall(r"<(\w+)", str(marked(text)))) <= {"mark", "span"}
    assert str(marked(text)).count("<span") == str(marked(text)).count("</span")


def test_tags_boxes_and_cuts_are_marked() -> None:
    text = (
        "<think>hm</think> \\boxed{\\frac{1}{2}} [1,234 characters left out] <｜end▁of▁sentence｜>"
    )
    kinds = [(each.kind, each.text) for each in pieces(text) if each.kind]
    assert kinds == [
        ("tag", "<think>"),
        ("tag", "</think>"),
        ("box", "\\boxed{\\frac{1}{2}}"),
        ("gap", "[1,234 characters left out]"),
        ("tag", "<｜end▁of▁sentence｜>"),
    ]


def test_a_thought_that_the_prompt_opened_is_a_thought() -> None:
    assert str(marked("hm</think> 4")).startswith('<span class="thought">hm</span>')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it is 4.", "it is 5."),
        ("", "all"),
        ("same", "same"),
        (HOSTILE, HOSTILE[5:]),
        ("a b", "b a"),
    ],
)
def test_a_comparison_keeps_both_texts(one: str, other: str) -> None:
    left, right = compared(one, other)
    assert (plain(left), plain(right)) == (one, other)
    for made in (left, right):
        assert set(re.findall(r"<(\w+)", str(made))) <= {"mark", "del", "ins"}


def test_what_only_one_text_has_is_marked() -> None:
    left, right = compared("so it is four, is it", "so it is five, is it")
    assert str(left) == "so it is <del>four</del>, is it"
    assert str(right) == "so it is <ins>five</ins>, is it"


@pytest.mark.parametrize("words", [2, 60, 2_000])
@pytest.mark.parametrize("count", [MOST_PARTS // 2 - 2, 3 * MOST_PARTS])
def test_texts_of_a_collapsed_training_are_compared_in_time(words: int, count: int) -> None:
    drawn = random.Random(1)
    one, other = (" ".join(f"w{drawn.randrange(words)}" for _ in range(count)) for _ in range(2))
    began = time.process_time()
    left, right = compared(one, other)
    assert time.process_time() - began < 2
    assert (plain(left), plain(right)) == (one, other)


def test_boxes_that_are_never_closed_cost_little() -> None:
    began = time.process_time()
    marked("\\boxed{" * 3_000)
    assert time.process_time() - began < 2
