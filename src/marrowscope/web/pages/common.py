"""Types that every page's signature uses."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Form, Path

from marrowscope.web.desk import Desk, desk_of, named_reader, reader_of

OnDesk = Annotated[Desk, Depends(desk_of)]
Reader = Annotated[str, Depends(reader_of)]
NamedReader = Annotated[str, Depends(named_reader)]
StudyId = Annotated[str, Path(pattern="^[0-9a-f]{12}$")]
Revision = Annotated[int, Path(ge=1, le=10**6)]
Text = Annotated[str, Form(max_length=4000)]
