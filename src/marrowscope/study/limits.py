"""Every bound of the reader, in one place. A study is input from strangers: nothing is unbounded.

Together they keep peak memory under 300 MB above idle for any hostile file
(``python -m benchmarks fuzz_study`` measures it).
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024

MAX_FILES: Final = 50_000
"""Files looked at in one study; a whole-body MR with dynamics has about 10,000."""

MAX_DEPTH: Final = 32
"""Folder nesting; media exported by PACS nest at most 6 deep."""

MAX_FILE_BYTES: Final = 1024 * MIB
"""Largest single file; an enhanced MR of 2,000 frames 512x512 is about 1 GiB."""

MAX_HEADER_BYTES: Final = 24 * MIB
"""Bytes before the pixel data; 2,000 frames of functional groups are about 6 MiB."""

MAX_SEQUENCE_DEPTH: Final = 16
"""Nesting of sequences; structured reports nest at most about 10 deep, images 4."""

MAX_ELEMENTS: Final = 150_000
"""Data elements in one header; 2,000 enhanced frames hold about 120,000."""

MAX_STUDY_ELEMENTS: Final = 250_000
"""Data elements in all multi-frame headers of one study; twenty enhanced series of 40 frames hold about 50,000."""

MAX_STUDY_HEADER_BYTES: Final = 192 * MIB
"""What is kept of all headers of one study; ten thousand classic ones keep about 60 MiB."""

MAX_ITEMS: Final = 50_000
"""Sequence items in one header; 2,000 enhanced frames hold about 24,000."""

MAX_INFLATED_BYTES: Final = 96 * MIB
"""A deflated data set or compressed NIfTI header inflates to no more than this."""

MAX_ROWS: Final = 8192
"""Rows or columns of one frame; radiographs reach 4,300."""

MAX_FRAME_PIXELS: Final = 5_000_000
"""Pixels of one frame; MR and CT matrices end at 2048x2048, 4.2 million. Radiographs are larger, and never decoded."""

MAX_FRAMES: Final = 20_000
"""Frames declared by one multi-frame file."""

MAX_VOLUME_BYTES: Final = 160 * MIB
"""One decoded volume in its stored type; 512x512x256 at 16 bits is 128 MiB."""

MAX_VOXEL: Final = 1e15
"""Largest voxel of a NIfTI image; its square and the sum of a volume's squares still fit into 32 bits."""

MIN_STEP_MM: Final = 0.01
"""Distance between voxels; in-vivo MR and CT end at about 0.05 mm."""

MAX_STEP_MM: Final = 100.0
"""Distance between voxels; localizers and maps reach 20 mm."""

MAX_PLACE_MM: Final = 100_000.0
"""Distance of the first voxel from the scanner's origin; a table moves two metres."""

MAX_RESCALE: Final = 1e9
"""Size of a rescale slope or intercept; Philips' scale slopes reach 1e4."""

MAX_PIXEL_RATIO: Final = 60.0
"""A volume (at 4 bytes a voxel) over the size of its files; plain 16 bit is 2, lossy JPEG of 8 bit up to 40."""

PIXEL_RATIO_FLOOR_BYTES: Final = 32 * MIB
"""Volumes smaller than this may shrink more: blank ones do."""

MAX_STUDY_BYTES: Final = 640 * MIB
"""All decoded volumes of one study; the most useful series are read first, later ones are refused."""

MAX_TEXT: Final = 256
"""Characters kept of any header text that is shown."""

MAX_ZIP_ENTRIES: Final = 50_000
"""Members of one archive."""

MAX_ZIP_RATIO: Final = 50.0
"""Inflated over stored size of one archive member; MR pixels shrink 2 to 6 times."""

ZIP_RATIO_FLOOR_BYTES: Final = 1 * MIB
"""Members smaller than this may shrink more: blank slices do."""

MAX_ZIP_BYTES: Final = 4096 * MIB
"""All inflated members of one archive together (on disk, never in memory)."""

MAX_ZIP_DIRECTORY_BYTES: Final = 16 * MIB
"""An archive's table of contents: 50,000 members of 100 to 300 bytes each."""

MAX_ZIP_TOTAL_RATIO: Final = 20.0
"""All inflated members together over the archive's size, above a floor: overlapping members multiply."""

ZIP_TOTAL_FLOOR_BYTES: Final = 64 * MIB

MAX_NIFTI_BYTES: Final = 640 * MIB
"""Decoded bytes of one NIfTI volume."""
