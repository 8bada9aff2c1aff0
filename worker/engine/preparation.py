"""How teacher and student of a job see its transfer set: each through a preprocessing of its own. A = words."""

from dataclasses import replace
from itertools import chain

import torch

from app.contract.architectures import Family
from app.contract.job_file import JobFile
from app.contract.preprocessing import Image, Preprocessing, Words
from app.contract.states import FailureCode
from worker.engine import build
from worker.engine.encoding import Reading, WordReading
from worker.engine.failures import EngineFailure, Refused
from worker.engine.inputs import TransferSet, readers
from worker.engine.preprocessing import words
from worker.engine.preprocessing.image import Pixels
from worker.engine.samples import TextSamples, WordSamples
from worker.engine.sight import Sight
from worker.engine.units import Wordwise


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
        self.transfer_set, self.unseen = self._narrowed()
        """The set, in which words take part that every network gets to see; how many of them do not."""

    def _narrowed(self) -> tuple[TransferSet, int]:
        units = self._transfer_set.units
        if not isinstance(units, Wordwise):
            return self._transfer_set, 0
        seen_A = torch.stack([sight.seen() for _, _, sight in self._made]).all(0)
        narrowed = replace(self._transfer_set, units=units.narrowed(seen_A))
        for part, rows in narrowed.rows.items():
            if len(rows) and not len(narrowed.usable_rows[part]):
                text = f"No word of the {part} part is seen by teacher and student alike: raise max_tokens."
                raise EngineFailure(FailureCode.INVALID_SPEC, text)
        return narrowed, int((~seen_A).sum())

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
        reads = WordReading if isinstance(samples, WordSamples) else Reading
        reading = reads(encoder, self._transfer_set.device)
        return Sight(samples, reading, reading.of_set(samples))
