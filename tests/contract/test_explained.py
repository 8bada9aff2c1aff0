"""Every code that a user can meet says what to do; nothing that is explained is made up."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stillhouse
from app.contract import errors, explained, job_file
from app.contract.states import BlockedBy, FailureCode, RejectionCode, StopReason
from app.contract.webhooks import DeliveryError, DisabledBy
from stillhouse.commands import following
from stillhouse.errors import ServiceError, StillhouseError

ROOT = Path(__file__).parents[2]


def tree(root: type[Exception]) -> Iterator[type[Exception]]:
    for branch in root.__subclasses__():
        yield branch
        yield from tree(branch)


def raised_by_the_client() -> set[str]:
    for module in pkgutil.walk_packages(stillhouse.__path__, "stillhouse."):
        if module.name != "stillhouse.embedded.launcher":  # runs when imported as what it is
            importlib.import_module(module.name)
    concrete = [
        kind for kind in tree(StillhouseError) if not kind.__subclasses__() or kind.__module__ != "stillhouse.errors"
    ]
    answers = {kind.__name__ for kind in tree(ServiceError) if kind.code in explained.PROBLEMS.codes}
    return {re.sub(r"\[.*", "", kind.__name__) for kind in concrete} - answers


def exit_statuses() -> set[str]:
    engine = {f"engine-{value}" for name, value in vars(job_file).items() if name.startswith("EXIT_")}
    return engine | {"stillhouse-0", "stillhouse-1", "stillhouse-2", f"stillhouse-{following.DETACHED}", "service-1"}


@pytest.mark.parametrize(
    ("section", "met"),
    [
        (explained.PROBLEMS, {errors.StillhouseError.code, *(kind.code for kind in tree(errors.StillhouseError))}),
        (explained.FAILURES, set(FailureCode)),
        (explained.WAITS, set(BlockedBy)),
        (explained.STOPS, set(StopReason)),
        (explained.REJECTIONS, set(RejectionCode)),
        (explained.DELIVERIES, set(DeliveryError)),
        (explained.DISABLED, set(DisabledBy)),
        (explained.CLIENT, raised_by_the_client()),
        (explained.EXITS, exit_statuses()),
    ],
    ids=lambda given: getattr(given, "title", ""),
)
def test_every_code_is_explained_and_no_other(section: explained.Section, met: set[str]) -> None:
    assert set(section.codes) == met


@pytest.mark.parametrize("section", explained.SECTIONS, ids=lambda section: section.title)
def test_explanations_are_sentences_in_the_words_of_the_service(section: explained.Section) -> None:
    from app.settings import Settings

    settings = {f"STILLHOUSE_{name.upper()}" for name in Settings.model_fields} | {
        "STILLHOUSE_URL",
        "STILLHOUSE_API_KEY",
    }
    for code, entry in section.codes.items():
        for text in (entry.meaning, entry.remedy):
            assert text.endswith("."), code
            assert "|" not in text, code  # it stands in a table
            assert set(re.findall(r"STILLHOUSE_[A-Z_]+", text)) <= settings, code
            for page in re.findall(r"`((?:docs|examples)/[^`]+)`", text):
                assert (ROOT / page).is_file(), (code, page)
