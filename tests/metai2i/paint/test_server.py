from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np
import pytest
from page_server import Served, files_in_one, served
from PIL import Image
from safetensors.torch import load_file
from small_run import PLUGINS

from metai2i.cli import invoke
from metai2i.inference.pair_folders import read_map

STRIPES = (np.arange(32)[None, :] // 4 % 3).repeat(32, 0).astype(np.uint8)
"""A map of 32x32 with three classes."""


def models(page: Served) -> dict[str, str]:
    """The models' keys, by title and detail."""
    return {f"{each['title']}, {each['detail']}": each["key"] for each in page.ask("/state").json["models"]}


def adapted(page: Served, folder: Path, **wish) -> dict:
    """Hands the pairs of a folder over and adapts; gives the job at its end."""
    titles = wish.pop("rows", ["Reptile (2-shot)"])
    rows = [row["key"] for row in page.ask("/state").json["rows"] if row["title"] in titles]
    body = files_in_one({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    support = page.ask(f"/supports?row={rows[0]}", body)
    assert support.status == 200, support.content
    begun = page.ask_json("/jobs", {"support": support.json["key"], "rows": rows, "steps": [0, 3], **wish})
    assert begun.status == 200, begun.content
    return ended(page, begun.json["job"])


def ended(page: Served, job: str) -> dict:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        about = page.ask(f"/jobs/{job}").json
        if about["state"] != "running":
            return about
        time.sleep(0.05)
    raise AssertionError("it does not end")


def translated(model: Path, label_map: Path, out: Path, *words: str, plugins: Path = PLUGINS) -> bytes:
    """The file that `metai2i translate` writes of a map."""
    command = ["translate", str(model), str(label_map), str(out), "--plugins-dir", str(plugins), *words]
    assert invoke(command) == 0
    (image,) = [path for path in out.iterdir() if path.name != "contact.png"][:1]
    return image.read_bytes()


def test_the_page_is_told_what_there_is(shared_page):
    state = shared_page.ask("/state").json
    assert state["size"] == [32, 32]
    assert [each["name"] for each in state["classes"]] == ["class 0", "class 1", "class 2"]
    assert state["bytes"] == 1
    assert [row["title"] for row in state["rows"]] == ["Copy", "Line", "Line (2-shot)", "Aux", "Reptile (2-shot)"]
    assert [row["title"] for row in state["rows"] if row["chosen"]] == ["Reptile (2-shot)"]
    assert list(models(shared_page)) == ["Reptile (2-shot), not adapted"]


def test_the_image_of_a_kept_model_is_that_of_translate_byte_for_byte(page, small, tmp_path):
    job = adapted(page, small / "pairs")
    assert job["state"] == "done"
    key = models(page)["Reptile (2-shot), 3 steps on 0, 1, 2"]
    image = page.ask(f"/image?model={key}", STRIPES.tobytes())
    assert image.headers["Content-Type"] == "image/png"
    (tmp_path / "map.png").write_bytes(page.ask("/map.png", STRIPES.tobytes()).content)
    kept = page.ask_json("/keep", {"model": key, "name": "mine"}).json["file"]
    assert Path(kept) == tmp_path / "kept" / "mine.safetensors"
    assert image.content == translated(Path(kept), tmp_path / "map.png", tmp_path / "out")


def test_a_model_that_is_adapted_on_the_page_is_that_of_adapt(page, small, tmp_path):
    adapted(page, small / "pairs", rows=["Line (2-shot)"], lr=0.05)
    key = models(page)["Line (2-shot), 3 steps on 0, 1, 2 at 0.05"]
    page.ask_json("/keep", {"model": key, "name": "page"})
    words = ["--row", "Line (2-shot)", "--iterations", "3", "--lr", "0.05", "--plugins-dir", str(PLUGINS)]
    command = ["adapt", str(small / "runs" / "small"), "--support", str(small / "pairs"), *words]
    assert invoke([*command, "--out", str(tmp_path / "command.safetensors")]) == 0
    mine, other = load_file(tmp_path / "kept" / "page.safetensors"), load_file(tmp_path / "command.safetensors")
    assert mine.keys() == other.keys()
    assert all((mine[name] == other[name]).all() for name in mine)


def test_the_support_comes_nearer_to_its_photographs_step_by_step(page, small):
    job = adapted(page, small / "pairs", steps=[0, 1, 5, 20])
    distances = [each["off_by"] for each in job["rounds"]]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < distances[0] / 2
    assert job["done"] == job["total"] == 1 + 2 + 6 + 21
    images = [page.ask(f"/jobs/2/{n}/0.png").content for n in range(4)]
    assert len(set(images)) == 4


def test_adapting_again_takes_the_place_of_what_is_in_no_file(page, small):
    adapted(page, small / "pairs")
    before = models(page)
    page.ask_json("/keep", {"model": before["Reptile (2-shot), 3 steps on 0, 1, 2"], "name": "mine"})
    adapted(page, small / "pairs")
    state = page.ask("/state").json["models"]
    assert sorted((each["detail"], each["file"] is None) for each in state) == [
        ("0 steps on 0, 1, 2", True), ("3 steps on 0, 1, 2", False), ("3 steps on 0, 1, 2", True),
        ("not adapted", True),
    ]  # fmt: skip


def test_a_saved_map_is_read_again_as_it_was_painted(shared_page, tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (32, 32)).astype(np.uint8)
    content = shared_page.ask("/map.png", ids.tobytes()).content
    (tmp_path / "map.png").write_bytes(content)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "map.png")), ids)
    assert np.array_equal(read_map(tmp_path / "map.png", shared_page.studio.spec).argmax(0).numpy(), ids)
    assert shared_page.ask("/maps", files_in_one({"map.png": content})).content == ids.tobytes()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\0" * 1023, "got a map of 1,023 bytes, expected 1,024: one for each pixel of 32x32"),
        (b"\0" * 1025, "got a map of 1,025 bytes, expected 1,024: one for each pixel of 32x32"),
        (b"", "got a map of 0 bytes, expected 1,024: one for each pixel of 32x32"),
        (b"\0" * 35 + b"\3" + b"\0" * 988, "the pixel in row 1, column 3 has the class id 3, expected 0 to 2"),
    ],
)
@pytest.mark.parametrize("address", ["/image?model=m1", "/map.png"])
def test_a_map_of_another_size_or_with_an_unknown_class_is_refused(shared_page, address, body, message):
    refused = shared_page.ask(address, body)
    assert (refused.status, refused.error) == (422, message)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
    ],
    ids=lambda headers: " ".join(f"{name} {value}" for name, value in headers.items()),
)
@pytest.mark.parametrize(("address", "body"), [("/", None), ("/state", None), ("/image?model=m1", STRIPES.tobytes())])
def test_who_is_foreign_is_refused(shared_page, headers, address, body):
    port = shared_page.server.server_port
    spelled = {name: value.format(port=port) for name, value in headers.items()}
    refused = shared_page.ask(address, body, **spelled)
    assert refused.status == 403
    assert refused.content.startswith(b"this server answers ")


