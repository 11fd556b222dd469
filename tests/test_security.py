"""Who may call what: every route, from where it should not be called."""

from __future__ import annotations

import base64
import gc
import hashlib
import re
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from rag.accounts import Accounts, add_account, read_accounts
from rag.build import build_index
from rag.errors import AccountError
from rag.evals.feedback import FEEDBACK
from rag.settings import Settings
from rag.web import Callers, Folders, serve
from rag.web.library import Library
from rag.web.limit import Limit
from rag.web.routes import make_router
from rag.web.security import Guard, is_loopback
from rag.web.server import make_app
from rag.web.signin import SignIn
from tests.encoders import WordEncoder

if TYPE_CHECKING:
    from httpx2 import Response

HERE = "http://localhost"
PASSWORD = "a pass phrase of some length"  # noqa: S105
UP = "../../../../../../etc/passwd"
TRAVERSALS = [
    UP,
    UP.replace("/", "%2f"),
    UP.replace("/", "\\"),
    "/etc/passwd",
    "%00",
    "file:///etc/passwd",
]
ENDLESS = re.compile("/heartbeat|/queue/data|/call/.*/")  # they tell as long as one listens
OPEN = {
    *("GET /", "HEAD /", "GET /config", "GET /config/", "GET /manifest.json", "GET /robots.txt"),
    *("GET /assets/x", "GET /static/x", "GET /svelte/x", "GET /pwa_icon", "GET /pwa_icon/x"),
    *("GET /style.css", "GET /theme.css", "GET /favicon.ico", "GET /chat.js", "GET /scope.js"),
    *("GET /feedback.js", "GET /library.js", "GET /library", "GET /programs", "GET /catalogue"),
    *("GET /documents/x", "GET /sheets/x", "PUT /corpus/x", "DELETE /corpus/x", "PUT /feedback"),
    *("GET /evals", "GET /evals.js", "GET /evals/state", "GET /evals/reports/x"),
    *(
        "PUT /evals/runs/x",
        "GET /rebuild",
        "PUT /rebuild",
        "GET /health",
        "GET /ready",
        "GET /metrics",
    ),
    *("GET /gradio_api/app_id", "GET /gradio_api/app_id/", "GET /gradio_api/info"),
    *("GET /gradio_api/info/", "GET /gradio_api/startup-events", "GET /gradio_api/heartbeat/x"),
    *("POST /gradio_api/queue/join", "GET /gradio_api/queue/data", "POST /gradio_api/cancel"),
    *("POST /gradio_api/reset", "POST /gradio_api/reset/", "GET /gradio_api/call/x/x"),
    *("POST /gradio_api/call/x", "POST /gradio_api/call/x/", "GET /gradio_api/call/v2/x/x"),
    *("POST /gradio_api/call/v2/x", "POST /gradio_api/call/v2/x/"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "bees.txt").write_text("Bees dance to point at flowers.\n")
    build_index(folder / "corpus", folder / "index", WordEncoder(), Settings())
    library = Library(folder / "corpus", folder / "index", Settings(), WordEncoder())
    library.load()
    return library


@pytest.fixture(scope="module")
def app(library: Library) -> FastAPI:
    """The whole server, open to this machine."""
    return _whole_app(library)


@pytest.fixture(scope="module")
def account() -> str:
    """An account whose hash is cheap to check; ``add_account`` makes dear ones."""
    return f"ada:{PasswordHasher(1, 8, 1).hash(PASSWORD)}\n"


@pytest.fixture(scope="module")
def guarded(library: Library, account: str, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The whole server, where everyone must sign in."""
    path = tmp_path_factory.mktemp("account") / "accounts"
    path.write_text(account)
    return _whole_app(library, Accounts(path))


@pytest.fixture
def auth_file(tmp_path: Path, account: str) -> Path:
    path = tmp_path / "accounts"
    path.write_text(account)
    return path


@pytest.fixture
def closed(library: Library, auth_file: Path) -> FastAPI:
    """The server without Gradio, where everyone must sign in."""
    app = FastAPI()
    sign_in = SignIn(Accounts(auth_file))
    app.include_router(make_router(library, accounts=True))
    app.include_router(sign_in.make_router())
    app.add_middleware(Guard, ("chat.example",), sign_in)
    return app


def _whole_app(library: Library, accounts: Accounts | None = None) -> FastAPI:
    with warnings.catch_warnings():  # Gradio leaves event loops unclosed
        warnings.simplefilter("ignore", ResourceWarning)
        app = make_app(library, accounts, ("chat.example",), most_upload=2 << 20)
        gc.collect()
    return app


def _client(app: FastAPI) -> TestClient:
    return TestClient(app, HERE, follow_redirects=False)


def _routes(app: FastAPI, value: str = "x") -> Iterator[tuple[str, str]]:
    """Method and path of every route, Gradio's included, with ``value`` for each parameter."""
    for route in app.routes:
        if included := getattr(route, "original_router", None):
            yield from _routes(included, value)
        elif isinstance(route, Mount):
            yield from _routes(route.app, value)  # type: ignore[arg-type]
        elif isinstance(route, Route):
            path = re.sub(r"\{[^}]*\}", lambda _: value, route.path)
            for method in sorted(route.methods or ()):
                yield method, path


def _call(client: TestClient, method: str, path: str, **headers: str) -> Response:
    return client.request(method, path, headers=headers)


# From elsewhere


def test_there_are_routes_to_be_guarded(app: FastAPI) -> None:
    paths = {path for _, path in _routes(app)}
    assert {"/gradio_api/upload", "/gradio_api/queue/join", "/documents/x", "/config"} <= paths
    assert len(paths) > 50


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"],
)
def test_a_name_that_is_not_ours_gets_nothing_from_any_route(app: FastAPI, host: str) -> None:
    client = _client(app)
    for method, path in _routes(app):
        assert _call(client, method, path, host=host).status_code == 421, path


@pytest.mark.parametrize(
    "headers",
    [
        *({"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:81"}),
        *({"origin": "http://["}, {"origin": "localhost"}, {"origin": "http://x@localhost"}),
        *({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}),
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
    ],
)
def test_a_page_of_another_origin_gets_nothing_from_any_route(
    app: FastAPI, headers: dict[str, str]
) -> None:
    client = _client(app)
    for method, path in _routes(app):
        reply = _call(client, method, path, **headers)
        assert reply.status_code == 403, path
        assert not any(name.startswith("access-control-") for name in reply.headers)


def test_a_link_elsewhere_may_lead_to_a_page_but_not_to_the_api(app: FastAPI) -> None:
    link = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    client = _client(app)
    assert _call(client, "GET", "/documents/bees.txt", **link).status_code == 200
    assert _call(client, "GET", "/gradio_api/info", **link).status_code == 403
    assert _call(client, "POST", "/documents/bees.txt", **link).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860", "CHAT.example:443"])
def test_its_own_names_are_answered(app: FastAPI, host: str) -> None:
    client = _client(app)
    page = _call(client, "GET", "/", host=host, origin=f"http://{host}")
    assert page.status_code == 200


def test_every_route_is_known(app: FastAPI) -> None:
    """One that Gradio or we add later is closed, or is judged and listed here.

    Whether it is closed is asked before the length of the request, and that before all else.
    """
    client = _client(app)
    length = str(9**30)
    calls = {call: _call(client, *call, **{"content-length": length}) for call in _routes(app)}
    assert {reply.status_code for reply in calls.values()} == {404, 413}
    opened = {f"{m} {path}" for (m, path), reply in calls.items() if reply.status_code == 413}
    assert opened == OPEN


@pytest.mark.parametrize(
    "path",
    [
        *(
            "//gradio_api/upload",
            "/gradio_api//upload",
            "/./gradio_api/upload",
            "/GRADIO_API/upload",
        ),
        *("/x/../gradio_api/upload", "/gradio_api/call/../upload", "/gradio_api/%75pload"),
        *("/gradio_api/upload%00", "/gradio_api/info/../upload", "/gradio_api\\upload"),
    ],
)
def test_no_spelling_opens_what_is_closed(app: FastAPI, path: str) -> None:
    files = {"files": ("a.txt", b"x")}
    assert _client(app).post(path, files=files).status_code in {404, 405}


@pytest.mark.parametrize("value", TRAVERSALS)
def test_no_route_touches_a_file_that_a_parameter_names(
    app: FastAPI, library: Library, value: str
) -> None:
    client = TestClient(app, HERE, raise_server_exceptions=False)
    folder = library.shelf.corpus.parent
    before = {path for path in folder.rglob("*") if path.name != FEEDBACK}
    for method, path in _routes(app, value):
        if ENDLESS.search(path) or path == "/rebuild":
            continue
        reply = client.request(method, path, params=_query(value), json=_body(value))
        assert "root:" not in reply.text, path
        assert "Traceback" not in reply.text, path
    assert {path for path in folder.rglob("*") if path.name != FEEDBACK} == before


def _query(value: str) -> dict[str, str]:
    return dict.fromkeys(("path", "file", "url", "name", "quote", "to", "session_hash"), value)


def _body(value: str) -> dict[str, Any]:
    place = {"document": value, "start": 0, "end": 5}
    judgement = {"question": value, "said": "right", "places": [place]}
    file = {"path": value, "meta": {"_type": "gradio.FileData"}}
    return {"data": [file], "path": value, "fn_index": 0, "session_hash": value} | judgement


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=/etc/passwd", "/gradio_api/proxy=http://evil.example/", "/monitoring"),
        *("/gradio_api/vibe-edit", "/gradio_api/run-history/connect", "/gradio_api/stream/x"),
        *("/gradio_api/custom_component/a/b/c/d", "/gradio_api/", "/gradio_api", "/login"),
        *("/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/mcp/sse"),
        *("/gradio_api/component_server", "/gradio_api/api/ask", "/openapi.json"),
    ],
)
def test_what_the_page_does_not_need_of_gradio_is_closed(app: FastAPI, path: str) -> None:
    for method in ("GET", "POST"):
        assert _call(_client(app), method, path).status_code == 404


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        *(("/gradio_api/queue/join", (1 << 20) + 1, 413), ("/gradio_api/queue/join", None, 411)),
        *(("/corpus/a.txt", (2 << 20) + 1, 413), ("/corpus/a.txt", -1, 411)),
        *(("/documents/bees.txt", 9**30, 413), ("/sign-in", 10_000, 413)),
    ],
)
def test_a_request_that_is_too_long_is_refused_unread(
    app: FastAPI, path: str, length: int | None, status: int
) -> None:
    client = _client(app)
    chunks = iter([b"x"])  # of an unknown length
    request = client.build_request("POST", path, content=chunks if length is None else b"x")
    if length is not None:
        request.headers["content-length"] = str(length)
    assert client.send(request).status_code == status


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PATCH", "CONNECT", "PROPFIND"])
def test_a_method_that_is_not_used_is_refused(app: FastAPI, method: str) -> None:
    for path in ("/", "/corpus/bees.txt", "/gradio_api/queue/join"):
        assert _call(_client(app), method, path).status_code == 405


