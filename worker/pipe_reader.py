"""The reading end of a pipe as a stream, on whichever event loop.

uvloop's own transport for pipes won't do: it closes the descriptor twice. By the second time the
number may be that of a file which a thread has just opened, and that file is closed in its place.
"""

import asyncio
import os

CHUNK = 64 * 1024


class PipeReader(asyncio.ReadTransport):
    """Owns its descriptor, and reads no further while what it read isn't taken from `stream`."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self.stream = asyncio.StreamReader()
        self.stream.set_transport(self)
        os.set_blocking(descriptor, False)
        self.resume_reading()

    def pause_reading(self) -> None:
        self._loop.remove_reader(self._descriptor)

    def resume_reading(self) -> None:
        self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """To be called once; the stream says no more."""
        self.pause_reading()
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            piece = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return
        if piece:
            self.stream.feed_data(piece)
        else:
            self.pause_reading()
            self.stream.feed_eof()
