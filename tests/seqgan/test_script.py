import json

import pytest

from seqgan.errors import InputError
from seqgan.script import Speech, read_script


def write(tmp_path, content, name="script.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv(tmp_path):
    path = write(tmp_path, 'scene,character,text,page\n1.1,Bernardo,"Who\'s there, ""friend""?\nSpeak.",7\n')
    assert read_script(path) == [Speech("Bernardo", "1.1", 'Who\'s there, "friend"?\nSpeak.')]


def test_byte_order_mark_is_no_part_of_a_column(tmp_path):
    assert read_script(write(tmp_path, "\ufeffcharacter,scene,text\nA,1,Yes.\n")) == [Speech("A", "1", "Yes.")]


def test_only_line_feeds_end_a_line(tmp_path):
    """Python's splitlines also splits at form feeds and at separators that may stand inside a text."""
    text = "one\u2028two\x0cthree\u0085four"
    assert read_script(write(tmp_path, f"character,scene,text\nA,1,{text}\n")) == [Speech("A", "1", text)]
    row = json.dumps({"character": "A", "scene": "1", "text": text}, ensure_ascii=False)
    assert read_script(write(tmp_path, row + "\r\n", "s.jsonl")) == [Speech("A", "1", text)]


def test_json_lines(tmp_path):
    rows = [{"character": "A", "scene": 3.1, "text": "Ü!"}, {"character": "B", "scene": "x", "text": " b "}]
    path = write(tmp_path, "\n\n".join(map(json.dumps, rows)), "script.jsonl")
    assert read_script(path) == [Speech("A", "3.1", "Ü!"), Speech("B", "x", "b")]


def test_hamlet(hamlet):
    speeches = read_script(hamlet)
    assert len(speeches) == 1137
    assert len({speech.character for speech in speeches}) == 33
    assert len({speech.scene for speech in speeches}) == 20


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("s.csv", "", "holds no line"),
        ("s.csv", "character,scene,text\n", "holds no line"),
        ("s.csv", "who,scene,text\nA,1,x\n", "column 'character' is missing; its columns are who, scene, text"),
        ("s.csv", "character,scene,text\nA,1,x\nB,2\n", "line 3: text is None"),
        ("s.csv", "character,scene,text\nA,,x\n", "line 2: scene is ''"),
        ("s.csv", 'character,scene,text\nA,1,"x\n', "not CSV"),
        ("s.csv", b"character,scene,text\nA,1,\xff\xfe\n", "not UTF-8"),
        ("s.jsonl", "", "holds no line"),
        ("s.jsonl", '{"character": "A", "scene": "1"}', "line 1: key 'text' is missing; its keys are character, scene"),
        ("s.jsonl", '{"character": "A"', "line 1: not JSON"),
        ("s.jsonl", "[1]", "line 1: must be an object"),
        ("s.jsonl", '{"character": null, "scene": "1", "text": "x"}', "line 1: character is None"),
        ("s.txt", "hello", "must end in one of .csv, .jsonl"),
    ],
)
def test_bad_script_is_one_line_that_names_file_and_fault(tmp_path, name, content, says):
    path = write(tmp_path, content, name)
    with pytest.raises(InputError) as caught:
        read_script(path)
    message = str(caught.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_script(tmp_path / "none.csv")


def test_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_script(tmp_path / "folder.csv")
