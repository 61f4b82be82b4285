"""A body that comes in chunks: the size of each chunk is known before its bytes are accepted."""

from __future__ import annotations

_SIZE_BYTES = 40  # of a chunk's line: its size is at the beginning


class Chunks:
    """Follows the chunked body of one request. The parser reports the beginning of a chunk, but not its size; so each
    line that tells a size is fed to it as a part of its own."""

    __slots__ = ("_left", "_line", "_line_ended")

    def __init__(self) -> None:
        self._left = 0            # bytes of the current chunk that have not been fed to the parser
        self._line = b""          # the line that was fed last: its beginning
        self._line_ended = True   # its end was fed, too

    def end_of_part(self, data: bytes, at: int) -> int:
        """Where the part of the data ends that is fed next."""
        if self._left:
            end = min(at + self._left, len(data))
            self._left -= end - at
            return end
        end = data.find(b"\n", at) + 1 or len(data)
        before = b"" if self._line_ended else self._line
        self._line, self._line_ended = (before + data[at:min(end, at + _SIZE_BYTES)])[:_SIZE_BYTES], data[end - 1] == 10
        return end

    def begin(self) -> int | None:
        """The size of the chunk that begins; None if its line was not a part of its own."""
        try:
            self._left = int(self._line.partition(b";")[0], 16)
        except ValueError:
            return None
        return self._left
