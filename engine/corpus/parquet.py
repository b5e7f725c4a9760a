"""Parquet files: each row is a document, its text, conversation or token ids in one column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from engine.corpus.conversations import Content
from engine.corpus.files import check_readable, checked_content, missing_field, not_text, opened
from engine.corpus.parquet_pages import pages
from engine.corpus.remote_files import RemoteFile, TextFile
from store.files.errors import MonosemError

ROWS = 256
"""Rows read at once."""
REPEATED = 64 << 20
"""Bytes of text at once that rows may repeat from a dictionary."""

HEADERS = 1 << 16
"""Bytes of a remote file asked for at once where headers of pages are read."""


def texts(path: TextFile, field: str) -> Iterator[Content]:
    """Yield the texts of a column; other columns are not read, rows where it is null are skipped.

    Errors: MonosemError if the file is not Parquet, is damaged, or lacks the text column.
    """
    import pyarrow as pa

    check_readable(path)  # reports an unreadable file as such, not as damaged
    row = 0
    try:
        with _parquet(path) as file:
            _check(file.schema_arrow, path, field)
            for group in range(file.num_row_groups):
                rows = _rows_at_once(path, file.metadata.row_group(group), field)
                for batch in file.iter_batches(rows, [group], columns=[field], use_threads=False):
                    for number, value in enumerate(batch.column(0).to_pylist(), row + 1):
                        content = checked_content(value, f"{path}, row {number}", field, f"{path.name}:FIELD")
                        if content is not None:
                            yield content
                    row += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise MonosemError(f"{path}: damaged in or after row {row + 1}", "Copy or download it again.") from error


def _rows_at_once(path: TextFile, group: Any, field: str) -> int:
    """Return the rows of a row group to read at once, so that they take little memory whatever they repeat.

    Errors: MonosemError if a page claims to unpack to far more than text does.
    """
    # A list of messages is a column for each of their fields.
    every = map(group.column, range(group.num_columns))
    columns = [one for one in every if one.path_in_schema == field or one.path_in_schema.startswith(f"{field}.")]
    found: list[int] = []
    try:
        with opened(path, seeking=True, ahead=HEADERS) as file:
            for column in columns:
                start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)), default=0)
                end = start + column.total_compressed_size
                found += [page.unpacked for page in pages(file, start, end) if page.repeats]
    except ValueError as error:
        raise MonosemError(f"{path}: {error}", "Copy or download it again.") from error
    return max(1, min(ROWS, REPEATED // max(1, *found)))


def note(path: TextFile, field: str) -> str:
    """Describe where texts come from; appended to the file's name."""
    del path
    return f", field {field}"


@contextmanager
def _parquet(path: TextFile) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path, seeking=True) if isinstance(path, RemoteFile) else nullcontext(path) as source:
        try:
            # Without pre_buffer, row groups are read page by page instead of whole.
            file = pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)
        except (pa.ArrowException, OSError) as error:
            raise MonosemError(f"{path}: not a Parquet file, or cut off", "Copy or download it again.") from error
        with file:
            yield file


def _check(schema: Any, path: TextFile, field: str) -> None:
    import pyarrow as pa

    if field not in schema.names:
        raise missing_field(str(path), field, schema.names, f"{path.name}:FIELD")
    kind = schema.field(field).type
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        held = kind.value_type
        if pa.types.is_integer(held) or pa.types.is_struct(held):
            return
    if not (pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held)):
        raise not_text(str(path), field, str(kind), f"{path.name}:FIELD")
