"""A user's own texts: a folder of text files, or a column of a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurocircuits.datasets._corpus import Corpus
from neurocircuits.errors import DataError, ValidationError, listed

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST = 1 << 30  # characters of a field; the reader of Python stops at 131 072 unless told


def corpus(
    path: str | os.PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    name: str | None = None,
    pattern: str = "*.txt",
    encoding: str = "utf-8",
    errors: str = "strict",
) -> Corpus:
    r"""Read texts from a folder of files or from a table.

    Parameters
    ----------
    path : path
        A folder, searched with all folders in it: each file is a document, and the folder that it lies in is its class
        unless all lie in ``path`` itself. Or a file ``.csv`` or ``.tsv`` whose first line names the columns: each
        further row is a document.
    text : str, optional
        Column of the texts; needed where a table has more than one column.
    label, name : str, optional
        Columns of the classes and of the names of documents.
    pattern : str
        Which files of a folder are documents.
    encoding : str
        How letters are stored, such as ``"utf-8"`` or ``"latin-1"``. A mark at the start of a file that says "UTF-8" is
        not part of its text.
    errors : {"strict", "replace", "ignore"}
        Whether bytes that are no letters in this encoding are an error, become a question mark, or are left out.

    Returns
    -------
    Corpus
        Texts in the order of file names or rows. Empty documents stay: their rows are zeros, and so are their topics.

    Raises
    ------
    DataError
        If there are no documents, or something cannot be read; the message names file, place and remedy.
    ValidationError
        If there is no such encoding, ``pattern`` is empty or absolute, or columns are named for a folder.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "pets.csv").write_text("id,body,kind\n1,Cats and dogs.,a\n2,Dogs chase cats,b\n")
    >>> corpus(folder / "pets.csv", text="body", label="kind")
    Corpus('pets.csv', 2 texts, 2 classes)
    """
    place = Path(path).expanduser()
    _check_encoding(encoding, errors)
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    if place.is_dir():
        if given := [column for column in (text, label, name) if column is not None]:
            raise ValidationError(f"corpus: '{place}' is a folder, which has no column {given[0]!r}. Leave it out.")
        return _folder(place, pattern, encoding, errors)
    if not place.exists():
        raise DataError(f"'{place}' does not exist.")
    if place.suffix.lower() not in DELIMITERS:
        raise DataError(f"'{place}' is neither a folder of text files nor a table; tables end in .csv or .tsv.")
    return _table(place, text, label, name, encoding, errors)


def _folder(folder: Path, pattern: str, encoding: str, errors: str) -> Corpus:
    if not pattern or Path(pattern).is_absolute():
        raise ValidationError(f"corpus: pattern {pattern!r} is none of names of files in '{folder}', such as '*.txt'.")
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if not files:
        raise DataError(f"'{folder}' has no file {pattern!r}. Name others by pattern=..., for example pattern='*'.")
    relative = [path.relative_to(folder) for path in files]
    classes = [path.parent.as_posix() for path in relative]
    return _made(
        folder.name,
        [_read(path, encoding, errors) for path in files],
        classes if set(classes) != {"."} else None,
        [path.as_posix() for path in relative],
        f"the folder {folder}",
    )


def _table(file: Path, text: str | None, label: str | None, name: str | None, encoding: str, errors: str) -> Corpus:
    content = _read(file, encoding, errors)
    limit = csv.field_size_limit(_LONGEST)
    try:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=DELIMITERS[file.suffix.lower()], strict=True)
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"'{file}', line {reader.line_num}: {error}. Quotes or separators do not fit.") from None
    finally:
        csv.field_size_limit(limit)
    if len(rows) < 2:
        raise DataError(f"'{file}' has no rows below its line of names, so it holds no documents.")
    header = [column.strip() for column in rows[0][1]]
    if bad := [(line, row) for line, row in rows if len(row) != len(header)]:
        raise DataError(
            f"'{file}', row that ends in line {bad[0][0]}: {len(bad[0][1])} fields, expected {len(header)}."
        )
    if text is None and len(header) > 1:
        raise DataError(f"'{file}' has several columns: {listed(header)}. Say which holds the texts: text=...")
    columns = {}
    for what, column in (("text", header[0] if text is None else text), ("label", label), ("name", name)):
        if column is not None and column not in header:
            raise DataError(f"'{file}' has no column {column!r} for {what}; it has {listed(header)}.")
        columns[what] = None if column is None else [row[header.index(column)] for _, row in rows[1:]]
    return _made(file.name, columns["text"] or [], columns["label"], columns["name"] or (), f"the file {file}")


def _made(name: str, texts: list[str], classes: list[str] | None, names: Sequence[str], source: str) -> Corpus:
    if not any(text.strip() for text in texts):
        raise DataError(f"{source[0].upper()}{source[1:]} holds {len(texts)} documents, all of them empty.")
    known = sorted(set(classes or ()))
    places: Any = {value: k for k, value in enumerate(known)}
    labels = None if classes is None else np.array([places[value] for value in classes])
    return Corpus(name=name, documents=texts, labels=labels, label_names=known, names=names, source=source)


def _read(path: Path, encoding: str, errors: str) -> str:
    try:
        return path.read_bytes().decode(encoding, errors)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not text in the encoding {encoding.removesuffix('-sig')}: byte {error.start} "
            f"({error.object[error.start]:#04x}) is no letter there. Name its own encoding, for example "
            "encoding='latin-1', or pass errors='replace'."
        ) from None


def _check_encoding(encoding: str, errors: str) -> None:
    if errors not in ("strict", "replace", "ignore"):
        raise ValidationError(f"corpus: errors {errors!r} is unknown. Choose from: strict, replace, ignore.")
    try:
        b"a".decode(encoding, "ignore")
    except LookupError:
        raise ValidationError(
            f"corpus: encoding {encoding!r} is unknown. Name one such as 'utf-8', 'latin-1' or 'cp1252'."
        ) from None
