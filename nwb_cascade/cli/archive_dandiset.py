"""``nwb-cascade archive collect`` and ``upload``: the results as a dandiset."""

from __future__ import annotations

from pathlib import Path

import click

from nwb_cascade.cli.archive_arguments import manifest_argument, out_option
from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFolder
from nwb_cascade.cli.terminal import echo
from nwb_cascade.core.wording import counted


@click.command("collect", cls=Command)
@manifest_argument
@out_option
@click.argument("derived", type=OutputFolder())
@click.option("--copy", is_flag=True, help="Copy files instead of linking to them.")
@click.option("--parquet", is_flag=True, help="Write the table as results.parquet, too.")
@click.option("--report", "pages", type=OutputFolder(), help="Folder for a page per result.")
def collect_command(manifest: Path, out: Path, derived: Path, copy: bool, parquet: bool, pages: Path | None) -> None:
    """Build a dandiset of the results in the folder DERIVED, with a table and an overview; repeat it to add more."""
    from nwb_cascade.archive.collect import collect
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest
    from nwb_cascade.archive.pages import require_pages, write_pages
    from nwb_cascade.cli.progress import progress_bar

    if pages is not None:
        require_pages(derived, pages)
    with progress_bar("Collecting") as progress:
        found = collect(Manifest(manifest), Ledger(out), derived, copy=copy, parquet=parquet, progress=progress)
    missing = counted(found.n_missing, "job")
    echo(f"{counted(found.n_files, 'result')} in {derived}, {missing} not done; see overview.html there.")
    if pages is None:
        return
    with progress_bar("Reports") as progress:
        failures = write_pages(derived, pages, progress=progress)
    for failure in failures:
        echo(f"No page for {failure}", err=True)
    echo(f"{counted(found.n_files - len(failures), 'page')} in {pages}")
    if failures:
        raise SystemExit(1)


@click.command("upload", cls=Command)
@click.argument("derived", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dandiset", metavar="NUMBER", required=True, help="The dandiset on the archive; it must be yours.")
@click.option("--instance", default="dandi", show_default=True, help="DANDI instance, by name or URL of its API.")
@click.option(
    "--with-metadata", is_flag=True, help="Also add the sources to the dandiset's metadata; what is there stays."
)
@click.option("--dry-run", is_flag=True, help="Check all, send nothing.")
def upload_command(derived: Path, dandiset: str, instance: str, with_metadata: bool, dry_run: bool) -> None:
    """Check a collected dandiset as DANDI does, then hand it to dandi's own uploader.

    With --with-metadata the metadata on the archive get a relation (dcite:IsDerivedFrom) to each source; name,
    description and keywords of dandiset.yaml where they have none; and are sent only if no rule of DANDI is broken
    by that. With --dry-run what would be added is shown.
    """
    from nwb_cascade.archive.upload import find_server, merge_metadata, results_in, upload_files, validate_derived
    from nwb_cascade.cli.progress import progress_bar

    with progress_bar("Validating") as progress:
        findings = validate_derived(derived, progress=progress)
    for finding in findings:
        echo(f"{finding.severity}  {finding.rule}  {finding.path}: {finding.message}", err=True)
    if any(finding.blocks_upload for finding in findings):
        echo(f"Error: DANDI would refuse {derived}; nothing was sent.", err=True)
        raise SystemExit(1)
    results = results_in(derived)
    what = f"{counted(len(results), 'file')}, {sum(path.stat().st_size for path in results) / 1e6:.1f} MB"
    sending = f"{what} to dandiset {dandiset} on {instance}"
    if dry_run and not with_metadata:
        echo(f"Would upload {sending}; nothing was sent.")
        return
    server = find_server(dandiset, instance)
    if with_metadata:
        _show(merge_metadata(derived, dandiset, server, send=False), "would be added" if dry_run else "to be added")
    if dry_run:
        echo(f"Would upload {sending}; nothing was sent.")
        return
    upload_files(derived, dandiset, server)
    echo(f"Handed {what} to dandi's uploader for dandiset {dandiset} on {instance}.")
    if with_metadata and merge_metadata(derived, dandiset, server, send=True):
        echo(f"Added to the metadata of dandiset {dandiset}; all else there is as it was.")


def _show(additions: tuple[str, ...], what: str) -> None:
    """Show how metadata change."""
    if not additions:
        echo("Metadata: all of it is there.")
    for addition in additions:
        echo(f"Metadata, {what}: {addition}")