def test_the_page_itself_may_be_reached_by_its_names(shared_page):
    port = shared_page.server.server_port
    assert shared_page.ask("/", Host=f"localhost:{port}").status == 200
    assert shared_page.ask("/state", Origin=f"http://127.0.0.1:{port}").status == 200


def test_a_request_without_a_host_is_refused(shared_page):
    with socket.create_connection(("127.0.0.1", shared_page.server.server_port), timeout=10) as line:
        line.sendall(b"GET /state HTTP/1.0\r\n\r\n")
        assert b" 403 " in line.makefile("rb").readline()


def test_a_body_whose_size_is_not_said_or_too_large_is_refused_before_it_is_read(shared_page):
    assert "expected at most 256" in shared_page.ask("/image?model=m1", b"", Content_Length=str(2**40)).error
    assert "Content-Length" in shared_page.ask("/image?model=m1", b"", Content_Length="-1").error
    chunked = shared_page.ask("/image?model=m1", b"", Transfer_Encoding="chunked", Content_Length="0")
    assert "got one in chunks" in chunked.error


def test_nobody_but_this_machine_can_reach_it(shared_page):
    assert shared_page.server.server_address[0] == "127.0.0.1"


def test_the_page_may_run_its_own_script_alone_and_ask_its_own_server(shared_page):
    headers = shared_page.ask("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.jpg": None, "b.jpg": None, "a.png": None}, "b.jpg: this photograph has no map, expected b.png"),
        ({"a.png": None}, "no pairs of a photograph and its map are here, only 0 .jpg files and 1 .png file"),
        ({"a_map.png": None}, "a_map.png: this map has no photograph called 'a'"),
        ({"../a.png": None}, "no file may be called '../a.png'"),
        ({"a/b/c.png": None}, "no file may be called 'a/b/c.png'"),
        ({"a.jpg": b"no image", "a.png": None}, "a.jpg: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_a_support_that_is_none_is_told_as_adapt_tells_it_without_a_folder_that_nobody_knows(
    shared_page, tmp_path, files, message
):
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.jpg")
    Image.new("L", (32, 32)).save(tmp_path / "map.png")
    whole = {
        name: content or (tmp_path / ("photo.jpg" if name.endswith("jpg") else "map.png")).read_bytes()
        for name, content in files.items()
    }
    refused = shared_page.ask("/supports?row=r1.5", files_in_one(whole))
    assert refused.status == 422
    assert refused.error.startswith(message)
    assert str(tmp_path) not in refused.error


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[]\n", b'[["a", 3]]\nab', b'[["a", 1]]\nab', b'[["a", -1]]\n', b"\xff\n"]
)
def test_a_body_of_files_that_is_none_is_refused(shared_page, body):
    assert shared_page.ask("/maps", body).status == 422


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"steps": []}, "steps: expected whole numbers from 0 to 10,000"),
        ({"steps": [-1]}, "steps: expected whole numbers from 0 to 10,000"),
        ({"steps": ["x"]}, "steps: expected whole numbers from 0 to 10,000"),
        ({"steps": [True]}, "steps: expected whole numbers from 0 to 10,000"),
        ({"steps": list(range(13))}, "steps: got 13 numbers, expected at most 12"),
        ({"rows": []}, "no row is chosen"),
        ({"rows": ["r1.9"]}, "there is no row 'r1.9' on this page"),
        ({"lr": -1}, "rate: got -1, expected a number above 0"),
        ({"lr": "fast"}, "rate: got fast, expected a number above 0"),
        ({"support": "99"}, "there is no support '99'"),
    ],
)
def test_a_wish_to_adapt_that_cannot_be_is_refused(shared_page, small, wish, message):
    body = files_in_one({path.name: path.read_bytes() for path in (small / "pairs").iterdir()})
    support = shared_page.ask("/supports?row=r1.5", body).json["key"]
    refused = shared_page.ask_json("/jobs", {"support": support, "rows": ["r1.5"], "steps": [1], **wish})
    assert refused.status in (404, 422)
    assert refused.error.startswith(message)


