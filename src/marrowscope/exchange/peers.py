"""The peers a user named: one TOML file, read only. Nothing is ever sent to anybody else.

[me]
ae_title = "MARROWSCOPE"

[peers.archive]
kind = "dicomweb"
url = "http://127.0.0.1:8042/dicom-web"
user = "reader"                  # optional
password_env = "ARCHIVE_PASSWORD" # the password itself never stands in a file

[peers.scanner]
kind = "dimse"
host = "10.0.0.5"
port = 104
ae_title = "PACS"
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marrowscope.errors import UsageError

PEERS_VARIABLE = "MARROWSCOPE_PEERS"
DEFAULT_FILE = Path("marrowscope-peers.toml")
DEFAULT_AE_TITLE = "MARROWSCOPE"
LONGEST_AE_TITLE = 16
"""Characters of an AE title (PS3.5, VR AE)."""

LARGEST_PORT = 65535


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb service."""

    name: str
    url: str
    user: str = ""
    password_env: str = ""


@dataclass(frozen=True)
class DimsePeer:
    """A DICOM application entity."""

    name: str
    host: str
    port: int
    ae_title: str


Peer = WebPeer | DimsePeer


@dataclass(frozen=True)
class Peers:
    """The file's content: our own AE title and every peer by name."""

    ae_title: str
    by_name: dict[str, Peer]

    def named(self, name: str) -> Peer:
        """The peer of that name.

        Raises:
            UsageError: no such peer.
        """
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none is named yet"
            raise UsageError(f"peer {name!r}", f"one of the file's peers ({known})", "add it to the peers file")
        return self.by_name[name]


def read_peers(path: Path | None = None) -> Peers:
    """The peers file given, else the one ``MARROWSCOPE_PEERS`` names, else ``marrowscope-peers.toml`` here.

    Raises:
        UsageError: no such file, not TOML, or an entry that lacks a part.
    """
    chosen = path or Path(os.environ.get(PEERS_VARIABLE, DEFAULT_FILE))
    try:
        data = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"no peers file {chosen.name}", "a TOML file of peers", "see docs/exchange.md") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{chosen.name} is not TOML: {error}", "see docs/exchange.md") from error
    peers = {name: _peer(name, entry) for name, entry in data.get("peers", {}).items()}
    return Peers(_ae_title(data.get("me", {}).get("ae_title", DEFAULT_AE_TITLE)), peers)


def _peer(name: str, entry: dict[str, Any]) -> Peer:
    kind = entry.get("kind")
    if kind == "dicomweb" and str(entry.get("url", "")).startswith(("http://", "https://")):
        return WebPeer(name, entry["url"].rstrip("/"), entry.get("user", ""), entry.get("password_env", ""))
    if kind == "dimse" and entry.get("host") and isinstance(entry.get("port"), int):
        if not 0 < entry["port"] <= LARGEST_PORT:
            raise UsageError(f"peer {name}: port {entry['port']}", f"1 to {LARGEST_PORT}")
        return DimsePeer(name, entry["host"], entry["port"], _ae_title(entry.get("ae_title", "")))
    raise UsageError(
        f"peer {name} of kind {kind!r}", "kind 'dicomweb' with url, or 'dimse' with host, port and ae_title"
    )


def _ae_title(text: str) -> str:
    if not 0 < len(text.strip()) <= LONGEST_AE_TITLE or not text.isascii():
        raise UsageError(f"AE title {text!r}", f"1 to {LONGEST_AE_TITLE} ASCII characters")
    return text.strip()
