import json

import pytest

from loop_bench.seqgan.errors import InputError
from loop_bench.seqgan.script import ONLY_SCENE, ScriptFile, Speech, read_script


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


SPEECHES = [Speech("Ann", "1.1", "Hello, you"), Speech("Bob", "1.2", "Bye")]
TABBED = "character\tscene\ttext\nAnn\t1.1\tHello, you\nBob\t1.2\tBye\n"


@pytest.mark.parametrize(
    ("content", "written"),
    [
        (
            'Speaker,Act,Line\nAnn,1.1,"Hello, you"\nBob,1.2,Bye\n',
            {"columns": "character=Speaker,scene=Act,text=Line"},
        ),
        ('TEXT,speaker,Scene\n"Hello, you",Ann,1.1\nBye,Bob,1.2\n', {"columns": " Character = SPEAKER "}),
        ('Text,character,text,scene\na,Ann,"Hello, you",1.1\na,Bob,Bye,1.2\n', {}),
        ('a,"b, c",scene\nAnn,"Hello, you",1.1\nBob,Bye,1.2\n', {"columns": 'character=a,"text=b, c"'}),
        ('character, scene, text\nAnn, 1.1, "Hello, you"\nBob, 1.2, Bye\n', {}),
        ("character;scene;text\nAnn;1.1;Hello, you\nBob;1.2;Bye\n", {"delimiter": ";"}),
        ("character|scene|text\nAnn|1.1|Hello, you\nBob|1.2|Bye\n", {"delimiter": "pipe"}),
        (TABBED, {"delimiter": "TAB"}),
        (TABBED, {"delimiter": "\\t"}),
    ],
)
def test_common_columns_and_delimiters(tmp_path, content, written):
    assert read_script(ScriptFile(str(write(tmp_path, content)), **written)) == SPEECHES


def test_a_tsv_is_separated_by_tabs(tmp_path):
    assert read_script(write(tmp_path, TABBED, "s.tsv")) == SPEECHES


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "utf-16"])
def test_encoding(tmp_path, encoding):
    path = write(tmp_path, "character,scene,text\nÄnne,1,Schön.\n".encode(encoding))
    assert read_script(ScriptFile(str(path), encoding=encoding)) == [Speech("Änne", "1", "Schön.")]


def test_a_script_without_scenes_has_one(tmp_path):
    expected = [Speech("Ann", ONLY_SCENE, "Hello"), Speech("Bob", ONLY_SCENE, "Bye")]
    assert read_script(write(tmp_path, "character,text\nAnn,Hello\nBob,Bye\n")) == expected
    rows = '{"who": "Ann", "Text": "Hello"}\r\n{"Text": "Bye", "who": "Bob"}\n'
    path = write(tmp_path, rows, "s.jsonl")
    assert read_script(ScriptFile(str(path), columns="character=Who")) == expected


def test_a_script_is_taken_from_options():
    script, left = ScriptFile.taken_from({"script": "s.csv", "columns": "text=Line", "encoding": None, "epochs": 3})
    assert (script, left) == (ScriptFile("s.csv", columns="text=Line"), {"epochs": 3})
    assert ScriptFile.taken_from(script.to_options()) == (script, {})
    assert ScriptFile.taken_from({"epochs": 3}) == (None, {"epochs": 3})
    with pytest.raises(InputError, match=r"^--delimiter ';': says how a script is written; needs --script as well$"):
        ScriptFile.taken_from({"script": None, "delimiter": ";"})


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"columns": ""}, "--columns '': must be ROLE=COLUMN,..., e.g. character=Speaker,text=Line"),
        ({"columns": "Speaker,Line"}, "--columns 'Speaker,Line': must be ROLE=COLUMN,..."),
        ({"columns": "character="}, "--columns 'character=': must be ROLE=COLUMN,..."),
        ({"columns": "text=a\n,b"}, "--columns 'text=a\\n,b': must be ROLE=COLUMN,..."),
        ({"columns": "who=Speaker"}, "role 'who' is unknown; the roles are character, scene, text"),
        ({"columns": "Line=text"}, "role 'Line' is unknown (did you mean text=Line?); the roles are"),
        ({"columns": "text=Line,text=Words"}, "role 'text' is given twice"),
        ({"columns": "character=Line,text=line"}, "column 'line' is given twice"),
        (
            {"delimiter": ""},
            "--delimiter '': must be one character (no quote or blank) or one of comma, semicolon, tab",
        ),
        ({"delimiter": "::"}, "--delimiter '::': must be one character"),
        ({"delimiter": '"'}, "must be one character"),
        ({"encoding": "utf-9"}, "--encoding 'utf-9': unknown to Python; common ones are utf-8"),
        ({"encoding": "base64"}, "--encoding 'base64': unknown"),
        ({"encoding": ""}, "--encoding '': unknown"),
    ],
)
def test_an_invalid_format_is_refused_before_the_script_is_read(written, says):
    with pytest.raises(InputError) as caught:
        ScriptFile("none.csv", **written)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_lines_have_no_delimiter():
    with pytest.raises(InputError, match=r"^--delimiter ';': \.jsonl files have none; leave it out$"):
        ScriptFile("s.jsonl", delimiter=";")


