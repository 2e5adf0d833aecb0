"""Folders as they were at a git revision, from a real repository."""

import pytest

from crossdock.errors import WrongUse
from crossdock.revisions import at_revision
from repositories import commit, git


@pytest.fixture
def repository(tmp_path):
    """A repository whose folder `contracts` was changed after its first commit."""
    folder = tmp_path / "repository"
    (folder / "contracts" / "部门").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "contracts" / "部门" / "a.yaml").write_text("old")
    (folder / "other").write_text("not asked for")
    commit(folder)
    git(folder, "tag", "first")
    (folder / "contracts" / "部门" / "a.yaml").write_text("new")
    commit(folder)
    (folder / "contracts" / "部门" / "a.yaml").write_text("not committed")
    return folder


def files(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("revision", "content"), [("first", "old"), ("HEAD", "new"), ("HEAD~1", "old"), ("main", "new")]
)
def test_a_folder_is_given_as_it_was(repository, revision, content):
    with at_revision(repository / "contracts", revision) as folder:
        assert files(folder) == {"部门/a.yaml": content}
    assert not folder.exists()
    assert (repository / "contracts" / "部门" / "a.yaml").read_text() == "not committed"


def test_the_top_of_a_repository_is_a_folder_too(repository):
    with at_revision(repository, "first") as folder:
        assert set(files(folder)) == {"contracts/部门/a.yaml", "other"}


def test_a_folder_that_was_not_there_is_empty(repository):
    (repository / "later").mkdir()
    with at_revision(repository / "later", "first") as folder:
        assert files(folder) == {}


@pytest.mark.parametrize("revision", ["nowhere", "--help", "-x", "", "first:contracts", "a b", "first; ls"])
def test_an_unknown_revision_is_named_and_never_an_option(repository, revision):
    with pytest.raises(WrongUse, match="git fetch origin main"), at_revision(repository / "contracts", revision):
        pass


def test_where_there_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(WrongUse, match="git says"), at_revision(folder, "HEAD"):
            pass


def test_where_there_is_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WrongUse, match="git is not installed"), at_revision(repository / "contracts", "HEAD"):
        pass
