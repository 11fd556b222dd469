"""Whole runs over small sets, with a small encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import ir_measures
import pytest
from ir_measures import R, nDCG

from rag.answer import answer
from rag.cache import cache_folder
from rag.errors import BadIndex, EvalError
from rag.evals.compare import compare, find_shortfalls
from rag.evals.results import Results, read_results
from rag.evals.run import OpenSet, evaluate, open_set, write_run
from rag.generation import Generation
from rag.settings import Settings
from tests.encoders import WordEncoder
from tests.question_sets import BIRDS, beir_set, place, spans_set, write_lines

SETTINGS = Settings(threshold=0.3)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def open_birds(
    tmp_path: Path, words: WordEncoder, settings: Settings = SETTINGS, index: str = "index"
) -> OpenSet:
    path = tmp_path / "birds"
    if not path.exists():
        spans_set(tmp_path)
    return open_set(path, tmp_path / index, words, settings, cache=tmp_path / "cache")


def open_beir(tmp_path: Path, words: WordEncoder) -> OpenSet:
    path = tmp_path / "beir"
    if not path.exists():
        beir_set(tmp_path)
    return open_set(path, tmp_path / "index", words, SETTINGS, cache=tmp_path / "cache")


@pytest.fixture
def birds(tmp_path: Path, words: WordEncoder) -> Results:
    return evaluate(open_birds(tmp_path, words), words)


def test_a_set_is_measured_by_the_code_that_answers(
    tmp_path: Path, words: WordEncoder, birds: Results
) -> None:
    opened = open_birds(tmp_path, words)
    assert len(birds.questions) == 15
    for outcome in birds.questions:
        given = answer(outcome.question, opened.generation, words, SETTINGS)
        assert outcome.refused is not given.answered
        assert outcome.confidence == given.confidence
        if given.answered:
            places = [(q.document.name, q.start, q.end) for q in given.quotes]
            shown = [quote.place for quote in outcome.quotes]
            assert [(p.document, p.start, p.end) for p in shown] == places
    assert birds.measures["recall@1"].value == 1
    assert birds.measures["recall@1"].n == 12
    assert birds.measures["quote_f1"].n == 15


def test_without_a_refusal_nothing_is_withheld(tmp_path: Path, words: WordEncoder) -> None:
    eager = evaluate(open_birds(tmp_path, words, Settings(threshold=0)), words)
    strict = evaluate(open_birds(tmp_path, words, Settings(threshold=1)), words)
    for name in ("hit@1", "hit@3", "iou", "iou@1"):
        wanted = eager.measures[f"quote_{name}"]
        assert eager.measures[f"forced_quote_{name}"] == wanted
        assert strict.measures[f"forced_quote_{name}"] == wanted
        assert strict.measures[f"quote_{name}"].value == 0
    assert wanted.value > 0
    assert strict.measures["refused_far"].value == strict.measures["refused_answerable"].value == 1
    assert eager.measures["refused_far"].value == 0


def folder_of(opened: OpenSet) -> Path:
    assert isinstance(opened.generation, Generation)
    return opened.generation.folder


def test_the_index_is_made_once_and_anew_for_another_shape(
    tmp_path: Path, words: WordEncoder
) -> None:
    first = folder_of(open_birds(tmp_path, words))
    words.encoded.clear()
    assert folder_of(open_birds(tmp_path, words)) == first
    assert folder_of(open_birds(tmp_path, words, replace(SETTINGS, candidates=3))) == first
    assert words.encoded == []
    short = open_birds(tmp_path, words, replace(SETTINGS, passage_tokens=16))
    assert folder_of(short).parent != first.parent
    assert len(short.generation) > len(BIRDS)


def test_the_index_is_made_anew_when_the_code_that_makes_it_changes(
    tmp_path: Path, words: WordEncoder
) -> None:
    home = folder_of(open_birds(tmp_path, words)).parent.parent
    (home / "made-by").write_text("earlier code")
    words.encoded.clear()
    open_birds(tmp_path, words)
    assert len(words.encoded) == len(BIRDS)
    open_birds(tmp_path, words)
    assert len(words.encoded) == len(BIRDS)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("evals") == tmp_path / "chapter-and-verse" / "evals"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("evals") == tmp_path / "home" / ".cache" / "chapter-and-verse" / "evals"


def test_a_set_with_errors_is_not_indexed(tmp_path: Path, words: WordEncoder) -> None:
    spans_set(tmp_path, [{"id": "x", "question": "?", "quotes": [place("auk.md", 0, 9_999)]}])
    with pytest.raises(EvalError, match=r"line 16: quote 1: 0 to 9999 is no span of auk\.md"):
        open_birds(tmp_path, words)
    assert words.encoded == []


def test_short_passages_are_caught(tmp_path: Path, words: WordEncoder, birds: Results) -> None:
    """A change that makes things worse on purpose: passages of 16 tokens."""
    worse = evaluate(open_birds(tmp_path, words, replace(SETTINGS, passage_tokens=16)), words)
    comparison = compare(birds, worse)
    row = next(row for row in comparison.differences if row.name == "recall@1")
    assert row.after < row.before
    assert row.p < 0.01
    assert "passage_tokens was 200, is 16" in comparison.notes
    assert comparison.worse
    assert find_shortfalls(birds, {"recall@1": 0.9}) == []
    assert find_shortfalls(worse, {"recall@1": 0.9}) != []


def test_a_question_that_fails_counts_as_zero_and_is_listed(
    tmp_path: Path, words: WordEncoder
) -> None:
    text = (spans_set(tmp_path) / "corpus" / "auk.md").read_text()
    long = {"id": "long", "question": "w " * 600, "quotes": [place("auk.md", 0, len(text))]}
    far = {"id": "far-long", "question": "w " * 600, "quotes": [], "kind": "far"}
    with (tmp_path / "birds" / "questions.jsonl").open("a") as lines:
        lines.write(f"{json.dumps(long)}\n{json.dumps(far)}\n")
    results = evaluate(open_birds(tmp_path, words), words)
    assert [outcome.id for outcome in results.failures] == ["long", "far-long"]
    assert "1,200 characters" in str(results.failures[0].error)
    assert results.measures["recall@1"].value == pytest.approx(12 / 13)
    assert results.measures["recall@1"].n == 13
    assert results.measures["refused_far"].n == 4
    assert results.measures["refused_far"].value <= 3 / 4
    assert results.measures["p50_ms"].n == 15


def test_when_all_questions_fail_the_measures_are_zero(tmp_path: Path, words: WordEncoder) -> None:
    opened = open_birds(tmp_path, words)
    broken = tuple(replace(question, text=" ") for question in opened.questions)
    results = evaluate(replace(opened, questions=broken), words)
    assert results.measures["recall@5"].value == results.measures["quote_hit@1"].value == 0
    assert results.measures["auroc"].value == 0
    assert len(results.failures) == results.measures["aurc"].n == 15
    assert "p50_ms" not in results.measures


def test_a_question_asked_of_some_documents_is_answered_from_them(
    tmp_path: Path, words: WordEncoder
) -> None:
    asked = {"id": "d", "question": "where does the auk nest", "quotes": []}
    spans_set(tmp_path, [asked | {"documents": ["heron.md"]}])
    results = evaluate(open_birds(tmp_path, words), words)
    assert {quote.place.document for quote in results.questions[-1].quotes} == {"heron.md"}


def test_results_survive_their_json(tmp_path: Path, birds: Results) -> None:
    file = tmp_path / "results.json"
    file.write_text(birds.to_json(), "utf-8")
    assert read_results(file) == birds
    values = json.loads(file.read_text("utf-8"))
    assert set(values["measures"]["recall@5"]) == {"value", "low", "high", "n"}
    assert values["identity"]["settings"]["threshold"] == 0.3
    assert values["questions"][0]["seconds"] > 0


def test_the_same_run_gives_the_same_figures(
    tmp_path: Path, words: WordEncoder, birds: Results
) -> None:
    again = evaluate(open_birds(tmp_path, words), words)
    for name, figure in birds.measures.items():
        if not name.endswith("_ms"):
            assert again.measures[name] == figure
    for name in ("questions_digest", "corpus_digest", "model_digest", "settings"):
        assert again.identity[name] == birds.identity[name]


def test_questions_about_the_index_in_use(index: Path, tmp_path: Path, words: WordEncoder) -> None:
    text = (tmp_path / "corpus" / "bees.txt").read_text()
    start = text.index("A hive")
    file = tmp_path / "mine.jsonl"
    quote = place("bees.txt", start, start + 33)
    write_lines(file, [{"id": "1", "question": "how many bees in a hive", "quotes": [quote]}])
    opened = open_set(file, index, words, SETTINGS, cache=tmp_path / "cache")
    results = evaluate(opened, words)
    assert results.measures["quote_hit@1"].value == 1
    assert not (tmp_path / "cache").exists()
    write_lines(file, [{"id": "1", "question": "?", "quotes": [place("no.txt", 0, 1)]}])
    with pytest.raises(EvalError, match=r'no document is called "no\.txt"'):
        open_set(file, index, words, SETTINGS)


def test_an_index_of_another_model_is_refused(index: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    write_lines(file, [{"id": "1", "question": "?", "quotes": []}])
    other = WordEncoder()
    other.digest = "1" * 64
    with pytest.raises(BadIndex):
        open_set(file, index, other, SETTINGS)


# BEIR


def test_documents_equal_ir_measures_on_the_run_read_back(
    tmp_path: Path, words: WordEncoder
) -> None:
    results = evaluate(open_beir(tmp_path, words), words)
    grades = [
        ir_measures.Qrel(outcome.id, document.replace(" ", "_"), grade)
        for outcome in results.questions
        for document, grade in outcome.grades.items()
    ]
    file = tmp_path / "run.txt"
    write_run(_without_spaces(results), file)
    run = list(ir_measures.read_trec_run(str(file)))  # type: ignore[no-untyped-call]
    wanted = ir_measures.calc_aggregate([nDCG @ 10, R @ 10, R @ 100], grades, run)
    assert 0 < wanted[nDCG @ 10] < 1
    for name, measure in (("ndcg@10", nDCG @ 10), ("recall@10", R @ 10), ("recall@100", R @ 100)):
        assert results.measures[name].value == pytest.approx(wanted[measure], abs=1e-12)
        assert results.measures[name].n == 12


def _without_spaces(results: Results) -> Results:
    """Ids as a run's lines can hold them."""
    questions = (
        replace(o, ranking=tuple(name.replace(" ", "_") for name in o.ranking))
        for o in results.questions
    )
    return replace(results, questions=tuple(questions))


