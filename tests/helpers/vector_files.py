"""Files of word vectors for tests."""

import gzip
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

Vectors = Mapping[str, Sequence[float]]


def vector_lines(vectors: Vectors, *, header: bool = False, end: str = "\n") -> bytes:
    """Return the content of a file: GloVe text, or with a header word2vec text."""
    lines = [" ".join([word, *(repr(float(value)) for value in values)]) for word, values in vectors.items()]
    if header:
        lines.insert(0, f"{len(vectors)} {len(next(iter(vectors.values())))}")
    return "".join(f"{line}{end}" for line in lines).encode()


def write_vectors(path: Path, content: bytes) -> Path:
    """Write a file as its name says: compressed by gzip, as the only file of a ZIP archive, or as it is."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content, mtime=0))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem, content)
    else:
        path.write_bytes(content)
    return path
