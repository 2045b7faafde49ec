"""Knowledge pages; filled when the knowledge room's pages are."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
