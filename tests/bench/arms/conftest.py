"""Fixtures for tests of worktrees."""

import tempfile

import pytest
from repositories import repository


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary ones, which is this test's alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def project(tmp_path, temporary):
    """A repository with one commit on main."""
    return repository(tmp_path / "project", train__py="rate = 1\n")
