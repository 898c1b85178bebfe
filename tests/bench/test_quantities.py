import math

import pytest
from pydantic import TypeAdapter, ValidationError

from bench import document

ANY = [-1, 0, 1, 0.5, math.inf, math.nan]


def taken(kind):
    adapter = TypeAdapter(kind)

    def is_taken(value):
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    return [value for value in ANY if is_taken(value)]


@pytest.mark.parametrize(("kind", "values"), [("Seconds", [1, 0.5]), ("NotNegative", [0, 1, 0.5]), ("Count", [0, 1])])
def test_what_they_can_be(kind, values):
    assert taken(getattr(document, kind)) == values
