"""Views: drawn again alike, seen alike by teacher and student, and never a cached target of another view."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from app.contract.architectures import Mlp
from app.contract.augmentations import (
    AUGMENTATIONS,
    Augmentation,
    AugmentationStep,
    Colour,
    Crop,
    Cutmix,
    Flip,
    Mixup,
    Munge,
    Noise,
)
from app.contract.events import Run
from app.contract.spec import JobSpec
from app.contract.views import Fixed, Fresh
from tests.engine.folders import blobs, make, read_job
from worker.engine.bench import Bench
from worker.engine.data.samples import ArraySamples
from worker.engine.failures import EngineFailure
from worker.engine.views.augmented import Views, labelled

LayOut = Callable[[Path], Bench]
EXAMPLES: dict[type[Augmentation], AugmentationStep] = {
    Noise: Noise(std=3.0),
    Crop: Crop(padding=2),
    Flip: Flip(),
    Colour: Colour(),
    Mixup: Mixup(alpha=1.0),
    Cutmix: Cutmix(),
    Munge: Munge(),
}
IMAGES = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (20, 3, 8, 10)).astype(np.float32))


def views(*steps: AugmentationStep, wanted: Fresh | Fixed | None = None, samples: torch.Tensor = IMAGES) -> Views:
    return Views(ArraySamples(samples), steps, wanted or Fresh(), 7, torch.arange(12))


def seen(made: Views, rows: list[int], number: int = 1) -> torch.Tensor:
    raw = made.look(torch.tensor(rows), number).raw
    assert raw is not None
    return raw


def test_every_augmentation_is_tried_below() -> None:
    assert set(EXAMPLES) == {step for step in AUGMENTATIONS if "text" not in step.takes}  # test_text_views.py has those


@pytest.mark.parametrize("step", EXAMPLES.values(), ids=lambda step: step.kind)
def test_a_view_is_a_function_of_seed_sample_and_number(step: AugmentationStep) -> None:
    made = views(step)
    whole = seen(made, list(range(20)))
    assert torch.equal(seen(made, [7, 3]), whole[[7, 3]])
    assert not torch.equal(seen(made, list(range(20)), number=2), whole)
    assert whole.shape == IMAGES.shape
    assert torch.isfinite(whole).all()
    assert not torch.equal(whole, IMAGES)
    assert torch.equal(IMAGES, views(step)._samples.take(torch.arange(20)))  # the set itself is untouched


def test_without_steps_every_view_is_the_sample_as_it_is() -> None:
    made = views()
    assert made.number(5) == 0
    assert made.look(torch.tensor([1]), made.number(5)).raw is None


@pytest.mark.parametrize(("wanted", "numbers"), [(Fresh(), [1, 2, 3, 4, 5]), (Fixed(count=2), [1, 2, 1, 2, 1])])
def test_an_epoch_sees_the_view_that_is_due(wanted: Fresh | Fixed, numbers: list[int]) -> None:
    assert [views(Flip(), wanted=wanted).number(epoch) for epoch in range(5)] == numbers


def test_crops_are_windows_of_the_padded_image() -> None:
    padded = torch.nn.functional.pad(IMAGES[4], (2, 2, 2, 2))
    windows = [padded[:, top : top + 8, left : left + 10] for top in range(5) for left in range(5)]
    found = [seen(views(Crop(padding=2)), [4], number)[0] for number in range(1, 60)]
    places = [next(place for place, window in enumerate(windows) if torch.equal(image, window)) for image in found]
    assert len(set(places)) > 15


def test_flips_mirror_about_as_many_as_they_should() -> None:
    found = torch.cat([seen(views(Flip(probability=0.25)), list(range(20)), number) for number in range(1, 21)])
    mirrored = [torch.equal(image, IMAGES[place % 20].flip(2)) for place, image in enumerate(found)]
    kept = [torch.equal(image, IMAGES[place % 20]) for place, image in enumerate(found)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 0.17 < sum(mirrored) / 400 < 0.33


def test_noise_has_the_deviation_asked_for() -> None:
    difference = seen(views(Noise(std=3.0)), list(range(20))) - IMAGES
    assert float(difference.std()) == pytest.approx(3, rel=0.05)
    assert abs(float(difference.mean())) < 0.15


def test_brightness_scales_contrast_keeps_the_mean_and_saturation_the_grey() -> None:
    grey = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    bright = seen(views(Colour(brightness=0.5, contrast=0, saturation=0)), [0])[0] / IMAGES[0]
    torch.testing.assert_close(bright, torch.full_like(bright, bright[0, 0, 0].item()))
    assert 0.5 <= bright[0, 0, 0] <= 1.5
    contrast = seen(views(Colour(brightness=0, contrast=0.5, saturation=0)), [0])[0]
    torch.testing.assert_close((contrast * grey).sum(0).mean(), (IMAGES[0] * grey).sum(0).mean())
    colour = seen(views(Colour(brightness=0, contrast=0, saturation=0.5)), [0])[0]
    torch.testing.assert_close((colour * grey).sum(0), (IMAGES[0] * grey).sum(0))


def test_mixup_blends_inputs_and_labels_alike() -> None:
    made, rows = views(Mixup(alpha=1.0)), torch.arange(20)
    labels_N = torch.arange(20)
    blend = made.blend(rows, 1, labels_N)
    assert blend is not None
    assert set(blend.labels_B.tolist()) <= set(range(12))  # partners are training samples
    share = blend.share_B[:, None, None, None]
    torch.testing.assert_close(seen(made, rows.tolist()), share * IMAGES + (1 - share) * IMAGES[blend.labels_B])


def test_cutmix_shares_are_the_areas() -> None:
    made, rows = views(Cutmix()), torch.arange(20)
    blend = made.blend(rows, 3, torch.arange(20))
    assert blend is not None
    found = seen(made, rows.tolist(), 3)
    own = (found == IMAGES).all(1)
    other = (found == IMAGES[blend.labels_B]).all(1)
    assert (own | other).all()
    different = blend.labels_B != rows
    torch.testing.assert_close(own.float().mean((1, 2))[different], blend.share_B[different])
    assert blend.share_B.std() > 0.1


def test_a_partner_is_seen_under_its_own_draws() -> None:
    made, noisy, rows = views(Noise(std=9.0), Mixup(alpha=1.0)), views(Noise(std=9.0)), torch.arange(20)
    blend = made.blend(rows, 1, torch.arange(20))
    assert blend is not None
    share = blend.share_B[:, None, None, None]
    expected = share * seen(noisy, rows.tolist()) + (1 - share) * seen(noisy, blend.labels_B.tolist())
    torch.testing.assert_close(seen(made, rows.tolist()), expected)


def test_a_mixed_label_counts_where_both_halves_are_known() -> None:
    made = views(Mixup(alpha=1.0))
    labels_N = torch.where(torch.arange(20) % 2 == 0, 1, -1)
    rows = torch.arange(20)
    blend = made.blend(rows, 1, labels_N)
    assert blend is not None
    both = (labels_N >= 0) & (blend.labels_B >= 0)
    assert torch.equal(labelled(labels_N, blend) >= 0, both)
    assert 0 < both.sum() < 10


STEPS: dict[str, dict[str, Any]] = {
    "noise": {"kind": "noise", "std": 0.3},
    "mixup": {"kind": "mixup", "alpha": 1.0},
    "munge": {"kind": "munge"},
}


def augmented(folder: Path, views: dict[str, Any], kind: str = "noise", **training: Any) -> Path:
    spec = {"augmentation": [STEPS[kind]], "views": views, "control": False}
    return make(folder, spec=spec, training=training)


def count_teacher(bench: Bench) -> list[int]:
    looked: list[int] = []
    bench.teachers[0].network.register_forward_hook(lambda _module, inputs, _output: looked.append(len(inputs[0])))
    return looked


@pytest.mark.parametrize(("wanted", "views_seen"), [({"kind": "fresh"}, 4), ({"kind": "fixed", "count": 2}, 2)])
def test_the_teacher_looks_at_each_view_once(
    tmp_path: Path, lay_out: LayOut, wanted: dict[str, Any], views_seen: int
) -> None:
    bench = lay_out(augmented(tmp_path, wanted))
    looked = count_teacher(bench)
    bench.training_run(bench.lessons(Run.STUDENT)[-1]).train()
    training, validation = 108, 12
    assert sum(looked) == views_seen * training + validation


def test_teacher_and_student_see_the_same_view(tmp_path: Path, lay_out: LayOut) -> None:
    bench = lay_out(augmented(tmp_path, {"kind": "fresh"}, "mixup"))
    run = bench.training_run(bench.lessons(Run.STUDENT)[-1])
    taught: list[torch.Tensor] = []
    learnt: list[torch.Tensor] = []
    bench.teachers[0].network.register_forward_hook(lambda _module, inputs, _output: taught.append(inputs[0]))
    run.state.network.register_forward_hook(
        lambda module, inputs, _output: learnt.append(inputs[0]) if module.training else None
    )
    run.train_epoch()
    assert len(taught) == len(learnt) == 7
    assert all(torch.equal(one, other) for one, other in zip(taught, learnt, strict=True))
    plain = bench.transfer_set.samples.take(torch.arange(120))
    assert not any(torch.isin(batch, plain).all() for batch in learnt)


def test_fixed_views_of_other_seeds_are_other_targets(tmp_path: Path, lay_out: LayOut) -> None:
    keys = []
    for seed in (0, 1):
        bench = lay_out(make(tmp_path / str(seed), spec={"augmentation": [STEPS["noise"]], "seed": seed}))
        keys += [bench.targets_key(number) for number in (0, 1, 2)]
    assert len({str(key) for key in keys}) == 5  # the samples as they are have one key for both


@pytest.mark.parametrize("kind", ["noise", "mixup", "munge"])
@pytest.mark.parametrize("wanted", [{"kind": "fresh"}, {"kind": "fixed", "count": 2}])
def test_micro_batches_see_what_the_whole_batch_sees(
    tmp_path: Path, lay_out: LayOut, kind: str, wanted: dict[str, Any]
) -> None:
    labels = blobs(120)[1]
    labels[::3] = -1
    weights = []
    for parts in (1, 4):
        folder = make(
            tmp_path / str(parts),
            student=Mlp(inputs=6, hidden=(4,), classes=3),
            labels=labels,
            spec={
                "augmentation": [STEPS[kind]],
                "views": wanted,
                "objective": [{"kind": "soft_target"}, {"kind": "hard_target"}, {"kind": "annealed_target"}],
            },
            training={"epochs": 2, "accumulation": parts, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
        )
        run = (bench := lay_out(folder)).training_run(bench.lessons(Run.STUDENT)[-1])
        run.train()
        weights.append(run.state.weights())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("step", [{"kind": "crop"}, {"kind": "cutmix"}])
def test_flat_samples_cannot_be_cropped(tmp_path: Path, lay_out: LayOut, step: dict[str, Any]) -> None:
    with pytest.raises(EngineFailure, match=r"takes image samples, and these are array of shape \(6,\)"):
        lay_out(make(tmp_path, spec={"augmentation": [step]}))


def test_saturation_needs_colours() -> None:
    assert "3 channels, not 1" in (Colour().refuses("image", (1, 8, 8)) or "")
    assert Colour(saturation=0).refuses("image", (1, 8, 8)) is None


def test_two_mixing_steps_are_refused(tmp_path: Path) -> None:
    job = read_job(make(tmp_path))
    with pytest.raises(ValidationError, match="only one step may mix samples"):
        JobSpec.model_validate(job.spec.model_dump() | {"augmentation": [{"kind": "mixup"}, {"kind": "cutmix"}]})
