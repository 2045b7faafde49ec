"""What each imaging site is made of: bones, regions, codes and the scores that apply, as data files."""

from __future__ import annotations

from marrowscope.sites.load import CodedTerm, Part, Site, load_site, site_names

__all__ = ["CodedTerm", "Part", "Site", "load_site", "site_names"]