def test_a_request_without_a_body_needs_no_length(app: FastAPI) -> None:
    request = _client(app).build_request("DELETE", "/documents/bees.txt")
    assert "content-length" not in request.headers
    assert _client(app).send(request).status_code in {404, 405}


# The headers


def test_every_reply_has_the_headers_of_security(app: FastAPI) -> None:
    client = _client(app)
    for path in ("/", "/documents/bees.txt", "/documents/none", "/style.css", "/gradio_api/x"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "strict-transport-security" not in headers
    secure = TestClient(app, "https://localhost").get("/").headers
    assert "max-age" in secure["strict-transport-security"]


def test_what_is_named_by_its_hash_is_kept_by_the_browser(app: FastAPI) -> None:
    client = _client(app)
    (script, *_) = re.findall(r'src="\.?(/assets/index-[^"]+\.js)"', client.get("/").text)
    assert "immutable" in client.get(script).headers["cache-control"]
    assert "cache-control" not in client.get("/assets/none.js").headers
    assert "cache-control" not in client.get("/").headers


def test_only_the_scripts_that_the_page_came_with_may_run(app: FastAPI) -> None:
    page = _client(app).get("/", headers={"accept-encoding": "br, gzip"})
    policy = page.headers["content-security-policy"]
    (scripts,) = re.findall(r"script-src ([^;]*);", policy)
    assert "unsafe-inline" not in scripts
    assert "http" not in policy
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page.text, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in inline}
    assert len(inline) > 2
    assert set(re.findall("'sha256-(.*?)'", scripts)) == hashes


