"""Runs a real notebook once, in a kernel of its own; each test checks the output of a cell."""

import html
import os
import re
from pathlib import Path

import nbclient
import nbformat
import pytest

import loop_bench

CELLS = {
    "imports": "%load_ext loop_bench.hostsync\nimport keras, numpy as np, tensorflow as tf\nx = tf.constant(1.0)",
    "function": (
        "def total(values):\n    result = 0.0\n    for value in values:\n        result += float(value)\n"
        "    return result"
    ),
    "reads": "%%host_syncs\nlosses = []\nfor n in range(20):\n    losses.append(x.numpy())\ntotal([x, x])",
    "displays": "%%host_syncs --no-advice\nx + 1\nx",
    "graph": (
        "%%host_syncs\n@tf.function\ndef step(a, n):\n    if a > 0:\n"
        "        a = a + tf.py_function(lambda b: b.numpy(), [a], tf.float32)\n"
        "    return a\nfor n in range(4):\n    step(x, n)"
    ),
    "fits": (
        "%%host_syncs --stack\nmodel = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(np.ones([40, 2]), np.ones([40, 1]), batch_size=1, verbose=0);"
    ),
    "disallows": "%%host_syncs --disallow\nx + 1\nfloat(x)\nprint('not reached')",
    "fails": "%%host_syncs\nfloat(x)\nraise KeyError('its own')",
    "another magic": "%%host_syncs\n%%time\nfloat(x)",
    "wrong": "%%host_syncs --nothing\nx",
    "broken": "%%host_syncs\nx ===",
    "quiet": "%%host_syncs\nx + 1;",
    "awaits": "%%host_syncs\nimport asyncio\nawait asyncio.sleep(0)",
    "afterwards": "float(x)",
    "values": "sorted(Out), float(Out[4])",
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Cells of the executed notebook, by name."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    paths = os.pathsep.join(filter(None, [str(Path(loop_bench.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    own = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", **own}.items():
            environment.setenv(name, value)
        nbclient.NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
    return dict(zip(CELLS, notebook.cells, strict=True))


def shown(cell):
    """HTML table of a cell without tags, except for the ends of rows."""
    (found,) = [
        output["data"]["text/html"]
        for output in cell.outputs
        if "text/html" in output.get("data", {}) and "host sync" in output["data"]["text/html"]
    ]
    return html.unescape(re.sub(r"<[^>]+>", " ", found.replace("<br>", "\n").replace("</tr>", "\n--\n")))


def errors(cell):
    return [(output.ename, output.evalue) for output in cell.outputs if output.output_type == "error"]


def test_reads_have_the_line_of_the_cell_and_its_source(cells):
    text = shown(cells["reads"])
    assert re.search(r"cell 3, line 4\s+losses.append\(x.numpy\(\)\)\s+numpy\s+20 ", text)
    assert "22 host syncs in" in text
    assert not errors(cells["reads"])


def test_a_function_of_an_earlier_cell_has_its_own(cells):
    assert re.search(r"cell 2, line 4\s+result \+= float\(value\)\s+float\s+2 ", shown(cells["reads"]))


def test_advice_stands_below_unless_it_is_not_wanted(cells):
    assert "cell 3, line 4: 20 of 22 reads (numpy)" in shown(cells["reads"])
    assert "what to do" not in shown(cells["displays"])


def test_what_the_cell_displays_is_a_read_of_its_last_line(cells):
    assert re.search(r"cell 4, line 3\s+x\s+\d+ × .*IPython.*\s+display\s+\d+ ", shown(cells["displays"]))
    results = [output for output in cells["displays"].outputs if output.output_type == "execute_result"]
    assert "tf.Tensor" in results[0]["data"]["text/plain"]


def test_functions_that_autograph_has_copied_keep_their_lines(cells):
    text = shown(cells["graph"])
    assert "cell 5, line 5" in text
    assert re.search(r"step\s+cell 5, line 2\s+@tf.function\s+4\s+Python value of n: 0 → 1 → 2 → 3", text)
    assert "cell 5, line 4" in text  # the branch


def test_code_of_libraries_stands_beside(cells):
    assert re.search(r"cell 6, line 4\s+model.fit\(", shown(cells["fits"]))
    assert "(keras/src/backend/tensorflow/trainer.py:" in shown(cells["fits"])
    assert "steps_per_execution=N" in shown(cells["fits"])


def test_a_disallowed_read_ends_the_cell_and_the_notebook(cells):
    ((name, message),) = errors(cells["disallows"])
    assert name == "HostSyncError"
    assert message.startswith("cell 7, line 3: host sync: float of a float32")
    assert not [output for output in cells["disallows"].outputs if "not reached" in output.get("text", "")]


def test_an_error_of_the_cell_is_shown_once_and_the_table_still(cells):
    assert errors(cells["fails"]) == [("KeyError", "'its own'")]
    assert "1 host sync in" in shown(cells["fails"])
    (error,) = [output for output in cells["fails"].outputs if output.output_type == "error"]
    assert "raise KeyError" in "".join(error.traceback)
    assert "notebook.py" not in "".join(error.traceback)


def test_a_syntax_error_is_an_error_of_the_cell(cells):
    assert [name for name, _ in errors(cells["broken"])] == ["SyntaxError"]


def test_a_semicolon_keeps_the_value_from_being_shown(cells):
    assert not [output for output in cells["quiet"].outputs if output.output_type == "execute_result"]
    assert "0 host syncs in" in shown(cells["quiet"])


def test_a_cell_that_awaits_is_refused(cells):
    assert "cannot run a cell with await in Jupyter" in " ".join(
        str(dict(output)) for output in cells["awaits"].outputs
    )


def test_a_magic_inside_still_works(cells):
    assert "1 host sync in" in shown(cells["another magic"])
    assert [output for output in cells["another magic"].outputs if "Wall time" in output.get("text", "")]


def test_wrong_arguments_show_the_usage(cells):
    texts = " ".join(str(dict(output)) for output in cells["wrong"].outputs)
    assert "--nothing" in texts


def test_afterwards_nothing_is_recorded_any_more(cells):
    assert [output.output_type for output in cells["afterwards"].outputs] == ["execute_result"]


def test_as_text_it_is_the_terminals_table_without_colours(cells):
    (output,) = [each for each in cells["fails"].outputs if "text/html" in each.get("data", {})]
    assert "1 host sync in" in output["data"]["text/plain"]
    assert "\x1b[" not in output["data"]["text/plain"]


def test_the_value_of_a_cell_has_the_cells_own_number(cells):
    (shown,) = [output for output in cells["displays"].outputs if output.output_type == "execute_result"]
    assert shown.execution_count == cells["displays"].execution_count == 4
    (kept,) = cells["values"].outputs
    assert kept["data"]["text/plain"] == "([3, 4, 9, 14], 1.0)"
