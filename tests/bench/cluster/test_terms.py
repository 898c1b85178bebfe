import pytest
from daskers import HERE
from trials import Adding

from loop_bench.cluster.terms import Terms, software


@pytest.fixture
def terms(tmp_path):
    (tmp_path / "script.csv").write_text("words")
    options = {"script": str(tmp_path / "script.csv")}
    return Terms.of([Adding(options=options), Adding(terms=(1.0,), options=options)], HERE)


def test_are_what_loops_run_on_and_are_made_of(terms, tmp_path):
    assert terms.factories == ("trials:add",)
    assert terms.scripts == (str(tmp_path / "script.csv"),)
    assert terms.software == software(HERE)
    assert "pytest-benchmark" not in terms.software
    assert terms.software["python"] == HERE["python"]
    assert {*terms.code} == {"trials", "loop_bench"}
    assert terms.differences(Terms.here(terms.factories, terms.scripts, HERE)) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"software": {**software(HERE), "tensorflow": "2.20.0"}}, ["TensorFlow 2.20.0 (here 2.21.0)"]),
        ({"software": {**software(HERE), "tf_keras": "2.20.0"}}, ["tf_keras 2.20.0 (here none)"]),
        ({"code": {"trials": "other", "loop_bench": "other"}}, ["code of trials", "code of loop_bench"]),
        ({"script": "other"}, ["the script "]),
    ],
)
def test_what_differs_is_named(terms, changes, says):
    other = terms.model_copy(update={"code": dict(sorted(terms.code.items(), reverse=True)), **changes})
    found = terms.differences(other)
    assert len(found) == len(says)
    assert all(any(each.startswith(said) for each in found) for said in says)
    assert terms.digest() != other.digest() or changes == {}


def test_a_digest_is_of_all_that_is_named(terms):
    assert terms.digest() == terms.model_copy().digest()
    assert len({terms.digest(), terms.digest(1), terms.digest(None), terms.digest(1, None)}) == 4