# Signing in


def _sign_in(client: TestClient, name: str = "ada", password: str = PASSWORD) -> Response:
    return client.post(
        "/sign-in", data={"name": name, "password": password, "to": "/documents/bees.txt"}
    )


def test_without_sign_in_no_route_gives_anything(guarded: FastAPI) -> None:
    client = _client(guarded)
    for method, path in _routes(guarded):
        reply = _call(client, method, path)
        if path in {"/sign-in", "/sign-out", "/health", "/ready", "/style.css", "/favicon.ico"}:
            continue
        asked = reply.status_code == 303 and reply.headers["location"].startswith("/sign-in?to=")
        assert asked or reply.status_code in {401, 404}, path
        assert len(reply.content) < 100, path


def test_what_is_behind_sign_in_is_stored_nowhere(guarded: FastAPI) -> None:
    client = _client(guarded)
    _sign_in(client)
    seen = set()
    for method, path in _routes(guarded, "bees.txt"):
        if not ENDLESS.search(path) and path != "/sign-out" and method == "GET":
            reply = _call(client, method, path)
            kept = path in {"/style.css", "/theme.css", "/favicon.ico"} or path.endswith(".js")
            static = re.match("/(assets|static|svelte)/", path)
            assert kept or static or reply.headers["cache-control"] == "no-store", path
            seen |= {path} if reply.status_code == 200 else set()
    assert {"/", "/documents/bees.txt", "/library", "/catalogue", "/gradio_api/info"} <= seen


