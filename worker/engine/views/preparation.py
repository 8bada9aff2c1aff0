"""How teacher and student of a job see its transfer set: each through a preprocessing of its own. A = words."""

from dataclasses import replace
from itertools import chain

import torch

from app.contract.architectures import Family
from app.contract.job_file import JobFile
from app.contract.preprocessing import Image, Preprocessing, Words
from app.contract.states import FailureCode
from worker.engine import build
from worker.engine.data import next_tokens
from worker.engine.data.samples import TextSamples, WordSamples
from worker.engine.data.units import Wordwise
from worker.engine.failures import EngineFailure, Refused
from worker.engine.inputs import TransferSet, readers
from worker.engine.preprocessing import words
from worker.engine.preprocessing.image import Pixels
from worker.engine.views.encoding import reading_of
from worker.engine.views.sight import Sight


class Preparation:
    """Everybody's sights. Raises EngineFailure where a preprocessing cannot be used."""

    def __init__(self, job: JobFile, transfer_set: TransferSet) -> None:
        self._transfer_set = transfer_set
        *teachers, (_, student, students) = readers(job)
        self._made: list[tuple[Preprocessing | None, int | None, Sight]] = []
        self.of_student = self._whole(students, student)
        """The student's preprocessing with what it learnt from the training part: all that a user of it needs."""
        self.teacher_sights = [self._sight(who, teacher, settings) for who, teacher, settings in teachers]
        self.student_sight = self._sight("student", student, self.of_student)
        self.transfer_set, self.notices = self._of_tokens(student) if student.predicts_tokens() else self._narrowed()
        """The set as it is taught, and sentences for the user: of words those take part that every network gets to see,
        and where tokens are predicted, each that another follows."""

    def _of_tokens(self, student: Family) -> tuple[TransferSet, list[str]]:
        return next_tokens.predicting(self._transfer_set, self.student_sight, student.classes)

    def _narrowed(self) -> tuple[TransferSet, list[str]]:
        units = self._transfer_set.units
        if not isinstance(units, Wordwise):
            return self._transfer_set, []
        seen_A = torch.stack([sight.seen() for _, _, sight in self._made]).all(0)
        narrowed = replace(self._transfer_set, units=units.narrowed(seen_A))
        for part, rows in narrowed.rows.items():
            if len(rows) and not len(narrowed.usable_rows[part]):
                text = f"No word of the {part} part is seen by teacher and student alike: raise max_tokens."
                raise EngineFailure(FailureCode.INVALID_SPEC, text)
        return narrowed, _unseen(int((~seen_A).sum()), len(units))

    def _whole(self, settings: Preprocessing | None, architecture: Family) -> Preprocessing | None:
        embedded, samples = architecture.embeds(), self._transfer_set.samples
        if not isinstance(settings, Words) or settings.whole() or embedded is None:
            return settings
        assert isinstance(samples, TextSamples | WordSamples)
        texts = samples.take(self._transfer_set.rows["train"])
        single = chain.from_iterable([text] if isinstance(text, str) else text for text in texts)
        return words.learnt(settings, single, embedded)

    def _sight(self, who: str, architecture: Family, settings: Preprocessing | None) -> Sight:
        """Return a network's sight; those that see alike share one, and what it keeps in memory."""
        for known, embedded, sight in self._made:
            if (known, embedded) == (settings, architecture.embeds()):
                return sight
        made = self._new_sight(who, architecture, settings)
        self._made.append((settings, architecture.embeds(), made))
        return made

    def _new_sight(self, who: str, architecture: Family, settings: Preprocessing | None) -> Sight:
        samples = self._transfer_set.samples
        if samples.kind == "image":
            assert settings is None or isinstance(settings, Image)
            return Sight(samples, Pixels(settings or Image()))
        if settings is None or not isinstance(samples, TextSamples | WordSamples):
            return Sight(samples)
        try:
            encoder = build.encoder(settings)
        except Refused as refusal:
            raise EngineFailure(FailureCode.INVALID_SPEC, f"The {who} cannot read: {refusal}") from refusal
        if (embedded := architecture.embeds()) is not None and encoder.size > embedded:
            text = f"The {who} cannot read: its preprocessing has {encoder.size:,} tokens, and it embeds {embedded:,}."
            raise EngineFailure(FailureCode.INVALID_SPEC, text)
        reading = reading_of(architecture)(encoder, self._transfer_set.device)
        return Sight(samples, reading, reading.of_set(samples))


def _unseen(words: int, of: int) -> list[str]:
    text = (
        f"{words:,} of {of:,} words take no part, since a teacher or the student does not see them: they lie beyond "
        "its max_tokens, or its tokenizer makes nothing of them."
    )
    return [text] if words else []
