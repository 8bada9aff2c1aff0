"""Downloads: whole or not at all, resumed after a cut, checked against the published hash."""

import hashlib

import pytest

import stillhouse

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/v1/artifacts/art_1"


@pytest.fixture
def job(client, script, answers):
    artifact = {
        "id": "art_1", "job": answers.JOB, "kind": "student", "name": "student.safetensors", "size": len(CONTENT),
        "sha256": SHA256, "media_type": "application/octet-stream", "created_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    page = {"data": [artifact], "has_more": False, "next_cursor": None}
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("succeeded")))
    script.on("GET", f"/v1/jobs/{answers.JOB}/artifacts", answers.json(page))
    return client.jobs.get(answers.JOB)


def rest(answers, start, content=CONTENT):
    size = len(CONTENT)
    return answers.Answer(206, content[start:], {"Content-Range": f"bytes {start}-{size - 1}/{size}"})


def requests(script):
    return [asked for asked in script.asked if asked.path == PATH]


def test_the_file_arrives_under_its_name(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, CONTENT))
    assert job.student.download(tmp_path / "mine.bin") == tmp_path / "mine.bin"
    assert (tmp_path / "mine.bin").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["mine.bin"]


def test_a_folder_keeps_the_artifacts_name(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, CONTENT))
    assert job.student.download(tmp_path).name == "student.safetensors"


def test_a_cut_download_goes_on_where_it_stopped(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, CONTENT, cut=300_000), rest(answers, 300_000))
    job.student.download(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == CONTENT
    first, second = requests(script)
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=300000-"
    assert second.headers["If-Range"] == f'"{SHA256}"'


def test_a_later_call_continues_what_an_earlier_one_left(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, CONTENT, cut=500_000), answers.problem(404, "not_found", "hidden"))
    with pytest.raises(stillhouse.NotFound):
        job.student.download(tmp_path / "s")
    assert not (tmp_path / "s").exists()
    script.on("GET", PATH, rest(answers, 500_000))
    job.student.download(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == CONTENT
    assert requests(script)[-1].headers["Range"] == "bytes=500000-"


def test_a_server_without_ranges_starts_over(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, CONTENT, cut=300_000), answers.Answer(200, CONTENT))
    job.student.download(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == CONTENT


def test_wrong_bytes_never_appear(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, b"x" * len(CONTENT)))
    (tmp_path / "s").write_bytes(b"before")
    with pytest.raises(stillhouse.Corrupted):
        job.student.download(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_damaged_part_is_fetched_anew(job, script, answers, tmp_path):
    (tmp_path / f".s.{SHA256[:16]}.part").write_bytes(b"y" * 100)
    script.on("GET", PATH, rest(answers, 100), answers.Answer(200, CONTENT))
    job.student.download(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == CONTENT


def test_a_download_that_never_grows_gives_up(job, script, answers, tmp_path):
    script.on("GET", PATH, answers.Answer(200, CONTENT, cut=0))
    with pytest.raises(stillhouse.Unreachable):
        job.student.download(tmp_path / "s")
    assert len(requests(script)) == 4


def test_a_signed_url_of_another_server_gets_no_headers_of_ours(job, script, answers, tmp_path):
    elsewhere = "/bucket/blob"
    script.on("GET", PATH, answers.Answer(307, b"", {"Location": f"{script.url}{elsewhere}?signature=abc"}))
    script.on("GET", elsewhere, answers.Answer(200, CONTENT, cut=10_000), rest(answers, 10_000))
    job.student.download(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == CONTENT
    first, second = [asked for asked in script.asked if asked.path == elsewhere]
    assert first.query == "signature=abc"
    assert second.headers["Range"] == "bytes=10000-"
    assert "If-Range" not in second.headers


def test_a_job_without_a_student_says_so(client, script, answers):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("running")))
    empty = {"data": [], "has_more": False, "next_cursor": None}
    script.on("GET", f"/v1/jobs/{answers.JOB}/artifacts", answers.json(empty))
    with pytest.raises(stillhouse.NoSuchArtifact, match="no student yet: it is running"):
        _ = client.jobs.get(answers.JOB).student