def test_signed_in_one_gets_on_to_where_one_wanted(closed: FastAPI) -> None:
    client = _client(closed)
    asked = client.get("/documents/bees.txt?quote=0-4")
    assert asked.headers["location"] == "/sign-in?to=%2Fdocuments%2Fbees.txt%3Fquote%3D0-4"
    assert 'value="/documents/bees.txt?quote=0-4"' in client.get(asked.headers["location"]).text
    reply = _sign_in(client)
    assert (reply.status_code, reply.headers["location"]) == (303, "/documents/bees.txt")
    assert client.get("/documents/bees.txt").status_code == 200
    assert "signed in as ada" in client.get("/sign-in").text


def test_the_cookie_is_kept_from_scripts_and_other_sites(closed: FastAPI) -> None:
    cookie = _sign_in(_client(closed)).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    encrypted = TestClient(closed, "https://localhost", follow_redirects=False)
    assert "; secure" in _sign_in(encrypted).headers["set-cookie"].lower()


def test_signing_out_ends_the_session(closed: FastAPI) -> None:
    client = _client(closed)
    _sign_in(client)
    kept = dict(client.cookies)
    assert '<form method="post" action="/sign-out">' in client.get("/programs").text
    assert client.post("/sign-out").headers["location"] == "/sign-in"
    for name, value in kept.items():
        client.cookies.set(name, value)
    assert client.get("/documents/bees.txt").status_code == 303


def test_another_password_or_no_account_ends_the_session(closed: FastAPI, auth_file: Path) -> None:
    client = _client(closed)
    _sign_in(client)
    add_account(auth_file, "eve", PASSWORD)
    assert client.get("/documents/bees.txt").status_code == 200
    add_account(auth_file, "ada", f"another {PASSWORD}")
    assert client.get("/documents/bees.txt").status_code == 303
    assert _sign_in(client, password=f"another {PASSWORD}").status_code == 303
    eve = [line for line in auth_file.read_text().splitlines() if line.startswith("eve:")]
    auth_file.write_text("\n".join(eve))
    assert client.get("/documents/bees.txt").status_code == 303


