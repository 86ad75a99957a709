"""The server of pages that this machine shows to itself: whom it answers, and how it begins and ends."""

from __future__ import annotations

import http.client

import pytest
from answering import answering

from metai2i import UserError
from metai2i.console.loopback import LoopbackHandler, foreign_request, listening, serve


class Page(LoopbackHandler):
    """Answers every request with one page."""

    def do_GET(self) -> None:
        self.answer(b"a page", "text/plain")

    do_HEAD = do_GET


def asked(port: int, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, "/", skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read(), answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8000", "127.0.0.1:65535"])
def test_this_machine_is_answered_by_its_names_and_any_port(host):
    assert foreign_request([host], []) is None
    assert foreign_request([host], [f"http://{host.lower()}"]) is None


@pytest.mark.parametrize(
    "hosts",
    [[], [""], ["example.org"], ["127.0.0.1.example.org"], ["127.0.0.1:80.example.org"], ["localhost:"],
     ["example.org@127.0.0.1"], ["127.0.0.2"], ["0.0.0.0:80"], ["localhost", "localhost"]],
)  # fmt: skip
def test_a_request_under_another_name_is_refused(hosts):
    assert foreign_request(hosts, []) is not None


@pytest.mark.parametrize("origin", ["http://example.org", "null", "http://127.0.0.1:9", "https://127.0.0.1:8", ""])
def test_a_page_from_elsewhere_is_refused(origin):
    assert foreign_request(["127.0.0.1:8"], [origin]) is not None


def test_answers_go_to_this_machines_own_page_alone_and_load_nothing_from_elsewhere():
    with answering(Page) as port:
        status, body, answer = asked(port, Host=f"127.0.0.1:{port}")
        assert (status, body) == (200, b"a page")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        status, body, _ = asked(port, Host=f"example.org:{port}")
        assert (status, body) == (403, b"this server answers as 127.0.0.1 and localhost alone\n")
        status, body, _ = asked(port, Host=f"127.0.0.1:{port}", Origin="http://example.org")
        assert (status, body) == (403, b"this server answers its own page alone\n")
        assert asked(port)[0] == 403
        status, body, answer = asked(port, "HEAD", Host=f"localhost:{port}")
        assert (status, body, answer.headers["Content-Length"]) == (200, b"", "6")
        assert asked(port, "POST", Host=f"localhost:{port}")[0] == 501


def test_it_listens_on_the_loopback_alone():
    with listening(Page, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_told_with_what_to_do():
    with answering(Page) as port, pytest.raises(UserError) as told_error:
        serve(Page, port, lambda address: None)
    expected = f"port {port} is in use (--port names another, --port 0 takes one that is free)"
    assert str(told_error.value) == expected


def test_an_interruption_ends_it_and_frees_the_port():
    addresses: list[str] = []

    def interrupt(address: str) -> None:
        addresses.append(address)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(Page, 0, interrupt)
    port = int(addresses[0].rpartition(":")[2].strip("/"))
    listening(Page, port).server_close()
