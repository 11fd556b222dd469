from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus import MilvusClient

from rag.answer import answer
from rag.build import build_index
from rag.errors import BadIndex, ExtraMissing, IndexAway, IndexDamaged, IndexMissing
from rag.generation import open_generation
from rag.home import Folder, find_home, rebuild
from rag.lexical import Lexical, inverse_frequency, read_fields, read_words, write_lexical
from rag.milvus import MilvusHome
from rag.milvus.client import Address, Client, Row
from rag.milvus.layout import days, key_of, parts, word_layout
from rag.milvus.words import WordCounts
from rag.settings import Settings
from rag.web.library import Library
from tests.encoders import WordEncoder
from tests.milvus_server import MilvusServer

EAGER = Settings(threshold=0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MilvusHome:
    """In a file of its own, built in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return MilvusHome(str(tmp_path / "index.db"))


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(Address.parse(str(tmp_path / "index.db")))


def ask(home: MilvusHome, question: str) -> list[str]:
    return [q.text for q in answer(question, home.open(), WordEncoder(), EAGER).quotes]


# The address


@pytest.mark.parametrize(
    ("text", "uri", "name"),
    [
        ("milvus://db.example:19530/news", "http://db.example:19530", "news"),
        ("milvus+tls://db.example/a_1", "https://db.example", "a_1"),
    ],
)
def test_an_address_names_a_server_and_an_index(text: str, uri: str, name: str) -> None:
    address = Address.parse(text)
    assert (address.uri, address.name, address.shown) == (uri, name, text)


@pytest.mark.parametrize(
    "text",
    ["milvus://host:1", "milvus://host:1/", "milvus://host:1/a-b", "milvus://host:1/a/b",
     "milvus:///a", "milvus://host:1/a?token=t", f"milvus://h:1/{'a' * 200}"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadIndex, match="HOST:PORT/NAME"):
        find_home(text)


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(BadIndex, match="MILVUS_TOKEN") as refused:
        find_home("milvus://ada:secret@host:1/a")
    assert "secret" not in str(refused.value)


def test_a_folder_is_kept_on_this_machine(tmp_path: Path) -> None:
    assert isinstance(find_home(tmp_path / "index"), Folder)
    assert isinstance(find_home("milvus"), Folder)
    assert isinstance(find_home(tmp_path / "index.db"), MilvusHome)


# Words


WORD = st.sampled_from("bees honey drones the 1,200 wasp hive Ünïcødé".split())
TEXT = st.lists(WORD, max_size=130)


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_the_weights_give_the_scores_of_bm25(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]]
) -> None:
    passages = [(n, f"{n // 2}", " ".join(words)) for n, words in enumerate(texts)]
    folder = tmp_path_factory.mktemp("words") / "lexical"
    write_lexical(folder, passages)
    lexical, words = Lexical(folder), WordCounts()
    fields = dict(read_fields(passages))
    for found in fields.values():
        words.add(found)
    question = read_words("Honey drones 1200 wasps, hives, ünïcødé")
    for field in ("text", "near"):
        wanted = dict(lexical.search(question, 100, field))
        for number, found in fields.items():
            weights = words.weigh(field, found[field])
            score = sum(
                weights.get(words.dimensions.get(word.stem, -1), 0.0)
                * _rarity(words, field, word.stem)
                for word in question
            )
            assert score == pytest.approx(wanted.get(number, 0.0), rel=1e-4, abs=1e-5)


def _rarity(words: WordCounts, field: str, stem: str) -> float:
    return inverse_frequency(words.passages, words.standing[field][stem])


@given(st.text(), st.text())
def test_keys_tell_names_apart(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
    assert 0 < key_of(one) < 2**63


@pytest.mark.parametrize(
    ("date", "first", "last"),
    [
        ("2021-07-03", 20210703, 20210703),
        ("2021-07", 20210700, 20210799),
        ("2021", 20210000, 20219999),
        ("2021-07-03T10:00:00Z", 20210703, 20210703),
        (None, 0, 0),
        ("", 0, 0),
        ("yesterday", 0, 0),
    ],
)
def test_a_date_means_a_range_of_days(date: str | None, first: int, last: int) -> None:
    assert days(date) == (first, last)


# Generations


class _Killed(BaseException):
    pass


def test_a_rebuild_reads_only_what_changed_and_keeps_the_one_before(
    home: MilvusHome, client: Client, corpus: Path
) -> None:
    words = WordEncoder()
    with pytest.raises(IndexMissing, match="run rag index"):
        home.open()
    first = rebuild(home, corpus, words, Settings())
    was = home.stamp()
    assert (first.passages, first.encoded) == (3, 3)
    assert not rebuild(home, corpus, words, Settings()).changed
    assert home.stamp() == was

    (corpus / "wasps.txt").write_text("Wasps build with paper.\n")
    assert rebuild(home, corpus, words, Settings()).encoded == 1
    assert home.stamp() != was
    assert ask(home, "What do wasps build with?") == ["Wasps build with paper."]
    assert len(client.collections()) == 8

    (corpus / "wasps.txt").write_text("Wasps sleep.\n")
    rebuild(home, corpus, words, Settings())
    assert len(client.collections()) == 8
    assert was not in client.collections()

    home.roll_back()
    assert ask(home, "What do wasps build with?") == ["Wasps build with paper."]
    rebuild(home, corpus, words, Settings())
    assert ask(home, "What do wasps do? Sleep?") == ["Wasps sleep."]


def test_there_is_nothing_to_return_to(home: MilvusHome, corpus: Path) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    with pytest.raises(IndexMissing, match="no generation before"):
        home.roll_back()


def test_a_copy_that_was_stopped_is_not_returned_to(
    home: MilvusHome, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    was = home.stamp()
    (corpus / "wasps.txt").write_text("Wasps build with paper.\n")
    rebuild(home, corpus, WordEncoder(), Settings())
    (corpus / "wasps.txt").write_text("Wasps sleep.\n")
    insert = Client.insert

    def send(client: Client, collection: str, rows: Sequence[Row]) -> None:
        if "sentences" in rows[0]:
            raise _Killed
        insert(client, collection, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "insert", send)
        with pytest.raises(_Killed):
            rebuild(home, corpus, WordEncoder(), Settings())
    home.roll_back()
    assert home.stamp() == was


def test_another_machine_encodes_only_what_changed(
    home: MilvusHome, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (corpus / "tool.exe").write_text("no document")
    rebuild(home, corpus, WordEncoder(), Settings())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    there = MilvusHome(str(tmp_path / "index.db"))
    assert not there.folder.exists()
    assert not rebuild(there, corpus, WordEncoder(), Settings()).changed
    assert open_generation(there.folder).manifest.skipped[0].name == "tool.exe"
    words = WordEncoder()
    (corpus / "wasps.txt").write_text("Wasps build with paper.\n")
    rebuild(there, corpus, words, Settings())
    assert words.encoded == ["Wasps build with paper."]
    assert there.stamp() == home.stamp()


def test_other_settings_read_everything_anew(
    home: MilvusHome, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    there = MilvusHome(str(tmp_path / "index.db"))
    assert rebuild(there, corpus, WordEncoder(), Settings(passage_tokens=100)).encoded == 3


def test_copying_goes_on_where_it_was_stopped(
    home: MilvusHome, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.milvus.publish._BATCH", 2)
    rebuild(home, corpus, WordEncoder(), Settings())
    was = home.stamp()
    for number in range(9):
        (corpus / f"{number}.txt").write_text(f"Wasp {number} builds with paper.\n")
    insert, sent = Client.insert, list[int]()

    def send(client: Client, collection: str, rows: Sequence[Row]) -> None:
        if "sentences" in rows[0]:
            sent.extend(row["id"] for row in rows)
            if sent == [*range(8)]:
                raise _Killed
        insert(client, collection, rows)

    words = WordEncoder()
    monkeypatch.setattr(Client, "insert", send)
    with pytest.raises(_Killed):
        rebuild(home, corpus, words, Settings())
    assert home.stamp() == was
    words.encoded.clear()
    rebuild(home, corpus, words, Settings())
    assert words.encoded == []
    assert sent == [*range(8), *range(6, 12)]
    built = open_generation(home.folder)
    assert home.open().passages(range(12)) == built.passages(range(12))
    home.check()


def test_what_was_left_by_a_stopped_build_is_removed(
    home: MilvusHome, client: Client, corpus: Path, tmp_path: Path
) -> None:
    left = "library_0123456789abcdef"
    foreign = ("library_archive_0123456789abcdef", "library_0123", "other_0123456789abcdef")
    build_index(corpus, home.folder, WordEncoder(), Settings())
    for name in (left, *foreign):
        client.create(name, *word_layout())
    home.publish(lambda _done, _name: None)
    names = MilvusClient(str(tmp_path / "index.db")).list_collections()
    assert left not in names
    assert set(foreign) <= set(names)


# Trust


def test_an_altered_text_is_an_error_and_never_a_quote(
    home: MilvusHome, client: Client, corpus: Path
) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    index = home.open()
    _, texts, _ = parts(index.name)
    for row in client.walk(texts, "id > 0", ["text"]):
        altered = row["text"].replace("forty", "fifty")
        client.insert(texts, [{"id": row["id"], "text": altered, "vector": [0.0, 0.0]}])
    with pytest.raises(IndexDamaged, match=r"bees\.txt"):
        ask(home, "How many bees does a hive hold?")
    with pytest.raises(IndexDamaged, match=r"bees\.txt"):
        home.check()


def test_missing_passages_are_an_error(home: MilvusHome, corpus: Path) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    with pytest.raises(IndexDamaged, match="damaged"):
        home.open().passages([0, 99])


def test_altered_passages_are_an_error(home: MilvusHome, client: Client, corpus: Path) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    name = str(home.stamp())
    rows = list(client.walk(name, "id >= 0", ["*"]))
    for change in (
        {"sentences": "[[0, 9999, 0, 0]]"},
        {"sentences": "[[9, 3, 0, 0]]"},
        {"sentences": "[[0"},
        {"sentences": "[]"},
        {"sentences": "[[0, 9]]"},
        {"tokens": "AAAA"},
        {"tokens": "!"},
        {"name": "none.txt"},
    ):
        client.insert(name, [row | change for row in rows])
        with pytest.raises(IndexDamaged, match="damaged"):
            ask(home, "How many bees does a hive hold?")


def test_too_many_token_vectors_for_a_row_are_told(
    home: MilvusHome, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (corpus / "long.txt").write_text("Honey and wax. " * 200)
    monkeypatch.setattr("rag.milvus.layout._LONGEST", 10_000)
    with pytest.raises(BadIndex, match="smaller passage_tokens"):
        rebuild(home, corpus, WordEncoder(), Settings())


def test_two_programs_cannot_open_one_file(home: MilvusHome, corpus: Path, tmp_path: Path) -> None:
    rebuild(home, corpus, WordEncoder(), Settings())
    run = subprocess.run(
        [sys.executable, "-m", "rag.cli", "show", "bees.txt", "--index", tmp_path / "index.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "is another program using it" in run.stderr
    assert "Traceback" not in run.stderr


def test_without_the_package_the_cure_is_named(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['pymilvus'] = None; from rag.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", hide, "show", "a.txt", "--index", tmp_path / "index.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == f"rag: {ExtraMissing(_CURE)}\n"


_CURE = "an index in Milvus needs the package pymilvus: pip install '.[milvus]'"


def test_a_folder_needs_no_pymilvus(shipped_index: Path) -> None:
    script = f"""
import sys
from rag.cli import main
try:
    main(["ask", "What is honey?", "--index", {str(shipped_index)!r}])
except SystemExit:
    pass
print([name for name in ("pymilvus", "grpc", "pandas", "ray") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("[]\n")


# A server that is away


@pytest.fixture
def served(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[MilvusServer, Library]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with MilvusServer(tmp_path / "data") as server:
        rebuild(find_home(server.address("bees")), corpus, WordEncoder(), Settings())
        library = Library(corpus, server.address("bees"), EAGER, WordEncoder())
        library.load()
        yield server, library


def test_a_server_may_go_and_come_back(served: tuple[MilvusServer, Library]) -> None:
    server, library = served
    question = "How many bees does a hive hold?"
    wanted, _ = library.answer(question)
    for _ in range(2):
        server.stop()
        for _ in range(2):
            with pytest.raises(IndexAway, match="does not answer"):
                library.answer(question)
        server.start()
        found, _ = library.answer(question)
        assert [q.text for q in found.quotes] == [q.text for q in wanted.quotes]
