from __future__ import annotations

import pytest

from rag.documents import webpage
from rag.documents.content import File
from rag.errors import DocumentError
from rag.types import Document
from tests.documents.conftest import Read

PARAGRAPH = "The mission of the coalition ends in September, as both governments said on Friday."
PAGE = f"""<!DOCTYPE html><html lang="en"><head>
<title>Coalition ends | Example News</title>
<meta property="og:site_name" content="Example News">
<meta property="article:published_time" content="2024-09-27T10:00:00Z">
<style>p {{ color: red }}</style><script>document.title = "changed"</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/world">World</a></li></ul></nav>
<article><h1>Coalition ends</h1>
<p>{PARAGRAPH.replace("coalition ends", "<b>coalition</b> <a href='http://x.example/'>ends</a>")}
<img src="http://x.example/pixel.gif" alt="a picture"></p>
<h2>Two &amp;
 phases</h2>
<p>The first one, caf&eacute; &#8220;talks&#8221; included,
   lasts a year.<br>The second one does too.</p>
<ul><li>Troops <i>leave</i><ul><li>in part</li></ul></li><li><p>Bases close</p></li></ul>
<table><tr><th>Country</th><th>Troops</th></tr><tr><td>Iraq</td><td>2,500</td></tr></table>
<pre>kept line <b>as
it</b> is
so</pre>
<!-- a comment --></article>
<footer>Copyright 2019 Example News</footer></body></html>"""


def read_page(read: Read, body: str, head: str = "") -> Document:
    return read("page.html", f"<html><head>{head}</head><body>{body}</body></html>".encode())


def test_a_page_becomes_markdown_of_its_main_text(read: Read) -> None:
    document = read("a.html", PAGE.encode())
    assert document.text.split("\n\n") == [
        "# Coalition ends",
        PARAGRAPH,
        "## Two & phases",
        "The first one, café “talks” included, lasts a year.\nThe second one does too.",
        "- Troops leave\n- in part\n- Bases close",
        "| Country | Troops |\n| Iraq | 2,500 |",
        "kept line as\nit is\nso",
    ]
    assert (document.layout, document.body) == ("markdown", 0)


MANUAL = f"""<html><body><div class="cookies">We use cookies. {PARAGRAPH}</div>
<div role="navigation"><p>Where {PARAGRAPH}</p></div>
<div class="page"><ul class="toc"><li><a href="#disks">2.1. Disks</a></li></ul>
<div class="titlepage"><h2 class="title"><a id="c"></a>2. Storage<a href="#c">¶</a></h2></div>
<p>{PARAGRAPH} {PARAGRAPH} {PARAGRAPH} {PARAGRAPH}</p>
<div class="sidebar"><p class="title">NOTE Sizes</p><p>A disk has <i>sectors</i>, too.</p></div>
<h3><a href="#disks">2.1. Disks</a></h3>
<ul><li><div>the <code>sdb</code> disk, <b>4 GB</b>;</div></li><li>as <tt>sde</tt> disk</li></ul>
<p><a href="/7">More on ships</a>, <a href="/8">more on planes</a></p>
<aside><p>Subscribe for more of this.</p></aside>
<pre class="screen">
# format <b>/dev/sdb</b>
  mount /dev/sdb
</pre>
<p>{PARAGRAPH} {PARAGRAPH} {PARAGRAPH} See <a href="/8">planes</a>.</p></div>
<div>All rights reserved</div></body></html>"""


def test_the_text_is_the_page_s_own(read: Read) -> None:
    """Trafilatura would leave out the headings and the note, and write "thesdb disk"."""
    text = read("manual.html", MANUAL.encode()).text
    long = f"{PARAGRAPH} {PARAGRAPH} {PARAGRAPH}"
    assert text.split("\n\n") == [
        "## 2. Storage",
        f"{long} {PARAGRAPH}",
        "NOTE Sizes",
        "A disk has sectors, too.",
        "### 2.1. Disks",
        "- the sdb disk, 4 GB;\n- as sde disk",
        "```\n# format /dev/sdb\n  mount /dev/sdb\n```",
        f"{long} See planes.",
    ]


def test_where_little_is_found_the_main_part_is_read_or_all_of_it(read: Read) -> None:
    found = f"<div><p>{PARAGRAPH} {PARAGRAPH} {PARAGRAPH} {PARAGRAPH}</p></div>"
    more = "".join(f"<div><dl><dt>Word {i}</dt><dd>Its use</dd></dl></div>" for i in range(40))
    loose = read_page(read, f"<div>Above</div>{found}{more}").text
    assert loose.startswith("Above\n\n")
    assert loose.endswith("- Word 39\n- Its use")
    main = read_page(read, f"<div>Above</div><main>{found}{more}</main>").text
    assert main == loose.removeprefix("Above\n\n")


