"""What the store asks of the disk: a local file system, one writer, files that only their owner reads."""

from __future__ import annotations

import fcntl
import os
import socket
import weakref
from pathlib import Path

from tocsin.security.keys import SigningKey
from tocsin.vocabulary.errors import Conflict, InputError, Unavailable

# SQLite's write-ahead log needs memory that processes share, and locks that hold; on these neither is sure
# (sqlite.org/wal.html: "WAL does not work over a network filesystem").
NETWORK_KINDS = {
    *(
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb2",
        "smb3",
        "smbfs",
    ),
    *("fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
}
MOUNTS = Path("/proc/self/mountinfo")
LOCK_NAME, KEY_NAME = "tocsin.lock", "node.key"


def filesystem_of(folder: Path, mounts: str) -> str:
    """The kind of file system that `folder` is on, by the lines of Linux' mountinfo; "" where they do not say."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5 or not after.split(" ")[0]:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind


def check_local(folder: Path) -> None:
    """Return if the folder is on a local disk, or the system cannot tell; else raise InputError."""
    try:
        mounts = MOUNTS.read_text()
    except OSError:
        return
    kind = filesystem_of(folder.resolve(), mounts)
    if kind in NETWORK_KINDS:
        raise InputError(
            f"{folder}: is on a network file system ({kind}), where the ledger could be damaged; wanted a folder on a local disk"
        )


def sync_folder(folder: Path) -> None:
    """Wait until the folder's own list of files is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class WriterLock:
    """At most one process writes a data folder. The system lets go of it when the process ends, in whatever way."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._handle: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            holder = os.pread(self._handle, 200, 0).decode(errors="replace").strip() or "another process"
            self.drop()
            raise Conflict(f"{folder}: is written by {holder} already; stop that one first, or choose another folder") from fault
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        mine = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _release(mine))

    def release(self) -> None:
        """Let others write: at once, also where a child that was forked a moment ago has not closed its copy yet."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.drop()

    def drop(self) -> None:
        """Close the file and no more: what a forked child does, since to unlock it would take the lock from its parent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _release(lock: weakref.ref[WriterLock]) -> None:
    """In a forked child: a worker that outlives its parent must not hold the parent's lock."""
    held = lock()
    if held is not None:
        held.drop()


def read_secret(folder: Path, name: str) -> bytes | None:
    """A file that only its owner may read, or None where the folder has none. Raises InputError where others can read it."""
    path = folder / name
    try:
        mode, held = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise Unavailable(f"{path}: cannot be read: {fault}; the platform's user must own it") from fault
    if mode & 0o077:
        raise InputError(f"{path}: others may read it (mode {mode & 0o777:o}); wanted 600: chmod 600 {path}")
    return held


def write_secret(folder: Path, name: str, held: bytes) -> None:
    """Keep a file that only its owner may read; it is on disk when this returns."""
    path = folder / name
    unfinished = folder / f".{name}.{os.getpid()}"
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, held)
            os.fsync(handle)
        finally:
            os.close(handle)
        unfinished.replace(path)
        sync_folder(folder)
    except OSError as fault:
        unfinished.unlink(missing_ok=True)
        raise Unavailable(f"{path}: was not written: {fault}; free some space or choose another folder") from fault


def read_node_key(folder: Path) -> SigningKey | None:
    """The node's key, or None where the folder has none. Raises InputError where others can read it."""
    pem = read_secret(folder, KEY_NAME)
    return None if pem is None else SigningKey.from_pem(pem, where=str(folder / KEY_NAME))


def write_node_key(folder: Path, key: SigningKey) -> None:
    """Keep a new node key; it is on disk when this returns."""
    write_secret(folder, KEY_NAME, key.to_pem())
