"""Makes git repositories for tests."""

import subprocess

SETTINGS = (
    *("-c", "user.name=Ada", "-c", "user.email=ada@example.com"),
    *("-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"),  # a submodule may be a folder
)


def git(folder, *arguments):
    """Runs git in a folder; returns its output."""
    done = subprocess.run(
        ["git", "-C", str(folder), *SETTINGS, *arguments], check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout.strip()


def commit(folder, message="change"):
    """Commits everything in a folder; returns the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def repository(folder, **files):
    """Makes a repository with one commit of some files, text by name (`a__py` is a.py)."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    commit(folder)
    return folder


def is_clean(folder, temporary):
    """Whether a repository has no worktrees and the folder for temporary files is empty."""
    return not [*temporary.iterdir()] and not (folder / ".git" / "worktrees").exists()
