from loop_bench.doctor.finding import Finding, Part, State, problems


def test_only_problems_stand_in_the_way():
    bad = Finding("a", "broken", State.PROBLEM)
    parts = [Part("one", (Finding("b", "fine"), bad)), Part("two", (Finding("c", "so so", State.NOTE),))]
    assert problems(parts) == [bad]