def test_the_top_of_a_ranking_is_the_answers_own(tmp_path: Path, words: WordEncoder) -> None:
    opened = replace(open_beir(tmp_path, words), settings=replace(SETTINGS, candidates=3))
    results = evaluate(opened, words)
    for outcome in results.questions:
        given = answer(outcome.question, opened.generation, words, opened.settings)
        own = [opened.ids[hit.passage.document] for hit in given.hits]
        assert outcome.ranking[: len(own)] == tuple(own)
        assert len(outcome.ranking) == len(set(outcome.ranking)) == 12


def test_a_document_taken_out_of_a_beir_set_is_gone(tmp_path: Path, words: WordEncoder) -> None:
    open_beir(tmp_path, words)
    corpus = tmp_path / "beir" / "corpus.jsonl"
    lines = corpus.read_text().splitlines(keepends=True)
    corpus.write_text("".join(lines[:-1]))
    grades = tmp_path / "beir" / "qrels" / "test.tsv"
    grades.write_text("".join(x for x in grades.read_text().splitlines(True) if "linnet" not in x))
    words.encoded.clear()
    opened = open_beir(tmp_path, words)
    assert len(opened.generation.names) == 11
    assert words.encoded == []


def test_a_run_needs_documents(tmp_path: Path, birds: Results) -> None:
    with pytest.raises(EvalError, match="only a BEIR set gives a run"):
        write_run(birds, tmp_path / "run.txt")
    assert not (tmp_path / "run.txt").exists()


def test_progress_reaches_the_end(tmp_path: Path, words: WordEncoder) -> None:
    seen: list[float] = []
    evaluate(open_birds(tmp_path, words), words, lambda done, _name: seen.append(done))
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (15, 1)
