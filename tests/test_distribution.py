"""Contents of wheel and sdist, and that they are complete."""

import email
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

hatchling = pytest.importorskip("hatchling.build", reason="hatchling is not installed: it comes with the extra dev")
pytest.importorskip("hatch_fancy_pypi_readme", reason="hatch-fancy-pypi-readme comes with the extra dev")

ROOT = Path(__file__).parents[1]
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]


def built(source, into):
    """Builds the wheel of a folder by the hook that pip calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(source)
        return into / hatchling.build_wheel(str(into))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The sdist, as a folder."""
    folder = tmp_path_factory.mktemp("sdist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = hatchling.build_sdist(str(folder))
    with tarfile.open(folder / name) as packed:
        packed.extractall(folder, filter="data")
    return folder / name.removesuffix(".tar.gz")


def contents(wheel):
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel):
    (text,) = (text for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(text)


def test_the_wheel_has_one_name_and_all_that_it_needs(wheel):
    names = {*contents(wheel)}
    inside = {name.partition("/")[2] for name in names if name.startswith("loop_bench/")}
    assert {name.partition("/")[0] for name in names} == {"loop_bench", f"loop_bench-{VERSION}.dist-info"}
    assert f"loop_bench-{VERSION}.dist-info/licenses/LICENSE" in names
    assert not [name for name in inside if name.endswith(".pyc")]
    for folder, below in ({"bench": "", "seqgan": "seqgan/", "baseline": "baseline/"}).items():
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {f"{below}{path.relative_to(ROOT / folder)}" for path in files if not path.is_symlink()} <= inside
    assert {"py.typed", "report/templates/report.html", "hostsync/README.md"} <= inside


def test_the_sdist_makes_the_same_wheel(wheel, unpacked, tmp_path):
    again = contents(built(unpacked, tmp_path))
    assert again == contents(wheel)
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= {path.name for path in unpacked.iterdir()}
    assert not [path for path in unpacked.rglob("*") if path.is_symlink()]


def test_both_are_built_and_an_index_would_take_them(tmp_path):
    """As `python -m build && twine check --strict dist/*`: the wheel is made from the sdist."""
    pytest.importorskip("build")
    pytest.importorskip("twine")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == [f"loop_bench-{VERSION}-py3-none-any.whl", f"loop_bench-{VERSION}.tar.gz"]
    check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, tmp_path.iterdir())]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_metadata_name_no_address_and_the_changelog_this_version(metadata):
    assert metadata["Version"] == VERSION
    assert metadata.get_all("Project-URL", []) == []  # there is none yet that would be true
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} - \d{{4}}-\d\d-\d\d", headings[1])


def read(markdown):
    """Texts of a document, including code, and the targets of its links and pictures."""
    texts, targets = [], []
    for block in MarkdownIt("commonmark").enable("table").parse(markdown):
        if block.type in ("fence", "code_block"):
            texts.append(block.content)
        for part in block.children or ():
            if part.type in ("text", "code_inline"):
                texts.append(part.content)
            targets += [part.attrs[name] for name in ("href", "src") if name in part.attrs]
    return re.sub(r"\s+", "", "".join(texts)), targets


def test_an_index_shows_readme_without_links_to_nowhere(metadata):
    assert metadata["Description-Content-Type"] == "text/markdown"
    text, targets = read(metadata.get_payload(decode=True).decode())
    readme, wanted = read((ROOT / "README.md").read_text(encoding="utf-8"))
    assert text == f"{readme}Theplots,andtherecordsofwhichthisspeaks,areintherepository."
    assert targets == [target for target in wanted if target.startswith("https://")]
    assert len(targets) < len(wanted)


TYPED = """
from loop_bench import hostsync

with hostsync.record() as log:
    reveal_type(log.reads)
hostsync.allow(3)
"""


@pytest.mark.slow
def test_type_checkers_see_its_types_from_outside(wheel, tmp_path):
    pytest.importorskip("mypy")
    venv.create(tmp_path / "venv", symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    (tmp_path / "outside.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--python-executable", str(tmp_path / "venv" / "bin" / "python")]
    done = subprocess.run([*command, "outside.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    revealed, wrong, _ = done.stdout.splitlines()
    assert "loop_bench.hostsync.log.Read" in revealed
    assert 'Argument 1 to "allow" has incompatible type "int"' in wrong