def test_the_metadata_of_a_page(read: Read) -> None:
    document = read("a.htm", PAGE.encode())
    assert document.title == "Coalition ends"
    assert (document.date, document.source) == ("2024-09-27", "Example News")


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title> The\n end </title>", "The end"),
        ("<title></title>", "First heading"),
        ("<title>Site</title><meta property='og:site_name' content='Site'>", "First heading"),
        ("<title>T</title><meta property='og:title' content='Its own title'>", "Its own title"),
        ("<title>a &lt;script&gt;alert(1)&lt;/script&gt;</title>", "a <script>alert(1)</script>"),
    ],
)
def test_where_the_title_comes_from(read: Read, head: str, title: str) -> None:
    body = f"<h2>Keyboard shortcuts</h2><h1>First heading</h1><p>{PARAGRAPH}</p>"
    assert read_page(read, body, head).title == title


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ("<meta name='DC.date' content='2024-09'>", "2024-09"),
        ("<meta name='date' content='soon'><meta itemprop='datePublished' content='2024'>", "2024"),
        (
            '<script type="application/ld+json">{"datePublished": "2024-09-27T10:00"}</script>',
            "2024-09-27",
        ),
        ("", None),
    ],
)
def test_only_a_stated_date_is_the_date(read: Read, head: str, date: str | None) -> None:
    assert read_page(read, f"<p>{PARAGRAPH} 2019-05-06</p>", head).date == date


def test_without_metadata_the_stem_is_the_title(read: Read) -> None:
    document = read_page(read, f"<p>{PARAGRAPH}</p>")
    assert (document.title, document.date, document.source) == ("page", None, None)


def test_scripts_styles_and_comments_are_no_text(read: Read) -> None:
    body = f"<p>{PARAGRAPH}</p><script>alert(1)</script><style>b</style><!-- c --><?php x ?>"
    assert read_page(read, body).text == PARAGRAPH


def test_markup_that_is_text_stays_text(read: Read) -> None:
    text = read_page(
        read, f"<p>{PARAGRAPH}</p><p>See &lt;img src=x&gt; &amp;amp; &#xD800;</p>"
    ).text
    assert text.endswith("See <img src=x> &amp; \ufffd")


def test_control_characters_do_not_lose_a_page(read: Read) -> None:
    assert (
        read_page(read, "<p>one &#1;&#0; two\r\x02three&#12;4</p>").text == "one \ufffd two three 4"
    )


def test_a_page_without_an_article_is_read_as_it_is(read: Read) -> None:
    page = "<div>Alpha <span>beta</span>.</div><select><option>x</select><button>Go</button>"
    assert read_page(read, page).text == "Alpha beta."


def test_a_huge_page_is_read_whole() -> None:
    page = f"<title>T</title><nav>Menu</nav><p>{PARAGRAPH}</p><footer>End</footer>" * 20_000
    content = webpage.read(File(page.encode(), limit=len(page)))
    assert content.text == "\n\n".join([PARAGRAPH] * 20_000)


def test_layout_by_tables_is_no_table(read: Read) -> None:
    inner = f"<table><tr><td>{PARAGRAPH}</td></tr><tr><td>Second part.</td></tr></table>"
    text = read_page(read, f"<table><tr><td>{inner}</td></tr></table>").text
    assert text.split("\n\n") == [PARAGRAPH, "Second part."]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<meta charset=windows-1251><p>Москва объявила</p>".encode("cp1251"), "Москва объявила"),
        ("<p>naïve café</p>".encode("utf-16"), "naïve café"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><p>café</p>'.encode(), "café"),
    ],
)
def test_encodings(read: Read, data: bytes, text: str) -> None:
    assert read("a.html", data).text == text


@pytest.mark.parametrize(
    "page", ["<p> </p>", " ", "<!-- c -->", "<script>x</script>", "<title>T</title>", "<frameset>"]
)
def test_a_page_without_text_is_empty(read: Read, page: str) -> None:
    with pytest.raises(DocumentError, match="is empty"):
        read("a.html", page.encode())


@pytest.mark.parametrize("tag", ["div", "b", "ul><li", "table><tr><td"])
def test_a_page_nested_too_deep_is_refused(read: Read, tag: str) -> None:
    with pytest.raises(DocumentError, match=r"Excessive depth in document.*save it as \.txt"):
        read("a.html", (f"<{tag}>" * 30_000 + "the end").encode())


def test_entities_do_not_grow(read: Read) -> None:
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(20))
    page = f'<!DOCTYPE html [<!ENTITY e0 "ha">{entities}]><html><body><p>&e20; {PARAGRAPH}</p>'
    assert len(read("a.html", page.encode()).text) < len(page)


def test_files_named_in_entities_are_not_read(read: Read) -> None:
    page = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>&x; {PARAGRAPH}</p>'
    assert "root:" not in read("a.html", page.encode()).text
