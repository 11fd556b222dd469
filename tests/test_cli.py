"""The shell, called as a user calls it: in a process of its own where streams and exits matter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

QUESTION = "How many American soldiers are in Iraq?"


def rag(
    *arguments: str | Path, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rag.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )


def test_help_names_every_command_and_loads_no_model() -> None:
    code = "import sys; from rag.cli import main\ntry: main(['--help'])\nfinally: print([*sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("index", "ask", "search", "show", "eval", "chat"):
        assert f"  {command} " in done.stdout
    assert not {"'torch'", "'gradio'", "'faiss'"} & set(done.stdout.replace("[", "").split(", "))


@pytest.mark.parametrize("command", ["index", "ask", "search", "show", "eval", "chat"])
def test_every_help_text_has_an_example(command: str) -> None:
    done = rag(command, "--help")
    assert done.returncode == 0
    assert f"Example: rag {command}" in done.stdout


def test_index_reports_and_is_quiet_when_nothing_changed(corpus: Path, tmp_path: Path) -> None:
    (corpus / "empty.txt").touch()
    first = rag("index", "--corpus", corpus, "--index", tmp_path / "i")
    assert first.returncode == 0
    assert "3 documents" in first.stdout
    assert "1 file was skipped:\n  empty.txt: " in first.stdout
    again = rag("index", "--corpus", corpus, "--index", tmp_path / "i")
    assert "was up to date" in again.stdout


def test_index_plans_checks_and_rolls_back(corpus: Path, tmp_path: Path) -> None:
    folders = ("--corpus", corpus, "--index", tmp_path / "i")
    planned = rag("index", "--plan", *folders).stdout
    assert planned.startswith(
        "Every document is to be read: there is no index yet.\nadded    bees.txt"
    )
    rag("index", *folders)
    (corpus / "bees.txt").rename(corpus / "wasps.txt")
    planned = rag("index", "--plan", *folders).stdout
    assert planned == (
        "moved    bees.txt → wasps.txt\n0 added, 0 changed, 0 removed, 1 moved, 2 unchanged.\n"
    )
    rag("index", *folders)
    checked = rag("index", "--check", "--index", tmp_path / "i").stdout
    assert checked.startswith("Generation 000002: ")
    assert checked.endswith(" MB, each as it was written.\n")
    assert rag("index", "--rollback", *folders).stdout.startswith("Generation 000001 of 2")
    assert rag("index", "--rollback", *folders).returncode == 1
    assert rag("index", "--rollback", "--check", *folders).returncode == 2


def test_ask_shows_a_quote_and_its_place(shipped_index: Path) -> None:
    done = rag("ask", QUESTION, "--index", shipped_index)
    assert done.returncode == 0
    assert "2,500" in done.stdout.split("[1]")[0]
    assert "\n[1] " in done.stdout
    assert ".md, line " in done.stdout


def test_ask_answers_each_line_of_stdin_in_order(shipped_index: Path) -> None:
    asked = {"question": QUESTION, "documents": ["troops.md"]}
    lines = f"{QUESTION}\n\n{json.dumps(asked)}\nWhat is the boiling point of mercury?\n"
    done = rag("ask", "--json", "--index", shipped_index, stdin=lines)
    assert done.returncode == 0
    plain, restricted, refused = map(json.loads, done.stdout.splitlines())
    assert plain["answered"]
    assert {quote["document"] for quote in restricted["quotes"]} == {"troops.md"}
    assert (refused["answered"], refused["quotes"]) == (False, [])
    assert refused["passages"]


def test_ask_reads_a_question_in_the_light_of_its_thread(shipped_index: Path) -> None:
    turns = [
        {"role": "user", "text": "Was there an attack?"},
        {"role": "assistant", "text": "The coalition came under attack by drones and rockets."},
    ]
    asked = {"question": "Who claimed them?", "thread": turns}
    line = json.dumps(asked)
    done = rag("ask", "--json", "--index", shipped_index, stdin=f"{line}\nWho claimed them?\n")
    followed, alone = map(json.loads, done.stdout.splitlines())
    assert followed["question"] == "Who claimed them?"
    assert followed["searched_for"] == "Who claimed them? (after “Was there an attack?”)"
    assert followed["passages"][0]["document"] == "talks-and-attacks.md"
    assert "searched_for" not in alone
    shown = rag("ask", "--index", shipped_index, stdin=line).stdout
    assert shown.startswith("Searched for: Who claimed them? (after ")


def test_ask_answers_from_an_index_rebuilt_meanwhile(tmp_path: Path) -> None:
    corpus, index = tmp_path / "corpus", tmp_path / "index"
    corpus.mkdir()
    (corpus / "a.txt").write_text("The bridge opened in 1998.")
    rag("index", "--corpus", corpus, "--index", index)
    command = [sys.executable, "-m", "rag.cli", "ask", "--json", "--index", str(index)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as asking:
        assert asking.stdin
        assert asking.stdout
        for year in ("1998", "2004"):
            (corpus / "a.txt").write_text(f"The bridge opened in {year}.")
            rag("index", "--corpus", corpus, "--index", index)
            asking.stdin.write("When did the bridge open?\n")
            asking.stdin.flush()
            assert year in asking.stdout.readline()
        asking.stdin.close()


def test_show_prints_the_text_that_offsets_count_in(shipped_index: Path) -> None:
    done = rag("ask", QUESTION, "--json", "--index", shipped_index)
    [quote, *_] = json.loads(done.stdout)["quotes"]
    stored = rag("show", quote["document"], "--index", shipped_index).stdout
    assert stored[quote["start"] : quote["end"]] == quote["text"]


def test_show_keeps_line_ends(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.txt").write_bytes("Un thé.\r\nDeux thés.\n".encode())
    rag("index", "--corpus", tmp_path / "c", "--index", tmp_path / "i")
    done = subprocess.run(
        [sys.executable, "-m", "rag.cli", "show", "a.txt", "--index", tmp_path / "i"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == "Un thé.\r\nDeux thés.\n".encode()


def test_search_ranks_passages(shipped_index: Path) -> None:
    done = rag("search", "pledges in dollars", "-k", "3", "--json", "--index", shipped_index)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 3
    assert found[0]["document"] == "pledges.md"
    assert rag("search", "pledges", "-k", "2", "--index", shipped_index).stdout.startswith(" 1  ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ask", QUESTION, "--index", "none"], "there is no index in none: run rag index"),
        (["index", "--corpus", "none", "--index", "i"], "none"),
        (["ask", QUESTION, "--settings", "none.toml"], "none.toml"),
        (["ask", "", "--index", "INDEX"], "the question is empty"),
        (["ask", "x" * 100_000, "--index", "INDEX"], "100,000 characters"),
        (["ask", QUESTION, "--index", "INDEX", "--document", "no.md"], "no document called no.md"),
        (["show", "troop.md", "--index", "INDEX"], "did you mean troops.md?"),
        (["show", "\udcff\x1b[31m", "--index", "INDEX"], "<U+DCFF><U+001B>[31m"),
        (["ask", QUESTION, "--index", "INDEX", "--settings", "own.toml"], "passage_tokens = 200"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_1(
    arguments: list[str], complaint: str, shipped_index: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text("passage_tokens = 50")
    named = [str(shipped_index) if a == "INDEX" else a for a in arguments]
    done = rag(*named, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert done.stderr.startswith("rag: ")
    assert "Traceback" not in done.stderr


def test_a_broken_line_is_named_and_the_others_are_answered(shipped_index: Path) -> None:
    broken = [
        '{"question": 3}',
        '{"question": "a", "documents": "b"}',
        '{"question": "a", "thread": ["b"]}',
        "{broken",
        "{}",
        '{"question": ' + "[" * 100_000,
        '{"question": "\\ud800"}',  # half a character
        '{"question": "Why?", "thread": [{"text": "\\udfff"}]}',
        '{"question": "Why?", "documents": ["\\ud800"]}',
        "What is \udcff?",  # a byte that is not UTF-8
    ]
    lines = "".join(f"{line}\n" for line in [*broken, QUESTION])
    done = rag("ask", "--json", "--index", shipped_index, stdin=lines)
    *failed, answered = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert re.findall(r"line (\d+)", done.stderr) == [str(n) for n in range(1, len(broken) + 1)]
    assert all("error" in each for each in failed)
    assert len(failed) == len(broken)
    assert answered["answered"]


@pytest.mark.parametrize("arguments", [["ask", "--nonsense"], ["search"], ["nothing"]])
def test_a_wrong_call_is_exit_2(arguments: list[str]) -> None:
    assert rag(*arguments).returncode == 2


def test_a_reader_that_goes_away_is_no_error(shipped_index: Path) -> None:
    command = f"{sys.executable} -m rag.cli search Iraq -k 50 --index {shipped_index} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    assert done.stderr == ""