def test_a_session_ends_by_itself(auth_file: Path) -> None:
    clock = [0.0]
    sign_in = SignIn(Accounts(auth_file), now=lambda: clock[0])
    app = FastAPI()
    app.include_router(sign_in.make_router())
    client = _client(app)
    _sign_in(client)
    assert "signed in" in client.get("/sign-in").text
    clock[0] += 12 * 3600 + 1
    assert "signed in" not in client.get("/sign-in").text


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("eve", PASSWORD), ("", ""), ("ada", "x" * 5_000)]
)
def test_wrong_words_open_nothing_and_tell_nothing(
    closed: FastAPI, name: str, password: str
) -> None:
    client = _client(closed)
    reply = _sign_in(client, name, password)
    assert reply.status_code == 403
    assert "do not go together" in reply.text
    assert "set-cookie" not in reply.headers


def test_tries_are_limited_and_then_the_right_password_does_not_help(
    closed: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.web.limit._now", lambda: 100.0)
    client = _client(closed)
    statuses = [_sign_in(client, password="wrong").status_code for _ in range(12)]  # noqa: S106
    assert statuses == [403] * 10 + [429] * 2
    assert _sign_in(client).status_code == 429


@pytest.mark.parametrize(
    "to",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1", "/\n//x", ""],
)
def test_signing_in_leads_nowhere_else(closed: FastAPI, to: str) -> None:
    client = _client(closed)
    reply = client.post("/sign-in", data={"name": "ada", "password": PASSWORD, "to": to})
    assert reply.headers["location"] == "/"
    assert "evil" not in client.get("/sign-in", params={"to": to}).text


def test_who_calls_too_often_waits(
    closed: FastAPI, auth_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.web.limit._now", lambda: 100.0)
    few = Guard(closed, sign_in=SignIn(Accounts(auth_file)), calls=5)
    client = TestClient(few, HERE)
    statuses = [client.get("/health").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert client.get("/health").headers["retry-after"] == "13"


def test_a_limit_fills_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("rag.web.limit._now", lambda: clock[0])
    limit = Limit(2, 10)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 5]
    assert limit.take("b") == 0
    clock[0] += 5
    assert [limit.take("a") for _ in range(2)] == [0, 5]


# Accounts


def test_passwords_are_kept_as_hashes(tmp_path: Path) -> None:
    path = tmp_path / "accounts"
    assert add_account(path, "ada", PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert PASSWORD not in text
    assert text.startswith("ada:$argon2id$v=19$m=65536,t=3,p=4$")  # RFC 9106
    assert Accounts(path).check("ada", PASSWORD)
    assert not Accounts(path).check("ada", PASSWORD.upper())


@pytest.mark.parametrize(("name", "password"), [("a:b", PASSWORD), ("", PASSWORD), ("a", "short")])
def test_what_cannot_be_an_account_is_explained(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(AccountError):
        add_account(tmp_path / "accounts", name, password)
    assert not (tmp_path / "accounts").exists()


@pytest.mark.parametrize("text", [None, "", "ada:secret\n", "ada\n", "\xff"])
def test_a_file_without_good_accounts_names_the_cure(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "accounts"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(AccountError, match=r"rag user add NAME|cannot be read"):
        read_accounts(path)


def test_an_account_is_made_in_the_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rag.cli", "user", "add", "ada", "--auth-file", "a"]
    root = str(Path(__file__).parent.parent)
    for said in ("was added to", "has another password in"):
        done = subprocess.run(
            command,
            input=f"{PASSWORD}\n{PASSWORD}\n",
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
            check=True,
        )
        assert done.stdout == f"ada {said} a.\n"
    assert Accounts(tmp_path / "a").check("ada", PASSWORD)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("0.0.0.0", ()),  # noqa: S104
        ("::", ()),
        ("127.0.0.1", ("chat.example",)),
        ("x.example", ()),
    ],
)
def test_where_others_reach_it_accounts_are_demanded(
    index: Path, host: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(AccountError, match=r"--auth-file.*rag user add"):
        serve(Folders(index, index), Settings(), host, 0, Callers(names=names))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
