from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rag.errors import EvalError
from rag.evals.new import write_questions
from rag.evals.sets import read_questions
from rag.generation import Generation
from rag.settings import Settings
from tests.encoders import WordEncoder

SETTINGS = Settings(threshold=0.3)
HIVE = "how many bees in a hive"


class Terminal:
    """Types the replies given and keeps what was shown."""

    def __init__(self, *replies: str) -> None:
        self._replies = iter(replies)
        self.shown: list[str] = []

    def read(self, prompt: str) -> str:
        self.shown.append(prompt)
        try:
            return next(self._replies)
        except StopIteration:
            raise EOFError from None


def ask(
    file: Path, generation: Generation, replies: Iterable[str], settings: Settings = SETTINGS
) -> tuple[list[dict[str, Any]], str]:
    """Return the lines of the file and what was shown."""
    terminal = Terminal(*replies)
    write_questions(file, generation, WordEncoder(), settings, terminal.read, terminal.shown.append)
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines], "\n".join(terminal.shown)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.jsonl"


def test_a_right_answer_becomes_a_line(file: Path, generation: Generation) -> None:
    (line,), shown = ask(file, generation, [HIVE, "1", ""])
    assert "1  “A hive holds forty thousand bees.” (bees.txt, line 1)" in shown
    assert line["id"] == "q1"
    assert line["question"] == HIVE
    assert [quote["text"] for quote in line["quotes"]] == ["A hive holds forty thousand bees."]
    texts = {name: generation.document(name).text for name in generation.names}
    (question,) = read_questions(file, texts.get)
    assert question.answerable


def test_an_answer_found_in_two_documents_is_gold_in_both(
    file: Path, generation: Generation
) -> None:
    (line,), _ = ask(file, generation, ["honey never spoils", "1", ""])
    assert {quote["document"] for quote in line["quotes"]} == {"bees.txt", "sub/honey.txt"}


def test_a_question_without_an_answer_has_no_quotes(file: Path, generation: Generation) -> None:
    (line,), shown = ask(file, generation, ["who won the cup", "n", ""])
    assert "This would be refused." in shown
    assert line["quotes"] == []


def test_more_sentences_can_be_chosen_from(file: Path, generation: Generation) -> None:
    (line,), shown = ask(file, generation, [HIVE, "9", "m", "1, 3", ""])
    assert "numbers from 1 to 1" in shown
    texts = [quote["text"] for quote in line["quotes"]]
    assert texts[0] == "A hive holds forty thousand bees."
    assert len(texts) == 2
    assert shown.count("A hive holds forty thousand bees.") == 1


def test_headings_are_not_offered_and_more_ends(file: Path, generation: Generation) -> None:
    _, shown = ask(file, generation, ["danube", *"m" * 9, "s", ""])
    assert "There is nothing more to choose from." in shown
    assert "“Lengths”" not in shown
    assert "Lengths”" not in shown


def test_a_skipped_or_refused_question_leaves_no_line(file: Path, generation: Generation) -> None:
    lines, shown = ask(file, generation, [HIVE, "s", "w " * 600, ""])
    assert lines == []
    assert "1,199 characters" in shown
    assert f"0 questions were added to {file}" in shown


def test_lines_are_added_to_those_that_are_there(file: Path, generation: Generation) -> None:
    first = json.dumps({"id": "q1", "question": "mine", "quotes": []})
    file.write_text(first)  # without a line end
    lines, _ = ask(file, generation, [HIVE, "y", "who won the cup", "n"])  # ended by Ctrl-D
    assert [line["id"] for line in lines] == ["q1", "q2", "q3"]
    assert lines[0]["question"] == "mine"


def test_what_is_judged_is_kept_when_the_terminal_goes_away(
    file: Path, generation: Generation
) -> None:
    replies = iter([HIVE, "1"])

    def read(_prompt: str) -> str:
        try:
            return next(replies)
        except StopIteration:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        write_questions(file, generation, WordEncoder(), SETTINGS, read, lambda _line: None)
    assert len(file.read_text().splitlines()) == 1


def test_a_file_with_errors_is_left_alone(file: Path, generation: Generation) -> None:
    file.write_text("{}\n")
    with pytest.raises(EvalError, match="line 1"):
        ask(file, generation, [HIVE, "y"])
    assert file.read_text() == "{}\n"


def test_a_file_that_cannot_be_written_is_told_at_once(
    tmp_path: Path, generation: Generation
) -> None:
    with pytest.raises(EvalError, match="cannot be written"):
        ask(tmp_path / "no" / "folder.jsonl", generation, [])
