import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.script import Speech
from loop_bench.seqgan.vocabulary import END, PAD, SPECIALS, UNKNOWN, Vocabulary, detokenize, tokenize

SPEECHES = [
    Speech("Hamlet", "3.1", "To be, or not to be!"),
    Speech("Ophelia", "3.1", "Good my lord, be well."),
]


def test_tokens_are_words_and_marks():
    assert tokenize("Who's there? 'Tis I - Bernardo.") == [
        "who's", "there", "?", "'", "tis", "i", "-", "bernardo", ".",
    ]  # fmt: skip


def test_words_are_ordered_by_frequency_then_alphabet():
    vocabulary = Vocabulary.of(SPEECHES, 100)
    assert vocabulary.words[:3] == SPECIALS
    assert vocabulary.words[3:7] == ("be", ",", "to", "!")
    assert vocabulary.characters == ("Hamlet", "Ophelia")
    assert vocabulary.scenes == ("3.1",)


def test_rare_words_are_unknown_and_lines_are_closed_cut_and_padded():
    vocabulary = Vocabulary.of(SPEECHES, 5)  # specials, be, comma
    be, comma = 3, 4
    tokens = vocabulary.encode(SPEECHES, 9)
    assert tokens[0].tolist() == [UNKNOWN, be, comma, UNKNOWN, UNKNOWN, UNKNOWN, be, UNKNOWN, END]
    assert tokens[1].tolist() == [UNKNOWN, UNKNOWN, UNKNOWN, comma, be, UNKNOWN, UNKNOWN, END, PAD]
    assert vocabulary.encode(SPEECHES, 3)[0].tolist() == [UNKNOWN, be, comma]


def test_decoding_stops_at_the_end():
    vocabulary = Vocabulary.of(SPEECHES, 100)
    (line, _) = vocabulary.encode(SPEECHES, 12)
    assert vocabulary.decode(line) == "to be, or not to be!"
    assert vocabulary.decode([3, END, 3, 3]) == "be"


def test_synthetic_words_are_numbers_and_lines_do_not_end():
    vocabulary = Vocabulary.synthetic(5, 2, 3)
    assert not vocabulary.ends
    assert Vocabulary.of(SPEECHES, 100).ends
    assert vocabulary.decode([0, END, 4]) == "0 2 4"


def test_unknown_names_come_with_the_known_ones():
    vocabulary = Vocabulary.of(SPEECHES, 100)
    assert (vocabulary.character_id("Ophelia"), vocabulary.scene_id("3.1")) == (1, 0)
    with pytest.raises(InputError, match=r"character 'Yorick' is unknown.*Hamlet, Ophelia"):
        vocabulary.character_id("Yorick")
    with pytest.raises(InputError, match=r"scene '9\.9' is unknown.*3\.1"):
        vocabulary.scene_id("9.9")


def test_a_scene_need_not_be_named_where_there_is_one():
    assert Vocabulary.of(SPEECHES[:1], 100).only_scene() == SPEECHES[0].scene
    with pytest.raises(InputError, match=r"^--scene is missing; the scenes of this checkpoint are 0, 1$"):
        Vocabulary.synthetic(9, 1, 2).only_scene()


def test_survives_a_dict():
    vocabulary = Vocabulary.of(SPEECHES, 100)
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary


@given(st.lists(st.sampled_from(["to", "be", ",", "or", "not", "!", "who's", "(", ")"]), max_size=30))
def test_text_keeps_its_tokens(tokens):
    assert tokenize(detokenize(tokens)) == tokens
