"""A web site that the user visits, in real Chromium, tries to use the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import TWICE, Server

pytestmark = pytest.mark.slow

QUESTION = {"data": ["When does the second phase run?"], "fn_index": 0, "session_hash": "a"}
ATTACKS = {
    "ask": """url => fetch(url + "/gradio_api/queue/join", {method: "POST", mode: MODE,
        credentials: "include", headers: {"content-type": "text/plain"}, body: QUESTION})""",
    "ask at once": """url => fetch(url + "/gradio_api/run/predict", {method: "POST", mode: MODE,
        credentials: "include", headers: {"content-type": "text/plain"}, body: QUESTION})""",
    "upload": """url => { const form = new FormData();
        form.append("files", new File(["x"], "../../evil.txt"));
        return fetch(url + "/gradio_api/upload", {method: "POST", mode: MODE, body: form}) }""",
    "read": 'url => fetch(url + "/documents/ferry.txt", {mode: MODE, credentials: "include"})',
    "read the API": 'url => fetch(url + "/gradio_api/info", {mode: MODE})',
    "delete": """url => fetch(url + "/documents/ferry.txt", {mode: MODE,
        method: MODE == "cors" ? "DELETE" : "POST", body: "x"})""",
    "add a document": """url => fetch(url + "/corpus/evil.txt", {method: "PUT", mode: MODE,
        credentials: "include", body: "x"})""",
    "replace a document": """url => fetch(url + "/corpus/ferry.txt?replace=true", {method: "PUT",
        mode: MODE, body: "evil"})""",
    "remove a document": """url => fetch(url + "/corpus/ferry.txt", {method: "DELETE",
        mode: MODE, credentials: "include"})""",
    "add by a form": """url => fetch(url + "/corpus/evil.txt", {method: "POST", mode: MODE,
        body: new FormData()})""",
    "rebuild": 'url => fetch(url + "/rebuild?full=true", {method: "PUT", mode: MODE})',
    "judge an answer": """url => fetch(url + "/feedback", {method: "PUT", mode: MODE,
        headers: {"content-type": "application/json"},
        body: '{"question": "evil", "said": "right"}'})""",
    "run an eval": 'url => fetch(url + "/evals/runs/feedback", {method: "PUT", mode: MODE})',
    "list the documents": 'url => fetch(url + "/catalogue", {mode: MODE, credentials: "include"})',
    "read their page": 'url => fetch(url + "/library", {mode: MODE, credentials: "include"})',
    "read the figures": 'url => fetch(url + "/metrics", {mode: MODE})',
    "be preflighted": """url => fetch(url + "/config", {headers: {"x-a": "1"}, mode: MODE})""",
}
EMBEDDED = {
    "image": "url => { new Image().src = url + '/favicon.ico' }",
    "script": "url => add('script', {src: url + '/config'})",
    "style": "url => add('link', {rel: 'stylesheet', href: url + '/style.css'})",
    "frame": "url => add('iframe', {src: url + '/'})",
    "object": "url => add('object', {data: url + '/documents/ferry.txt'})",
    "beacon": "url => navigator.sendBeacon(url + '/gradio_api/queue/join', 'x')",
    "form": """url => { add('iframe', {name: 'there'});
        const form = add('form', {method: 'post', action: url + '/sign-out', target: 'there'});
        form.submit() }""",
    "socket": """url => { const socket = new WebSocket(url.replace("http", "ws") + "/");
        socket.onopen = () => { window.opened = 1 } }""",
}
ADD = """window.add = (tag, properties) => document.body.appendChild(
    Object.assign(document.createElement(tag), properties))"""


@pytest.fixture(params=["127.0.0.1", "localhost"])
def elsewhere(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of another origin: another port of this machine, by the same name or another."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Kittens</title><body>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://{request.param}:{site.server_port}/")
            page.evaluate(ADD)
            yield page
        site.shutdown()


@pytest.mark.parametrize("mode", ["cors", "no-cors"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_page_elsewhere_can_do_nothing(
    elsewhere: Page, server: Server, attack: str, mode: str
) -> None:
    statuses: list[int] = []
    elsewhere.on("response", lambda response: statuses.append(response.status))
    script = ATTACKS[attack].replace("MODE", repr(mode)).replace("QUESTION", repr(str(QUESTION)))
    got = elsewhere.evaluate(
        f"async url => ({script})(url).then(async r => (await r.text()) || r.type, e => 'refused')",
        server.url,
    )
    assert got in {"refused", "opaque"}  # opaque: sent, and the answer kept from the page
    assert set(statuses) <= {403}
    assert not list(server.corpus.parent.rglob("evil*"))
    assert (server.corpus / "ferry.txt").read_text() == f"{TWICE}\n"


@pytest.mark.parametrize("way", EMBEDDED)
def test_nothing_can_be_embedded_elsewhere(elsewhere: Page, server: Server, way: str) -> None:
    statuses: list[int] = []
    elsewhere.on(
        "response",
        lambda response: statuses.append(response.status) if server.url in response.url else None,
    )
    elsewhere.evaluate(EMBEDDED[way], server.url)
    elsewhere.wait_for_timeout(1_000)
    assert set(statuses) <= {403}
    assert elsewhere.evaluate("window.opened") is None


def test_a_name_made_to_point_here_is_refused(browser: Browser, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    with browser.new_context() as context:
        page = context.new_page()
        reply = page.goto(f"http://rebound.localhost:{port}/documents/ferry.txt")
        assert reply
        assert reply.status == 421
        assert "ferry" not in page.content()


def test_a_link_elsewhere_opens_the_chat(elsewhere: Page, server: Server) -> None:
    elsewhere.evaluate("url => { location = url + '/documents/ferry.txt' }", server.url)
    elsewhere.wait_for_url("**/documents/ferry.txt")
    assert "Ostergat" in elsewhere.locator("#text").inner_text()
    assert elsewhere.evaluate("window.opener") is None
