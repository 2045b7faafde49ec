"""Write the published JSON Schemas beside this file; a test holds them current."""

from __future__ import annotations

import json
from pathlib import Path

from marrowscope.assessment import json_schema

text = json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"
(Path(__file__).parent / "assessment.schema.json").write_text(text, encoding="utf-8")
