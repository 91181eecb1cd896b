"""What libraries say when this machine is short of something, and no file is at fault."""

OF_MEMORY = (
    "vips_tracked: out of memory --- size == 20MB",
    "VipsJpeg: Insufficient memory (case 4)",
    "mmap: unable to mmap: Cannot allocate memory",
    "Memory allocation error",
    "TIFFReadDirectory: No space for the buffer",
    "glib: Error creating thread: Resource temporarily unavailable",
    "can't start new thread",
    "std::bad_alloc",
)
OF_DISK = (
    "system error: No space left on device",
    "wbuffer_write: write error",
    "unable to write to file vips-0-1.v",
)
