"""``marrowscope export`` and ``marrowscope release``: results out, in the standards others read."""

from __future__ import annotations

import ipaddress
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from marrowscope.errors import UsageError

if TYPE_CHECKING:
    from marrowscope.exchange.pacs import Archive

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="A results folder.")]


def export(
    results: Folder,
    to: Annotated[str, typer.Option("--to", help="Comma-separated: seg, sr, pdf, ko, pr, fhir.")] = "seg,sr",
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the files.")] = Path("exported"),
) -> None:
    """Write DICOM objects and FHIR of a result, also after edits and release."""
    from marrowscope.exporting import export_results

    for path in export_results(results, tuple(k.strip() for k in to.split(",") if k.strip()), out):
        typer.echo(str(path))


def release(
    results: Folder,
    by: Annotated[str, typer.Option("--by", help="Name of the clinician who signs.")],
) -> None:
    """Sign a result: from then on differential, checks, report and leaflet may leave."""
    from marrowscope.results import release as sign

    signed = sign(results, by, datetime.now(UTC).isoformat(timespec="seconds"))
    typer.echo(f"{results.name}: {signed.status.value}")


pacs = typer.Typer(help="Find, get and send studies at a peer named in the peers file.", no_args_is_help=True)

PeerName = Annotated[str, typer.Argument(metavar="PEER", help="A name in the peers file.")]
PeersFile = Annotated[Path | None, typer.Option("--peers", help="Peers file (TOML); see docs/exchange.md.")]


def _archive(peer: str, file: Path | None) -> Archive:
    from marrowscope.exchange.pacs import archive
    from marrowscope.exchange.peers import read_peers

    peers = read_peers(file)
    return archive(peers.named(peer), peers.ae_title)


@pacs.command()
def find(
    peer: PeerName,
    query: Annotated[list[str] | None, typer.Argument(metavar="KEYWORD=VALUE", help="e.g. PatientID=123")] = None,
    peers: PeersFile = None,
) -> None:
    """List studies: UID, date, modalities, instances, description."""
    wanted = dict(pair.partition("=")[::2] for pair in query or [])
    for s in _archive(peer, peers).find(wanted):
        typer.echo("\t".join((s.study_uid, s.date, ",".join(s.modalities), str(s.instances or ""), s.description)))


@pacs.command()
def get(
    peer: PeerName,
    study_uid: str,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the study.")],
    peers: PeersFile = None,
) -> None:
    """Fetch one study into a folder."""
    count = _archive(peer, peers).get(study_uid, out)
    typer.echo(f"{count} instances in {out}")


@pacs.command()
def send(
    peer: PeerName,
    results: Folder,
    to: Annotated[str, typer.Option("--to", help="Comma-separated: seg, sr, pdf, ko, pr.")] = "seg,sr",
    peers: PeersFile = None,
) -> None:
    """Send a result's DICOM objects; conclusions only after a release."""
    import pydicom

    from marrowscope.exchange.quiet import quiet
    from marrowscope.exporting import check_kinds
    from marrowscope.results import read_results

    kinds = tuple(k.strip() for k in to.split(",") if k.strip())
    if "fhir" in kinds:
        raise UsageError("fhir asked of a PACS", "DICOM kinds", "marrowscope export RESULTS --to fhir")
    check_kinds(read_results(results), kinds)
    files = [results / "dicom" / f"{kind}.dcm" for kind in kinds]
    with quiet():
        objects = [pydicom.dcmread(f) for f in files if f.is_file()]
    typer.echo(f"{_archive(peer, peers).send(objects)} objects stored at {peer}")


def listen(
    data: Annotated[Path, typer.Option("--data", help="Folder for what is received and made.")],
    allow: Annotated[list[str], typer.Option("--allow", metavar="AET=ADDRESS", help="A sender; repeat for more.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 11112,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    ae_title: Annotated[str, typer.Option(help="Our AE title.")] = "MARROWSCOPE",
    quiet_seconds: Annotated[
        float, typer.Option(min=0, help="A study is whole this long after its last image.")
    ] = 60.0,
    quota_gb: Annotated[float, typer.Option(min=0, help="Most that may wait in the spool.")] = 50.0,
    site: Annotated[str, typer.Option(help="Site of studies that do not tell theirs.")] = "",
    to: Annotated[str, typer.Option(help="Peer that draft SEG and SR go back to.")] = "",
    peers: PeersFile = None,
) -> None:
    """Receive studies, assess each, send draft measurements back. Conclusions wait for a release."""
    from marrowscope.commands.serve import check_port
    from marrowscope.exchange.peers import read_peers
    from marrowscope.listener.scp import Door
    from marrowscope.listener.service import Listener, Settings
    from marrowscope.results import check_place

    senders = dict(pair.partition("=")[::2] for pair in allow)
    if not all(map(_is_address, senders.values())):
        raise UsageError(
            f"--allow {' '.join(allow)}", "AET=ADDRESS, an IP address each", "e.g. --allow SCANNER=10.0.0.5"
        )
    check_place(data / "spool")
    check_port(host, port)
    if to:
        read_peers(peers).named(to)
    file = str(peers.resolve()) if peers else ""
    settings = Settings(data.resolve(), quiet_seconds, int(quota_gb * 1024**3), site, file, to)
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    Listener(settings, Door(ae_title, host, port, senders)).serve(
        stop, ready=lambda at: typer.echo(f"listening as {ae_title} on {host}:{at}")
    )


def _is_address(text: str) -> bool:
    """Whether a sender's address is one that its connection can be compared with (``*``: any); a name never is."""
    if text == "*":
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
