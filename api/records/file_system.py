"""Where a SQLite file lies: it relies on locks and shared memory that only a local disk keeps."""

from pathlib import Path

NETWORK = {
    "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "smb3", "smbfs",
}  # fmt: skip # one a line would be a page
_MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, mounts: str | None = None) -> str | None:
    """The kind of network file system that `path` lies on; None on another, or where the system
    doesn't tell. `mounts` is what /proc/self/mountinfo says."""
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text("utf-8")
        except OSError:
            return None
    target = path.resolve()
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        # the last of two at one place is the one that is seen
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind if kind in NETWORK else None
