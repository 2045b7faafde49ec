"""The data folder: where each study's files lie. Names are ids, never a patient's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{12}")

SEQUENCE_WORDS = re.compile(
    r"stir|tirm|t1|t2|pd|fs|fatsat|spair|dixon|water|fat|dess|adc|dwi|tse|cor|sag|tra|ax|fluid|flair|map|in_?phase"
    r"|opp_?phase|knee|si_?joint|hip|spine|foot|hand|left|right",
    re.IGNORECASE,
)
"""Words of an uploaded file's name that are kept: they help to tell its role and name nobody."""

SUFFIXES = (".nii.gz", ".nii", ".zip", ".dcm", ".ima", ".json")


@dataclass(frozen=True)
class DataFolder:
    """The layout below ``--data``."""

    root: Path

    @property
    def queue(self) -> Path:
        """The job queue's file."""
        return self.root / "jobs.sqlite"

    @property
    def worker_log(self) -> Path:
        """Where worker processes write their warnings."""
        return self.root / "worker.log"

    @property
    def incoming(self) -> Path:
        """Uploads on their way in."""
        return self.root / "incoming"

    def study(self, study_id: str) -> StudyFolder:
        """A study's own folder.

        Raises:
            ValueError: not an id this app gave.
        """
        if not _ID.fullmatch(study_id):
            raise ValueError("not a study id")
        return StudyFolder(self.root / "studies" / study_id)

    def make(self) -> None:
        """Create the folder, readable by its owner alone."""
        for path in (self.root, self.incoming, self.root / "studies"):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)


@dataclass(frozen=True)
class StudyFolder:
    """One study's files."""

    root: Path

    @property
    def corrected(self) -> Path:
        """Corrected SEGs as they came in, kept beside the edits they became."""
        return self.root / "corrected"

    @property
    def upload(self) -> Path:
        """What was dropped: the input."""
        return self.root / "upload"

    @property
    def bones(self) -> Path | None:
        """The mask of the marrow to search, when one was given."""
        folder = self.root / "bones"
        return next((p for p in sorted(folder.iterdir()) if p.suffix != ".yaml"), None) if folder.is_dir() else None

    @property
    def objects(self) -> Path:
        """The detection's result, so that an edit need not run it again."""
        return self.root / "objects"

    @property
    def viewer(self) -> Path:
        """Volumes as the viewer shows them."""
        return self.root / "viewer"

    def revision(self, number: int) -> Path:
        """The results folder of a revision."""
        return self.root / "revisions" / f"{number:05d}"

    @property
    def source(self) -> Path:
        """What ``read_study`` is given: the folder, or the archive when that is all there is."""
        files = [p for p in self.upload.iterdir() if p.is_file()] if self.upload.is_dir() else []
        return files[0] if len(files) == 1 and files[0].suffix == ".zip" else self.upload


def safe_name(name: str, number: int) -> str:
    """A name for an uploaded file that keeps its kind and sequence words and nothing else.

    Args:
        name: what the browser called it; may hold anything.
        number: makes it unique in its upload.
    """
    base = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    suffix = next((s for s in SUFFIXES if base.endswith(s)), "")
    words = dict.fromkeys(SEQUENCE_WORDS.findall(base.removesuffix(suffix)))
    return "_".join([f"{number:05d}", *words]) + suffix
