import pytest

from seqgan.bleu import bleu, self_bleu

SCRIPT = [["to", "be", "or", "not", "to", "be"], ["that", "is", "the", "question"]]


def test_a_line_of_the_script_scores_one_and_foreign_words_zero():
    assert bleu([SCRIPT[0]], SCRIPT) == pytest.approx(1.0)
    assert bleu([["words", "words", "words"]], SCRIPT) == 0.0
    assert bleu([SCRIPT[0], ["words"]], SCRIPT) == pytest.approx(0.5)  # the mean over lines


def test_more_in_common_scores_higher_even_without_any_four_words():
    some, fewer = bleu([["to", "be", "the", "question"]], SCRIPT), bleu([["to", "words", "the", "words"]], SCRIPT)
    assert 1 > some > fewer > 0


def test_a_line_is_never_its_own_reference():
    assert self_bleu([["a", "b", "c", "d"], ["e", "f", "g", "h"]]) == 0.0
    assert self_bleu([["a", "b", "c", "d"], ["a", "b", "c", "d"]]) == pytest.approx(
        1.0
    )  # of another that says the same


def test_an_empty_line_scores_zero():
    assert bleu([[]], SCRIPT) == 0.0


@pytest.mark.parametrize("score", [lambda: bleu([], SCRIPT), lambda: bleu(SCRIPT, []), lambda: self_bleu(SCRIPT[:1])])
def test_nothing_to_compare_with(score):
    with pytest.raises(ValueError, match="needs lines, and references"):
        score()
