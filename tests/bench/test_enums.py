import json

from loop_bench.enums import StrEnum


class Colour(StrEnum):
    RED = "red"


def test_a_member_is_its_text():
    assert (Colour.RED, str(Colour.RED), f"{Colour.RED:>4}") == ("red", "red", " red")
    assert Colour("red") is Colour.RED
    assert json.dumps({Colour.RED: Colour.RED}) == '{"red": "red"}'