HEADER = "character,scene,text\n"


@pytest.mark.parametrize(
    ("content", "columns", "says"),
    [
        ("", None, "script.csv: is empty; it needs at least one line with character and text"),
        ("\ufeff\n \n", None, "is empty"),
        (HEADER, None, "script.csv: has a header, but no lines below it"),
        (",,\n,,\n", None, "columns 'character' and 'text' are missing; its columns are none"),
        (
            "who,scene,text\nA,1,x\n",
            None,
            "column 'character' is missing; its columns are 'who', 'scene', 'text'; "
            "give other names as --columns character=NAME",
        ),
        (
            "who, said\nA,x\n",
            "character=Who",
            "column 'text' is missing; its columns are 'who', 'said'; give other names as --columns text=",
        ),
        ("character,text\nA,x\n", "scene=Act", "column 'Act' is missing; its columns are 'character', 'text'"),
        (
            "Character;Scene;Text\nA;1;x\n",
            None,
            "columns 'character' and 'text' are missing; its columns are 'Character;Scene;Text'; "
            "separated by semicolons? --delimiter ';'",
        ),
        ("character, text,text \nA,x,y\n", None, "has column 'text' twice; its columns are 'character', 'text'"),
        ("character,TEXT,Text\nA,x,y\n", None, "columns 'TEXT', 'Text' could each be 'text'; --columns text=NAME says"),
        ("character,text\nA,x\n", "character=text", "column 'text' cannot be character and text at once"),
        (f"{HEADER}A,1,x\nB,2\n", None, "line 3: 2 fields, but the header has 3: 'text' is missing"),
        (
            f"{HEADER}Ann,1.1,Hello, you there\n",
            None,
            "line 2: 4 fields, but the header has 3; a text with commas in it needs quotes around it",
        ),
        (f'{HEADER}A,1,"x\ny"\nB,,x\n', None, "line 4: column 'scene' is '' but must be a text that is not empty"),
        (
            f'{HEADER}Ann,1.1,"two\nlines"\nBob,1.1,"never closed\nAnn,1.1,next\n',
            None,
            "line 4: a quote is opened in this row but not closed up to the end of the file",
        ),
        (
            f'{HEADER}Ann,1.1,Hello\nBob,1.1,"He said \\"no\\" twice"\n',
            None,
            'line 3: a quoted text continues after its closing quote; quotes inside a quoted text are doubled (""),',
        ),
        (f"{HEADER}A,1,ÿ\n".encode("latin-1"), None, "line 2: not UTF-8 (byte 25: invalid start byte); Latin-1? --enc"),
    ],
)
def test_bad_csv_is_one_line_that_names_file_and_fault(tmp_path, content, columns, says):
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_script(ScriptFile(str(path), columns=columns))
    message = str(caught.value)
    assert says in message
    assert message.startswith(f"script {path}")
    assert "\n" not in message


ROW = '{"character": "A", "text": "x"}'
ROW_OF_SCENE = '{"character": "A", "text": "x", "scene": 1}'


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("s.jsonl", "", "is empty"),
        (
            "s.jsonl",
            '{"character": "A", "scene": "1"}',
            "line 1: key 'text' is missing; its keys are 'character', 'scene'; give other names as --columns text=NAME",
        ),
        ("s.jsonl", '{"character": "A"', "line 1: not JSON"),
        ("s.jsonl", "[1]", "line 1: must be an object with character and text"),
        ("s.jsonl", '{"character": null, "scene": "1", "text": "x"}', "line 1: key 'character' is None"),
        ("s.jsonl", f"{ROW}\n\n{ROW_OF_SCENE}", "line 3: has a scene, unlike the lines before"),
        ("s.jsonl", f"{ROW_OF_SCENE}\n{ROW}", "line 2: has no scene, unlike the lines before"),
        ("s.txt", "hello", "its name must end in one of .csv, .tsv, .jsonl, .ndjson"),
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


@pytest.mark.parametrize(("name", "says"), [("none.csv", "no such file"), ("folder", "is a folder; name a file in it")])
def test_a_script_that_is_not_a_file(tmp_path, name, says):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=f"^script .*{name}: {says}$"):
        read_script(tmp_path / name)
