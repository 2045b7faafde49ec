"""The gate: hosts, origins, sessions, headers, sizes, one error shape; beyond loopback only with users and TLS."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from marrowscope.commands.serve import check_reach
from marrowscope.errors import LimitExceededError, UsageError
from marrowscope.web.app import create_app
from marrowscope.web.sessions import add_user
from marrowscope.web.settings import WebSettings
from marrowscope.web.uploads import check_archive, receive_upload
from web_helpers import BASE, HOSTILE, PORT, TOKEN, running

SHAPE = {"code", "found", "expected", "do"}


@pytest.fixture
def client(tmp_path: Path) -> Any:
    with running(tmp_path, run_jobs=False) as made:
        yield made


def test_only_the_known_host_names_are_answered(client: TestClient) -> None:
    for host in ("evil.example", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"127.0.0.1.evil.example:{PORT}", ""):
        answer = client.get("/", headers={"host": host})
        assert answer.status_code == 421 and set(answer.json()) == SHAPE
    for host in (f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"origin": BASE, "sec-fetch-site": "cross-site"}, 403),
        ({"origin": BASE, "sec-fetch-site": "same-site"}, 403),
        ({"origin": BASE, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": BASE}, 200),
    ],
)
def test_changes_come_from_our_own_pages(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/reader", data={"name": "x"}, headers=headers).status_code == status


def test_a_cookie_without_any_origin_changes_nothing(client: TestClient) -> None:
    del client.headers["origin"]
    assert client.post("/reader", data={"name": "x"}).status_code == 403
    assert client.get("/").status_code == 200
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/studies/search", data={"words": "x"}, headers=bearer).status_code == 200


def test_without_a_session_nothing_is_shown_and_a_wrong_token_opens_none(tmp_path: Path) -> None:
    gate, app = create_app(WebSettings(data=tmp_path, port=PORT, token=TOKEN, run_jobs=False))
    with TestClient(gate, base_url=BASE) as client:
        for route in app.openapi()["paths"]:
            path = route.replace("{study_id}", "0" * 12).replace("{number}", "1").replace("{what}", "pdf")
            answer = client.get(path.replace("{name}", "fluid.nii"))
            assert answer.status_code == 401 and set(answer.json()) == SHAPE, path
        assert client.get("/sign-in?token=wrong").status_code == 401
        assert client.get("/", headers={"cookie": f"marrowscope-{PORT}=made-up; bad=\x01"}).status_code == 401
        answer = client.get(f"/sign-in?token={TOKEN}", follow_redirects=False)
        assert answer.headers["location"] == "/", "the token leaves the address"
        cookie = answer.headers["set-cookie"].lower()
        assert "samesite=strict" in cookie and "httponly" in cookie and TOKEN not in cookie


def test_every_answer_carries_the_policy_and_pages_hold_no_inline_script(client: TestClient) -> None:
    for path in (
        "/",
        "/cohort",
        "/knowledge",
        "/pacs",
        "/studies/000000000000",
        "/nowhere",
        "/healthz",
        "/static/app.css",
    ):
        answer = client.get(path, headers={"accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        for piece in answer.text.split("<script")[1:]:
            assert piece.lstrip().startswith("src=") and piece.split(">", 1)[1].startswith("</script>"), path
        assert " onclick=" not in answer.text and "javascript:" not in answer.text
        assert ' style="' not in answer.text


def test_errors_have_one_shape_in_json_and_words_on_a_page(client: TestClient) -> None:
    for path in ("/api/studies/000000000000/state", "/nowhere", "/api/studies/xyz/state", "/cohort/thumbnails/1.png"):
        answer = client.get(path)
        assert answer.status_code in (404, 422) and set(answer.json()) == SHAPE, path
    page = client.get("/studies/000000000000", headers={"accept": "text/html"})
    assert page.status_code == 404 and "No study of that id" in page.text
    assert client.post("/api/verdicts", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    too_long = client.post("/api/verdicts", content=b"x" * (5 * 2**20))
    assert too_long.status_code == 413 and set(too_long.json()) == SHAPE


def test_a_stream_without_a_length_is_counted(client: TestClient) -> None:
    answer = client.post("/api/verdicts", content=(b"x" * 2**20 for _ in range(6)))
    assert answer.status_code == 413


def test_hostile_names_are_text_everywhere(client: TestClient) -> None:
    case = client.post("/cases", data={"label": HOSTILE}, follow_redirects=False)
    study = case.headers["location"].split("/")[2]
    assert client.post("/reader", data={"name": HOSTILE}).status_code == 200
    for path in (
        "/",
        f"/studies/{study}/intake",
        f"/studies/{study}/history",
        "/cohort",
        f"/studies/{study}/reasoning",
    ):
        text = client.get(path).text
        assert "<script>alert" not in text, path
    assert "&lt;script&gt;alert(1)" in client.get("/").text
    rows = client.post("/studies/search", data={"words": "<script>"}).text
    assert "&lt;script&gt;" in rows and "<script" not in rows
    assert "No study" in client.post("/studies/search", data={"words": "100%_\\"}).text


class Chunks:
    """A request whose body comes in pieces, as a server sees it."""

    def __init__(self, boundary: bytes, pieces: list[bytes]) -> None:
        self.headers = {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}
        self._pieces = pieces

    async def stream(self) -> Any:
        for piece in self._pieces:
            yield piece


def part(name: str, filename: str | None, body: bytes) -> bytes:
    kind = f'; filename="{filename}"' if filename is not None else ""
    return f'--B\r\ncontent-disposition: form-data; name="{name}"{kind}\r\n\r\n'.encode() + body + b"\r\n"


def received(tmp_path: Path, body: bytes, limit: int = 10_000) -> Any:
    import anyio

    pieces = [body[i : i + 777] for i in range(0, len(body), 777)]
    return anyio.run(receive_upload, Chunks(b"B", pieces), tmp_path, limit)


def test_uploads_keep_kinds_and_sequence_words_and_no_names(tmp_path: Path) -> None:
    body = part("label", None, b"left knee") + part("files", "Doe^John_STIR_cor.nii.gz", b"abc")
    body += part("files", "..\\..\\evil\x00.dcm", b"def") + part("files", "Mueller", b"ghi") + b"--B--\r\n"
    upload = received(tmp_path, body)
    assert upload.fields == {"label": "left knee"}
    assert sorted(p.name for p in upload.folder.iterdir()) == ["00001_stir_cor.nii.gz", "00002.dcm", "00003"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (part("files", "a", b"x" * 20_000) + b"--B--\r\n", LimitExceededError),
        (part("label", None, b"x" * 5000) + b"--B--\r\n", LimitExceededError),
        (part("files", "a" * 20_000, b"x") + b"--B--\r\n", UsageError),
        (b"".join(part(f"f{n}", None, b"x") for n in range(40)) + b"--B--\r\n", LimitExceededError),
        (part("files", "a", b"x"), UsageError),
        (b"not multipart at all", UsageError),
        (b"", UsageError),
        (part("label", None, b"no file") + b"--B--\r\n", UsageError),
    ],
)
def test_an_upload_that_is_refused_leaves_nothing(tmp_path: Path, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        received(tmp_path, body)
    assert list(tmp_path.iterdir()) == []


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path: Path, client: TestClient) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", b"\0" * (200 * 2**20))
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb.getvalue())
    with pytest.raises(LimitExceededError, match="inflates"):
        check_archive(path)
    answer = client.post("/api/studies", files={"files": ("bomb.zip", bomb.getvalue())})
    assert answer.status_code == 413 and set(answer.json()) == SHAPE
    answer = client.post("/api/studies", files={"files": ("no.zip", b"PK no archive")})
    assert answer.status_code == 422
    assert list((tmp_path / "incoming").iterdir()) == []
    declared = client.post("/api/studies", content=b"", headers={"content-length": str(2 * 2**30)})
    assert declared.status_code == 413


def test_beyond_loopback_needs_users_and_tls(tmp_path: Path) -> None:
    users, cert, key = tmp_path / "users", tmp_path / "cert", tmp_path / "key"
    for path in (users, cert, key):
        path.write_text("x")
    check_reach("127.0.0.1", None, None, None)
    check_reach("knee.example", users, cert, key)
    for bad in ((None, cert, key), (users, None, None), (None, None, None)):
        with pytest.raises(UsageError, match="without"):
            check_reach("knee.example", *bad)
    with pytest.raises(UsageError, match="every interface"):
        check_reach("0.0.0.0", users, cert, key)
    with pytest.raises(UsageError, match="half"):
        check_reach("127.0.0.1", None, cert, None)


def test_named_users_sign_in_with_a_password(tmp_path: Path) -> None:
    users = tmp_path / "users"
    add_user(users, "Ada", "correct horse battery")
    assert users.stat().st_mode & 0o077 == 0 and "correct horse" not in users.read_text()
    for name, password in (("a:b", "long enough password"), ("Ada", "short")):
        with pytest.raises(UsageError):
            add_user(users, name, password)
    settings = WebSettings(
        data=tmp_path, port=PORT, token=TOKEN, run_jobs=False, users=users, host="knee.example", tls=True
    )
    gate, _ = create_app(settings)
    base = f"https://knee.example:{PORT}"
    with TestClient(gate, base_url=base, headers={"origin": base, "accept": "text/html"}) as client:
        assert client.get("/").url.path == "/sign-in"
        assert client.get("/healthz", headers={"host": f"127.0.0.1:{PORT}"}).status_code == 421
        assert client.get("/", headers={"authorization": f"Bearer {TOKEN}"}).url.path == "/sign-in", (
            "no token beyond loopback"
        )
        for name, password in (("Ada", "wrong password!"), ("Eve", "correct horse battery"), ("", "")):
            assert client.post("/sign-in", data={"name": name, "password": password}).status_code in (401, 422)
        answer = client.post(
            "/sign-in", data={"name": "Ada", "password": "correct horse battery"}, follow_redirects=False
        )
        assert answer.status_code == 303 and "secure" in answer.headers["set-cookie"].lower()
        assert "Ada" in client.get("/").text
        client.post("/sign-out")
        assert client.get("/").url.path == "/sign-in"
    users.write_text("Ada:plain text\n")
    with pytest.raises(UsageError, match="line 1"):
        create_app(settings)


def test_nothing_is_logged_about_requests(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="marrowscope"):
        client.post("/studies/search", data={"words": "Doe^John"})
        client.post("/cases", data={"label": "Doe^John"})
    assert "Doe" not in caplog.text