def test_a_row_that_makes_something_else_of_the_support_ends_the_job_with_a_message(page, small):
    job = adapted(page, small / "pairs", rows=["Copy"])
    assert job["state"] == "failed"
    assert "the strategy 'copy' makes a" in job["error"]


@pytest.mark.parametrize("name", ["", " ", ".hidden", "../x", "a/b", "a\\b", "a\0b", "x" * 300, ".safetensors"])
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(page, small, tmp_path, name):
    adapted(page, small / "pairs")
    key = models(page)["Reptile (2-shot), 3 steps on 0, 1, 2"]
    assert page.ask_json("/keep", {"model": key, "name": name}).status == 422
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_file_that_is_there_is_never_replaced(page, small, tmp_path):
    adapted(page, small / "pairs")
    (tmp_path / "kept" / "mine.safetensors").write_text("a user's")
    key = models(page)["Reptile (2-shot), 3 steps on 0, 1, 2"]
    refused = page.ask_json("/keep", {"model": key, "name": "mine.safetensors"})
    assert "a file of this name is there already (choose another name)" in refused.error
    assert (tmp_path / "kept" / "mine.safetensors").read_text() == "a user's"


def test_a_general_model_is_not_kept_as_one_of_a_scene(shared_page):
    refused = shared_page.ask_json("/keep", {"model": "m1", "name": "mine"})
    assert refused.error == "'Reptile (2-shot)' was not adapted on this page (adapt it to a scene first)"


