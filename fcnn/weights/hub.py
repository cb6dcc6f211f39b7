"""Files of the Hugging Face hub, each of one commit of one repository."""

import os
import re
from pathlib import Path

from ..extras import require
from .reading import WeightsError

COMMIT = re.compile("[0-9a-f]{40}")


def from_hub(
    repository: str,
    filename: str,
    *,
    revision: str,
    cache: str | os.PathLike | None = None,
    download: bool = True,
) -> Path:
    """A file of the hub, on this machine: from the cache if it is there, else downloaded into it.

    Nothing is chosen for the caller: a commit names the same content for ever, where a branch or a
    tag may move. What is read from the file needs no trust in it; see ``SECURITY.md``.

    Example:
        path = fcnn.weights.from_hub(
            "timm/resnet18.tv_in1k",
            "model.safetensors",
            revision="...",  # 40 digits, from the page "Files and versions", "History"
        )
        network = fcnn.models.from_torch("resnet18", path)

    Args:
        repository: ``"owner/name"``.
        filename: Within the repository.
        revision: The commit, in 40 hexadecimal digits.
        cache: The folder of the cache; that of ``huggingface_hub`` (extra ``hub``) if None.
        download: Whether to download what is not there.

    Raises:
        ValueError: the repository or the revision is not named as above.
        WeightsError: there is no such file, or it cannot be had.
    """
    if not isinstance(repository, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"repository must be 'owner/name', got {repository!r:.80}")
    if not isinstance(revision, str) or not COMMIT.fullmatch(revision):
        raise ValueError(
            f"revision must be a commit, 40 hexadecimal digits, got {revision!r:.80}; "
            f"https://huggingface.co/{repository}/commits lists them"
        )
    hub = require("huggingface_hub", "hub")
    what = f"{repository}/{filename} at {revision}"
    try:
        found = hub.hf_hub_download(
            repository,
            filename,
            revision=revision,
            cache_dir=None if cache is None else os.fspath(cache),
            local_files_only=not download,
        )
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{what}: cannot be had: {reason}") from error
    path = Path(found)
    if path.parts[-len(Path(filename).parts) - 1] != revision:
        raise WeightsError(f"{what}: {path} came instead, which is of another commit")
    return path
