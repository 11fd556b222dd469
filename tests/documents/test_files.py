from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from rag.documents import file_digest, find_documents, read_document
from rag.errors import CorpusError, DocumentError

LIMIT = 1 << 20


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"This is {name}.")


def test_every_kind_of_file_is_listed_in_order(corpus: Path) -> None:
    write(corpus, "b.txt", "a/z.md", "a/b/c.pdf", "photo.jpg", "README", "a.txt", "B.txt")
    assert find_documents(corpus) == [
        *("B.txt", "README", "a.txt", "a/b/c.pdf", "a/z.md", "b.txt", "photo.jpg")
    ]


def test_hidden_files_and_backups_are_passed_over(corpus: Path) -> None:
    write(corpus, ".hidden.txt", ".git/config.txt", "a.txt~", "#a.txt#", "a.bak", ".a.txt.swp")
    write(corpus, "~$report.docx", "#1 of many.txt", "kept.txt", "not.hidden/kept.txt")
    assert find_documents(corpus) == ["#1 of many.txt", "kept.txt", "not.hidden/kept.txt"]


def test_an_empty_corpus_has_no_documents(corpus: Path) -> None:
    (corpus / "empty").mkdir()
    assert find_documents(corpus) == []


def test_a_missing_corpus_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"there is no folder .*nowhere: .*--corpus"):
        find_documents(tmp_path / "nowhere")


def test_a_file_is_no_corpus(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    with pytest.raises(CorpusError, match=r"a\.txt is not a folder: .*--corpus"):
        find_documents(tmp_path / "a.txt")


def test_a_corpus_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CorpusError, match="cannot be opened: Too many levels of symbolic links"):
        find_documents(tmp_path / "loop")


def test_a_corpus_may_be_a_link(corpus: Path, tmp_path: Path) -> None:
    write(corpus, "sub/a.txt")
    (tmp_path / "link").symlink_to(corpus)
    assert find_documents(tmp_path / "link") == ["sub/a.txt"]
    assert read_document(tmp_path / "link", "sub/a.txt", LIMIT).text == "This is sub/a.txt."


@pytest.mark.parametrize("target", ["secret.txt", "secrets"])
def test_a_link_out_of_the_corpus_is_listed_and_refused(
    corpus: Path, tmp_path: Path, target: str
) -> None:
    write(tmp_path, "secret.txt", "secrets/of/many.txt")
    (corpus / "link.txt").symlink_to(tmp_path / target)
    assert find_documents(corpus) == ["link.txt"]
    for use in (lambda: read_document(corpus, "link.txt", LIMIT), lambda: link_digest(corpus)):
        with pytest.raises(DocumentError, match=r"leads out of the corpus"):
            use()


def link_digest(corpus: Path) -> str:
    return file_digest(corpus, "link.txt")


def test_a_file_behind_a_linked_folder_outside_is_refused(corpus: Path, tmp_path: Path) -> None:
    write(tmp_path, "secrets/a.txt")
    (corpus / "folder").symlink_to(tmp_path / "secrets")
    assert find_documents(corpus) == ["folder"]
    with pytest.raises(DocumentError, match=r"leads out of the corpus"):
        read_document(corpus, "folder/a.txt", LIMIT)


def test_links_within_the_corpus(corpus: Path) -> None:
    write(corpus, "sub/a.txt")
    (corpus / "file.txt").symlink_to("sub/a.txt")
    (corpus / "folder").symlink_to("sub")
    (corpus / "sub" / "up").symlink_to("..")
    assert find_documents(corpus) == ["file.txt", "sub/a.txt"]
    assert read_document(corpus, "file.txt", LIMIT).text == "This is sub/a.txt."


@pytest.mark.parametrize(
    ("target", "reason"), [("nothing.txt", "a link to what is missing"), ("link.txt", "Too many")]
)
def test_a_broken_link_is_listed_and_reported(corpus: Path, target: str, reason: str) -> None:
    (corpus / "link.txt").symlink_to(target)
    assert find_documents(corpus) == ["link.txt"]
    with pytest.raises(DocumentError, match=reason):
        read_document(corpus, "link.txt", LIMIT)


