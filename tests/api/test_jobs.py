"""Jobs over HTTP: submit, look, change, cancel, list."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.spec import JobSpec
from app.jobs.service import spec_hash
from tests.api.conftest import ON_SQLITE, STUDENT, TEACHER, House, running


def test_a_submitted_job_waits_in_the_queue(house: House) -> None:
    job = house.submit(name="first", labels={"team": "a"})
    assert (job["state"], job["queue_position"], job["attempt"], job["blocked_by"]) == ("queued", 1, 0, None)
    assert house.submit()["queue_position"] == 2
    assert house.submit(priority=5)["queue_position"] == 1
    assert house.client.get(f"/v1/jobs/{job['id']}").json()["queue_position"] == 2


def test_a_job_on_unknown_inputs_names_both_fields(house: House) -> None:
    spec = {"teacher": "mdl_" + "0" * 32, "transfer_set": "ds_" + "0" * 32, "student": STUDENT}
    answer = house.client.post("/v1/jobs", json=spec)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_spec"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/teacher", "/transfer_set"]


def test_a_clone_is_the_same_job_again(house: House) -> None:
    job = house.submit(name="first", labels={"team": "a"}, seed=7)
    path, key = f"/v1/jobs/{job['id']}/clone", {"Idempotency-Key": "k"}
    clone = house.client.post(path, headers=key).json()
    assert clone["id"] != job["id"]
    assert (clone["cloned_from"], job["cloned_from"]) == (job["id"], None)
    assert (clone["spec"], clone["spec_hash"]) == (job["spec"], job["spec_hash"])
    assert house.client.post(path, headers=key).json()["id"] == clone["id"]
    other = house.client.post(f"/v1/jobs/{clone['id']}/clone", headers=key)
    assert other.json()["code"] == "idempotency_key_reused"
    assert house.client.post(path, json={"name": "second"}).json()["name"] == "second"
    assert house.client.post(path, json={"seed": 8}).json()["errors"][0]["pointer"] == "/seed"
    assert house.client.post("/v1/jobs/job_0/clone").status_code == 404
    house.client.post(f"/v1/jobs/{job['id']}/cancel")
    assert house.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert house.client.get(f"/v1/jobs/{clone['id']}").json()["cloned_from"] is None


def test_a_clone_says_which_input_can_no_longer_be_used(house: House) -> None:
    model, dataset = house.register("models", architecture=TEACHER), house.register("datasets")
    spec = {"teacher": model["id"], "student": STUDENT, "transfer_set": dataset["id"]}
    job = house.client.post("/v1/jobs", json=spec).json()
    house.inspect(ModelInspection(problems=[Problem(detail="it holds NaN")]))
    answer = house.client.post(f"/v1/jobs/{job['id']}/clone")
    assert answer.json()["code"] == "invalid_spec"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/teacher"]


MLP = STUDENT["architecture"]
HUGE = {**MLP, "hidden": [65536, 65536]}


@pytest.mark.parametrize(
    ("data", "changes", "pointer", "words"),
    [
        ({}, {"student": {"architecture": {**MLP, "classes": 4}}}, "/student/architecture/classes", "3 classes"),
        ({}, {"student": {"architecture": {**MLP, "inputs": 5}}}, "/student/architecture", "5 values, not 4"),
        ({}, {"student": {"architecture": HUGE}}, "/student/architecture", "parameters"),
        ({"width": 6}, {}, "/teacher", "does not fit the transfer set"),
        ({"classes": 7}, {}, "/transfer_set", "labels up to 6"),
        ({"labelled": 0}, {"objective": [{"kind": "hard_target"}]}, "/objective/0", "needs labels"),
        ({}, {"objective": [{"kind": "pseudo_label"}]}, "/objective/0", "looks at unlabelled samples"),
        ({}, {"devices": 10}, "/devices", "a batch of 9 samples cannot be shared out among 10"),
        ({}, {"training": {"batch_size": 1000}}, "/training/batch_size", "larger than the training part, which has"),
        ({"labelled": 0}, {"objective": [{"kind": "annealed_target"}]}, "/objective/0", "needs labels"),
    ],
)
@ON_SQLITE
def test_what_cannot_work_is_refused_before_any_training(
    house: House, data: dict[str, Any], changes: dict[str, Any], pointer: str, words: str
) -> None:
    answer = house.client.post("/v1/jobs", json={**house.ready(**data), **changes})
    assert answer.status_code == 422
    found = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert words in found[pointer]


def test_an_unlabelled_set_is_fine_for_a_teacher(house: House) -> None:
    spec = house.ready(labelled=0)
    assert house.client.post("/v1/jobs", json=spec).status_code == 201
    checked = house.client.post("/v1/jobs/validate", json=spec).json()
    assert checked["valid"]
    assert {warning["pointer"] for warning in checked["warnings"]} == {"/control", "/objective/1"}


def test_validate_tells_everything_and_changes_nothing(house: House) -> None:
    checked = house.client.post("/v1/jobs/validate", json=house.ready()).json()
    assert checked["valid"]
    assert checked["spec"]["training"]["epochs"] == 60
    assert checked["estimate"]["student_parameters"] == 4 * 2 + 2 + 2 * 3 + 3
    assert checked["estimate"]["optimizer_steps"] == 120
    wrong = house.client.post("/v1/jobs/validate", json={"objectiv": [], "seed": -1}).json()
    assert not wrong["valid"]
    assert {error["pointer"] for error in wrong["errors"]} == {
        "/objectiv",
        "/seed",
        "/teacher",
        "/student",
        "/transfer_set",
    }
    assert house.client.get("/v1/jobs").json()["data"] == []


def test_validate_points_into_stages_and_counts_their_steps(house: House) -> None:
    term = {"kind": "hint", "layers": [{"teacher": "hidden:1", "student": "hidden:1"}]}
    stages = [{"name": "hints", "objective": [term], "epochs": 5}, {"name": "fit", "objective": [term], "epochs": 3}]
    stages[1]["trains"] = "terms"
    spec = house.ready()
    checked = house.client.post("/v1/jobs/validate", json={**spec, "stages": stages}).json()
    assert checked["estimate"]["optimizer_steps"] == 120 + 2 * 5 + 3
    wrong = [{**stages[0], "objective": [{"kind": "annealed_target"}]}]
    checked = house.client.post("/v1/jobs/validate", json={**house.ready(labelled=0), "stages": wrong}).json()
    assert "/stages/0/objective/0" in {error["pointer"] for error in checked["errors"]}


def test_peers_and_memories_are_estimated_and_bounded(house: House) -> None:
    spec = house.ready()

    def checked(*terms: dict[str, Any]) -> Any:
        objective = [{"kind": "hard_target"}, *terms]
        return house.client.post("/v1/jobs/validate", json={**spec, "objective": objective}).json()

    alone, peers = checked()["estimate"], checked({"kind": "mutual", "peers": 2})["estimate"]
    assert peers["memory_bytes"] - alone["memory_bytes"] == 2 * 4 * 4 * alone["student_parameters"]
    assert peers["optimizer_steps"] == alone["optimizer_steps"]
    contrast = checked({"kind": "crd"})
    rows = (contrast["estimate"]["memory_bytes"] - alone["memory_bytes"]) / (8 * 128)
    assert 0 < rows < 100
    assert rows == int(rows)


def test_validate_names_the_term_that_the_networks_have_no_use_for(house: House) -> None:
    spec = house.ready(classes=2)
    binary = house.register("models", architecture={**TEACHER, "classes": 2})["id"]
    house.inspect(ModelInspection(parameters=58))
    spec |= {"teacher": binary, "student": {"architecture": {**STUDENT["architecture"], "classes": 2}}}
    objective = [{"kind": "soft_target"}, {"kind": "dkd"}, {"kind": "logit_standardized"}, {"kind": "dist"}]
    checked = house.client.post("/v1/jobs/validate", json={**spec, "objective": objective}).json()
    found = {error["pointer"]: error["detail"] for error in checked["errors"]}
    assert found.keys() == {"/objective/1", "/objective/2"}
    assert "of 2 classes there are none" in found["/objective/1"]
    wrong = [{"kind": "dist", "on": "labelled"}, {"kind": "dkd", "on": "unlabelled"}]
    checked = house.client.post("/v1/jobs/validate", json={**spec, "objective": wrong}).json()
    assert [error["pointer"] for error in checked["errors"]] == ["/objective/0", "/objective/1"]


def test_validate_refuses_an_ensemble_whose_mean_leaves_no_logits(house: House) -> None:
    spec = house.ready()
    other = house.register("models", architecture=TEACHER)["id"]
    house.inspect(ModelInspection(parameters=67))
    members = [{"model": spec["teacher"]}, {"model": other}]
    for combine, pointers in (("probabilities", ["/teacher/combine"]), ("logits", [])):
        teacher = {"members": members, "combine": combine}
        wanted = {**spec, "teacher": teacher, "objective": [{"kind": "multilabel"}]}
        checked = house.client.post("/v1/jobs/validate", json=wanted).json()
        assert [error["pointer"] for error in checked["errors"]] == pointers


def test_the_hash_is_of_what_determines_the_student(house: House) -> None:
    spec = house.ready()
    hashes = [
        house.client.post("/v1/jobs/validate", json={**spec, **changes}).json()["spec_hash"]
        for changes in ({}, {"name": "x", "labels": {"a": "b"}, "priority": 3}, {"seed": 1}, {"devices": 2})
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_field_younger_than_hashes_leaves_them_as_they_were(house: House) -> None:
    spec = JobSpec.model_validate(house.ready())
    beside = {"name", "labels", "priority", "max_attempts", "control", "export", "max_pending"}
    before = spec.model_dump(mode="json", exclude=beside | {"devices"})
    text = json.dumps(before, sort_keys=True, separators=(",", ":"))
    assert spec_hash(spec) == hashlib.sha256(text.encode()).hexdigest()


def test_a_job_waits_for_its_inspections(house: House) -> None:
    model, dataset = house.register("models", architecture=TEACHER), house.register("datasets")
    spec = {"teacher": model["id"], "student": STUDENT, "transfer_set": dataset["id"]}
    job = house.client.post("/v1/jobs", json=spec).json()
    assert (job["blocked_by"], job["queue_position"]) == ("inspection", None)
    house.inspect(ModelInspection(parameters=67))
    assert house.client.get(f"/v1/jobs/{job['id']}").json()["blocked_by"] == "inspection"
    house.inspect(DatasetInspection(rows=4))
    assert house.client.get(f"/v1/jobs/{job['id']}").json()["queue_position"] == 1


def test_an_ensemble_is_checked_member_by_member(house: House) -> None:
    spec = house.ready()
    other = house.register("models", architecture={**TEACHER, "classes": 4})["id"]
    house.inspect(ModelInspection(parameters=76))
    missing = "mdl_" + "0" * 32
    members = [{"model": spec["teacher"]}, {"model": other, "weight": 2}, {"model": missing}]
    answer = house.client.post("/v1/jobs", json={**spec, "teacher": {"members": members}})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/teacher/members/2/model", "detail": f"there is no model {missing}"}
    ]
    found = house.client.post("/v1/jobs/validate", json={**spec, "teacher": {"members": members[:2]}}).json()
    assert [error["pointer"] for error in found["errors"]] == ["/teacher/members/1/model"]
    assert "4 classes apart and the student 3" in found["errors"][0]["detail"]
    twice = house.client.post("/v1/jobs/validate", json={**spec, "teacher": {"members": [members[0]] * 2}}).json()
    assert twice["errors"][0]["pointer"] == "/teacher/members"
    assert "named twice" in twice["errors"][0]["detail"]


def test_jobs_are_found_by_any_of_their_teachers(house: House) -> None:
    spec = house.ready()
    other = house.register("models", architecture=TEACHER)["id"]
    house.inspect(ModelInspection(parameters=67))
    both = {"members": [{"model": spec["teacher"]}, {"model": other}]}
    job = house.client.post("/v1/jobs", json={**spec, "teacher": both}).json()["id"]
    for teacher in (spec["teacher"], other):
        listed = house.client.get("/v1/jobs", params={"teacher": teacher}).json()["data"]
        assert [found["id"] for found in listed] == [job]
    assert house.client.delete(f"/v1/models/{other}").status_code == 409


def test_a_model_is_made_by_a_job(house: House) -> None:
    spec = house.ready()
    job = house.client.post("/v1/jobs", json=spec).json()["id"]
    model = house.client.post("/v1/models", json={"job": job, "name": "assistant"}).json()
    assert (model["state"], model["file"], model["job"]) == ("awaited", None, job)
    assert model["architecture"]["hidden"] == STUDENT["architecture"]["hidden"]
    fed = house.client.post("/v1/jobs", json={**spec, "teacher": model["id"], "student": {"model": model["id"]}}).json()
    assert fed["blocked_by"] == "job"
    assert house.client.post(f"/v1/jobs/{job}/cancel").status_code == 202
    found = house.client.get(f"/v1/models/{model['id']}").json()
    assert found["state"] == "rejected"
    assert "that was to make it is cancelled" in found["inspection"]["problems"][0]["detail"]
    late = house.client.post("/v1/models", json={"job": job})
    assert late.status_code == 422
    assert late.json()["errors"] == [{"pointer": "/job", "detail": f"the job {job} is cancelled: it has no student"}]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "made of either a file or a job"),
        ({"job": "job_" + "0" * 32}, "there is no job"),
        ({"job": "job_" + "0" * 32, "key_map": {}}, "leave architecture, key_map and class_names out"),
        ({"file": "file_" + "0" * 32}, "architecture of the file's weights is missing"),
    ],
)
@ON_SQLITE
def test_a_model_needs_one_origin(house: House, body: dict[str, Any], text: str) -> None:
    answer = house.client.post("/v1/models", json=body)
    assert answer.status_code == 422
    assert text in answer.text


def test_a_job_fails_with_its_inspection(house: House) -> None:
    model, dataset = house.register("models", architecture=TEACHER), house.register("datasets")
    spec = {"teacher": model["id"], "student": STUDENT, "transfer_set": dataset["id"]}
    job = house.client.post("/v1/jobs", json=spec).json()
    house.inspect(ModelInspection(problems=[Problem(detail="layers.0.weight is missing")]))
    failed = house.client.get(f"/v1/jobs/{job['id']}").json()
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "invalid_weights")
    assert "inspection" in failed["failure"]["help"]
    assert "layers.0.weight is missing" in failed["failure"]["detail"]
    assert house.client.post("/v1/jobs", json=spec).status_code == 422


def test_cancelling_is_safe_to_repeat(house: House) -> None:
    job = house.submit()
    for _ in range(3):
        answer = house.client.post(f"/v1/jobs/{job['id']}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


def test_a_waiting_job_is_paused_and_resumed(house: House) -> None:
    path = f"/v1/jobs/{house.submit()['id']}"
    for verb, state, place in (("pause", "paused", None), ("resume", "queued", 1)):
        for _ in range(2):  # safe to repeat
            answer = house.client.post(f"{path}/{verb}")
            assert (answer.status_code, answer.json()["state"]) == (202, state)
            assert answer.json()["queue_position"] == place
    house.client.post(f"{path}/cancel")
    for verb in ("pause", "resume"):
        refused = house.client.post(f"{path}/{verb}")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert "the job is cancelled" in refused.json()["detail"]
        assert house.client.post(f"/v1/jobs/job_0/{verb}").status_code == 404


def test_a_job_says_when_it_expires(house: House) -> None:
    job = house.submit(max_pending=60, max_runtime=30)
    waits = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["created_at"])
    assert 59 < waits.total_seconds() < 61
    assert house.client.post(f"/v1/jobs/{job['id']}/pause").json()["expires_at"] is None
    assert house.submit()["expires_at"] is None


def test_a_job_has_one_retry(house: House) -> None:
    job = house.submit(name="first", labels={"team": "a"}, seed=7)
    path = f"/v1/jobs/{job['id']}"
    early = house.client.post(f"{path}/retry")
    assert early.status_code == 409
    assert "the job is queued" in early.json()["detail"]
    house.client.post(f"{path}/cancel")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: house.client.post(f"{path}/retry"), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    retry = answers[0].json()
    assert (retry["retry_of"], retry["state"], retry["attempt"]) == (job["id"], "queued", 0)
    assert (retry["spec"], retry["name"]) == (job["spec"], "first")
    house.client.post(f"/v1/jobs/{retry['id']}/cancel")
    assert house.client.post(f"{path}/retry").json()["id"] == retry["id"]
    second = house.client.post(f"/v1/jobs/{retry['id']}/retry").json()
    assert second["retry_of"] == retry["id"]
    assert house.client.delete(f"/v1/jobs/{retry['id']}").status_code == 204
    assert house.client.get(f"/v1/jobs/{second['id']}").json()["retry_of"] is None
    assert house.client.post("/v1/jobs/job_0/retry").status_code == 404


def test_a_finished_job_cannot_be_cancelled_but_deleted(house: House, tmp_path: Path) -> None:
    house.submit()
    done = house.finish({"student": b"weights"}, tmp_path)
    assert house.client.post(f"/v1/jobs/{done}/cancel").status_code == 409
    assert "the job is succeeded" in house.client.post(f"/v1/jobs/{done}/retry").json()["detail"]
    assert house.client.delete(f"/v1/jobs/{done}").status_code == 204
    assert house.client.get(f"/v1/jobs/{done}/artifacts").status_code == 404


def test_a_live_job_is_not_deleted_nor_what_it_uses(house: House) -> None:
    job = house.submit()
    assert house.client.delete(f"/v1/jobs/{job['id']}").status_code == 409
    for path in (f"models/{job['spec']['teacher']}", f"datasets/{job['spec']['transfer_set']}"):
        answer = house.client.delete(f"/v1/{path}")
        assert answer.status_code == 409
        assert job["id"] in answer.json()["detail"]


def test_a_change_honours_if_match(house: House) -> None:
    path = f"/v1/jobs/{house.submit()['id']}"
    tag = house.client.get(path).headers["etag"]
    changed = house.client.patch(path, json={"priority": 7, "labels": {"a": "b"}}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["priority"], changed.json()["labels"]) == (200, 7, {"a": "b"})
    stale = house.client.patch(path, json={"priority": 8}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert house.client.patch(path, json={"priority": 8}, headers={"If-Match": "x"}).status_code == 400


@pytest.mark.parametrize("field", ["state", "tenant_id", "attempt", "spec"])
@ON_SQLITE
def test_what_is_not_for_users_cannot_be_patched(house: House, field: str) -> None:
    answer = house.client.patch(f"/v1/jobs/{house.submit()['id']}", json={field: "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"


def test_lists_page_stably_and_filter(house: House) -> None:
    spec = house.ready()
    made = [
        house.client.post("/v1/jobs", json={**spec, "labels": {"n": str(number % 2)}}).json()["id"]
        for number in range(5)
    ]
    first = house.client.get("/v1/jobs", params={"limit": 2}).json()
    house.client.post("/v1/jobs", json=spec)  # comes in between and disturbs nothing
    second = house.client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = house.client.get("/v1/jobs", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    assert [job["id"] for page in (first, second, third) for job in page["data"]] == made[::-1]
    assert (third["has_more"], third["next_cursor"]) == (False, None)
    odd = house.client.get("/v1/jobs", params={"label": "n:1", "state": ["queued", "running"]}).json()
    assert {job["id"] for job in odd["data"]} == {made[1], made[3]}
    assert house.client.get("/v1/jobs", params={"teacher": "mdl_" + "0" * 32}).json()["data"] == []
    assert house.client.get("/v1/jobs", params={"cursor": "ä"}).status_code == 400


@pytest.mark.owasp(6)
def test_one_key_is_one_job(house: House) -> None:
    spec = house.ready()
    headers = {"Idempotency-Key": "once"}

    def send(_: int) -> tuple[int, str]:
        answer = house.client.post("/v1/jobs", json=spec, headers=headers)
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(10) as threads:
        answers = set(threads.map(send, range(50)))
    assert len(answers) == 1
    assert answers.pop()[0] == 201
    assert len(house.client.get("/v1/jobs").json()["data"]) == 1
    other = house.client.post("/v1/jobs", json={**spec, "seed": 1}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refused_request_does_not_use_up_its_key(house: House) -> None:
    spec, headers = house.ready(), {"Idempotency-Key": "again"}
    missing = {**spec, "teacher": "mdl_" + "0" * 32}
    assert house.client.post("/v1/jobs", json=missing, headers=headers).status_code == 422
    assert house.client.post("/v1/jobs", json=spec, headers=headers).status_code == 201


def test_submitting_needs_no_broker(house: House) -> None:
    away = house.settings.model_copy(update={"broker_url": "redis+socket:///nowhere/broker.sock"})
    spec = house.ready()
    with running(away) as url, httpx2.Client(base_url=url) as client:
        assert client.post("/v1/jobs", json=spec).status_code == 201
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert not ready.json()["parts"]["broker"]["ok"]
    assert ready.json()["parts"]["database"]["ok"]
