import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def cost(load_script):
    return load_script("install/cost.py")


def test_a_row_for_each(cost):
    core = [cost.Installed(frozenset({"typer", "rich"}), 3 << 20, cost.Took(s, s / 2)) for s in (2.0, 9.0, 1.0)]
    found = cost.table({"core": core, "all": core[:1]}, {"core": [cost.Took(s, s) for s in (0.2, 0.1, 0.4)]})
    shown = ("2.0 (1.0 to 9.0)", "1.0 (0.5 to 4.5)", "0.20 (0.10 to 0.40)", "0.20 (0.10 to 0.40)")
    assert [*found.rows[0]] == ["core", "2", "3", *shown]
    assert [*found.rows[1]][-2:] == ["", ""]
    assert all(len(row) == len(found.columns) for row in found.rows)


def test_time_of_other_processes(cost):
    program = "sum(range(3_000_000))"
    found = cost.took(lambda: subprocess.run([sys.executable, "-c", program], check=True))
    assert 0 < found.cpu < found.seconds + 0.05


def test_bytes_of_files_and_not_of_links(cost, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"12345")
    (tmp_path / "d").write_bytes(b"12")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    assert cost.size(tmp_path) == 7


def test_the_files_of_a_commit(cost, tmp_path):
    found = cost.as_it_was(tmp_path / "is", "HEAD")
    assert (found / "src" / "loop_bench" / "extras.py").exists()


@pytest.mark.parametrize("keep", [True, False])
def test_added_packages_are_uninstalled(cost, monkeypatch, tmp_path, keep):
    there, asked = {"tensorflow"}, []

    def python(self, *arguments):
        asked.append(arguments)
        if "install" in arguments:
            there.update({"rich", "loop-bench"})
        if "uninstall" in arguments:
            there.difference_update(arguments)
        return "\n".join(f"{name}==1" for name in sorted(there)) if "list" in arguments else str(tmp_path)

    monkeypatch.setattr(cost.Environment, "python", python)
    found = cost.installed(cost.Environment(tmp_path, tmp_path / "is"), "[compare]", keep)
    assert found.packages == {"rich", "loop-bench"}
    assert ("-m", "pip", "install", "--quiet", f"{tmp_path / 'is'}[compare]") in asked
    assert there == ({"tensorflow", "rich", "loop-bench"} if keep else {"tensorflow"})