def test_what_is_not_there_is_told(shared_page):
    assert shared_page.ask("/nothing").status == 404
    assert shared_page.ask("/state", b"").status == 404
    assert shared_page.ask("/jobs/7").status == 404
    assert shared_page.ask("/maps/7").status == 404
    assert shared_page.ask("/image?model=m9", STRIPES.tobytes()).error.startswith("there is no model 'm9' on this page")
    assert shared_page.ask("/image?model=m1&way=x", STRIPES.tobytes()).status == 422
    assert (
        shared_page.ask("/image?model=m1&colour=x", STRIPES.tobytes()).error
        == "an image is not asked for with 'colour'"
    )


def test_files_and_runs_stand_side_by_side_and_a_run_shows_its_scenes(small, tmp_path):
    words = [str(small / "runs" / "small"), "--support", str(small / "pairs"), "--plugins-dir", str(PLUGINS)]
    assert invoke(["adapt", *words, "--out", str(tmp_path / "mine.safetensors")]) == 0
    with served([small / "runs" / "small", tmp_path / "mine.safetensors"], tmp_path, [PLUGINS]) as both:
        assert list(models(both)) == ["Reptile (2-shot), not adapted", "mine, Reptile (2-shot), 10 steps"]
        assert both.ask("/state").json["maps"] == [f"mine, support {n}" for n in (1, 2, 3)]
        assert both.ask("/maps/1").content == ((np.arange(32) // 4 + 1) % 3).astype(np.uint8).tobytes() * 32


def test_an_image_drawn_in_a_way_is_that_of_translate(looks, looks_page, tmp_path):
    Image.new("RGB", (16, 16), (90, 120, 60)).save(tmp_path / "grey.png")
    Image.new("RGB", (16, 16), (10, 200, 60)).save(tmp_path / "green.png")
    source = looks_page.ask("/files/source", files_in_one({"grey.png": (tmp_path / "grey.png").read_bytes()})).json[
        "key"
    ]
    green = files_in_one({"photo/green.png": (tmp_path / "green.png").read_bytes()})
    exemplar = looks_page.ask("/exemplars", green).json["key"]
    asked = f"/image?model=m1&file.source={source}"
    for query, words in {
        "way=exemplar": ("--way", "exemplar"),
        f"way=exemplar&exemplar={exemplar}": ("--way", "exemplar", "--reference", str(tmp_path / "green.png")),
        "way=latent&domain=summer": ("--way", "latent", "--domain", "summer"),
        "way=latent": ("--way", "latent"),
    }.items():
        image = looks_page.ask(f"{asked}&{query}", b"").content
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        model, plugins = looks / "looks.safetensors", looks / "plugins"
        assert image == translated(model, tmp_path / "grey.png", out, *words, plugins=plugins), query
    third = looks_page.ask(f"{asked}&way=latent&domain=summer&sample=2", b"").content
    words = ("--way", "latent", "--domain", "summer", "--samples", "3")
    translated(model, tmp_path / "grey.png", tmp_path / "three", *words, plugins=plugins)
    assert third == (tmp_path / "three" / "grey_2.png").read_bytes()


def test_what_a_way_reads_and_is_not_there_is_told(looks_page):
    assert looks_page.ask("/image?model=m1&way=exemplar", b"").error.endswith(
        "this model reads an image (source) (choose its file)"
    )
    assert looks_page.ask("/image?model=m1&way=latnet", b"").error.endswith("(did you mean 'latent'?)")


def test_the_page_is_told_what_each_way_reads(looks_page):
    ways = {way["name"]: way for way in looks_page.ask("/state").json["models"][0]["ways"]}
    assert ways["exemplar"]["files"] == ways["latent"]["files"] == ["source"]
    assert (ways["exemplar"]["exemplar"], ways["latent"]["exemplar"]) == (True, False)
    assert ways["latent"]["domains"] == ["spring", "summer", "autumn"]
    assert (ways["exemplar"]["draws"], ways["latent"]["draws"]) == (False, True)