@pytest.mark.parametrize("name", ["../secret.txt", "sub/../../secret.txt", "/etc/passwd", ".."])
def test_no_name_leads_out_of_the_corpus(corpus: Path, tmp_path: Path, name: str) -> None:
    write(tmp_path, "secret.txt")
    write(corpus, "sub/a.txt")
    with pytest.raises(DocumentError, match=r"leads out of the corpus"):
        read_document(corpus, name, LIMIT)


def test_a_sister_folder_with_a_longer_name_is_outside(corpus: Path, tmp_path: Path) -> None:
    write(tmp_path, "corpus-secret/a.txt")
    with pytest.raises(DocumentError, match=r"leads out of the corpus"):
        read_document(corpus, "../corpus-secret/a.txt", LIMIT)


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"caf\xe9/a.txt"])
def test_a_name_that_is_not_unicode_is_spelled_and_reported(corpus: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(corpus) + b"/" + name))
    path.parent.mkdir(exist_ok=True)
    path.write_text("Text.")
    [listed] = find_documents(corpus)
    assert listed == name.decode(errors="backslashreplace")
    for use in (lambda: read_document(corpus, listed, LIMIT), lambda: file_digest(corpus, listed)):
        with pytest.raises(DocumentError, match="not valid Unicode: rename it"):
            use()


@pytest.mark.parametrize("name", ["a\0.txt", "a\udcff\ud800.txt"])
def test_a_name_that_no_file_can_have_is_refused(corpus: Path, name: str) -> None:
    with pytest.raises(DocumentError, match="has a name that no file can have"):
        read_document(corpus, name, LIMIT)


def test_names_that_differ_in_unicode_form_are_two_documents(corpus: Path) -> None:
    names = ["caf\u00e9.txt", "cafe\u0301.txt"]
    write(corpus, *names)
    assert find_documents(corpus) == sorted(names)
    assert {read_document(corpus, name, LIMIT).title for name in names} == {n[:-4] for n in names}


def test_what_is_no_file_is_passed_over_and_never_opened(corpus: Path) -> None:
    os.mkfifo(corpus / "pipe.txt")
    (corpus / "link.txt").symlink_to("pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(corpus / "socket.txt"))
        assert find_documents(corpus) == []
    with pytest.raises(DocumentError, match="is no regular file"):
        read_document(corpus, "pipe.txt", LIMIT)


def test_a_folder_that_cannot_be_opened_is_reported(corpus: Path) -> None:
    write(corpus, "a.txt")
    deep = make_deep_folder(corpus)
    names = find_documents(corpus)
    assert names[0] == "a.txt"
    assert [name for name in names if deep.startswith(name)] == names[1:]
    with pytest.raises(DocumentError, match="File name too long"):
        read_document(corpus, names[1], LIMIT)


def make_deep_folder(corpus: Path) -> str:
    """Make folders deeper than a path can be long; their path from the corpus."""
    part = "d" * 200
    folder = os.open(corpus, os.O_RDONLY)
    for _ in range(25):
        os.mkdir(part, dir_fd=folder)
        inner = os.open(part, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    return "/".join([part] * 25)


def test_a_folder_is_no_document(corpus: Path) -> None:
    (corpus / "folder.txt").mkdir()
    with pytest.raises(DocumentError, match="is a folder"):
        read_document(corpus, "folder.txt", LIMIT)


def test_a_digest_is_that_of_the_bytes(corpus: Path) -> None:
    data = bytes(range(256)) * 4096
    (corpus / "any.bin").write_bytes(data)
    assert file_digest(corpus, "any.bin") == hashlib.sha256(data).hexdigest()


def test_the_digest_of_a_missing_file_is_an_error(corpus: Path) -> None:
    with pytest.raises(DocumentError, match="is missing"):
        file_digest(corpus, "gone.txt")
