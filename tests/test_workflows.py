"""Checks of the workflows and of the GPU job's container."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
INSTALLED = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def workflow(name):
    # YAML 1.1, which PyYAML reads, takes the key `on` for true.
    found = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in found.items()}


def steps(found):
    return [step for job in found["jobs"].values() for step in job["steps"]]


@pytest.fixture
def gpu():
    return workflow("gpu")


@pytest.fixture
def job(gpu):
    return gpu["jobs"]["benchmark"]


def test_they_are_workflows():
    """Validates against GitHub's schema, of which check-jsonschema has a copy."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 2


@pytest.mark.parametrize("name", [path.stem for path in WORKFLOWS])
def test_they_have_read_permissions_only(name):
    found = workflow(name)
    assert found["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in found["jobs"].values())
    checkouts = [step for step in steps(found) if step.get("uses", "").startswith("actions/checkout")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", [path.stem for path in WORKFLOWS])
def test_jobs_have_time_limits_and_actions_are_pinned(name):
    found = workflow(name)
    assert all(0 < job["timeout-minutes"] <= 60 for job in found["jobs"].values())
    for action in (step["uses"] for step in steps(found) if "uses" in step):
        _, _, version = action.partition("@")
        assert version[:2] > "v0", action


def test_no_step_hides_that_it_failed():
    for name in ("cpu", "gpu"):
        text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
        assert "continue-on-error" not in text
        assert "|| true" not in text


def test_the_gpu_is_measured_at_night_by_hand_and_on_a_label(gpu):
    assert gpu["on"]["schedule"]
    assert "workflow_dispatch" in gpu["on"]
    assert gpu["on"]["pull_request"] == {"types": ["labeled"]}
    assert "pull_request_target" not in gpu["on"]


def test_what_a_fork_proposes_never_runs_there(job):
    condition = " ".join(job["if"].split())
    assert condition == (
        "github.event_name != 'pull_request' || (github.event.label.name == 'gpu' && "
        "github.event.pull_request.head.repo.full_name == github.repository)"
    )


def test_no_two_runs_share_the_gpu(gpu, job):
    assert job["concurrency"] == {"group": "gpu", "cancel-in-progress": False}
    assert "concurrency" not in gpu  # there it would be taken by runs whose job is left out, those of forks too
    assert job["runs-on"] == ["self-hosted", "linux", "gpu"]


def test_it_is_gated_and_what_it_leaves_is_kept_whatever_the_gate_says(job):
    (measure,) = [step for step in job["steps"] if ".ci/gpu" in step.get("run", "")]
    folder = measure["run"].removeprefix(".ci/gpu ").strip('"').replace("$RUNNER_TEMP", "${{ runner.temp }}")
    (upload,) = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert "if" not in measure
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == folder


def test_ci_holds_the_docs_fresh():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "python results/docs.py --check" in lines


def test_every_change_is_checked_as_in_ci():
    found = workflow("cpu")
    assert {"push", "pull_request"} <= {*found["on"]}
    assert [step["run"] for step in found["jobs"]["whole"]["steps"] if "run" in step] == [".ci/run"]


def test_a_pull_request_is_compared_with_its_target_branch():
    job = workflow("cpu")["jobs"]["against"]
    assert job["if"] == "github.event_name == 'pull_request'"  # nothing else has a base
    checkout, *_, measure, upload = job["steps"]
    assert checkout["with"]["fetch-depth"] == 0
    assert measure["run"] == '.ci/against "origin/$GITHUB_BASE_REF" "$RUNNER_TEMP/results"'
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == "${{ runner.temp }}/results"
    # Installed as a copy, both revisions would be that copy.
    assert any("pip install" in step.get("run", "") and "--editable" in step["run"] for step in job["steps"])


def test_the_tests_that_it_names_are_there():
    (named,) = [step["run"] for step in workflow("cpu")["jobs"]["versions"]["steps"] if "tests/" in step.get("run", "")]
    named += (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    folders = [word for word in named.split() if word.startswith("tests/")]
    assert folders
    assert all((ROOT / folder).exists() for folder in folders)


def test_the_default_main_job_runs_on_each_python():
    job = workflow("cpu")["jobs"]["versions"]
    pythons = {each["python"] for each in job["strategy"]["matrix"]["include"]}
    classifiers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert pythons == {*re.findall(r"Python :: (3\.\d+)", classifiers)}
    assert job["steps"][-1]["run"] == "loop-bench run"


def test_the_shell_is_sound():
    scripts = [(ROOT / ".ci" / name).read_text() for name in ("gpu", "against")]
    scripts += [step["run"] for name in ("cpu", "gpu") for step in steps(workflow(name)) if "run" in step]
    for script in scripts:
        command = [INSTALLED / "shellcheck", "--shell=bash", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_container_runs_the_same_and_not_as_root():
    lines = (ROOT / "Containerfile").read_text().splitlines()
    assert lines[-1] == 'ENTRYPOINT [".ci/gpu", "/results"]'
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000"]


def test_what_git_ignores_does_not_get_into_the_container():
    ignored = {line.strip("/").removeprefix("**/") for line in (ROOT / ".containerignore").read_text().split()}
    assert ignored == {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_the_container_file_is_sound():
    done = subprocess.run(["hadolint", ROOT / "Containerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
