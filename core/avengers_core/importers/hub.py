"""Public data sets from the Hugging Face hub; needs the extra ``hub``."""

from __future__ import annotations

from pathlib import Path

from avengers_core.errors import RecordError, needing
from avengers_core.importers.reading.archives import ARCHIVES
from avengers_core.importers.reading.tables import KINDS
from avengers_core.redaction import describe, masked_cause

# Names for what is often asked for: the repository, and the files wanted of it.
PUBLIC: dict[str, tuple[str, tuple[str, ...]]] = {
    "llmrouterbench": ("NPULH/LLMRouterBench", ("*.tar.gz", "*.json", "*.jsonl", "*.parquet")),
    "openrouterbench": ("NPULH/OpenRouterBench", ("*.tar.gz", "*.json", "*.jsonl", "*.parquet")),
    "routerbench": ("withmartian/routerbench", ("*",)),
}
# What can be imported, and pickles, for the hint how to convert one.
_WANTED = (
    *(f"*{kind}{packed}" for kind in sorted(KINDS) for packed in ("", ".gz")),
    *(f"*{kind}" for kind in sorted(ARCHIVES)),
    "*.tar.*",
    "*.pkl",
)


def download(name: str) -> Path:
    """Fetch a data set into the hub's own cache.

    Args:
        name: one of :data:`PUBLIC`, ``OWNER/NAME`` of a data set, or ``OWNER/NAME/FILE`` for one
            file of it.

    Returns:
        The file or folder, for :func:`avengers_core.importers.import_records`, which unpacks what
        archives there are.

    Raises:
        OptionalDependencyError: huggingface_hub is not installed.
        RecordError: no such name, or the hub cannot be reached.
    """
    with needing("huggingface-hub", "hub"):
        from huggingface_hub import hf_hub_download, snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    if "/" not in name and name not in PUBLIC:
        raise RecordError(
            f"no public data set {name!r}; there are {', '.join(PUBLIC)}, or give OWNER/NAME"
        )
    repository, patterns = PUBLIC.get(name, (name, _WANTED))
    owner, project, *file = repository.split("/", 2)
    try:
        if file:
            path = hf_hub_download(f"{owner}/{project}", file[0], repo_type="dataset")
        else:
            path = snapshot_download(repository, repo_type="dataset", allow_patterns=list(patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise RecordError(
            f"{name!r} cannot be had from the hub: {describe(error)}"
        ) from masked_cause(error)
    return Path(path)
