"""Postgres refuses to run as root, so a stack that root starts runs it as an ordinary user.

That user must get to the program and to its data. Often it can't: the checkout or the home lies under `/root`, or in a
temporary folder that is root's alone. Nobody's permissions are changed for that; instead what Postgres needs is kept in
`/var/lib/stagepost`: a copy of the program, and a folder for each home's data.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

from services.devstack.program import OsUser
from services.errors import ConfigurationError

OWN_USER: Final = "stagepost"
STATE: Final = Path("/var/lib/stagepost")


def user_for_postgres() -> OsUser | None:
    """None when we are an ordinary user already."""
    if os.geteuid() != 0:
        return None
    if not _exists(OWN_USER):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", OWN_USER],
                check=True,
                capture_output=True,
            )
    for name in (OWN_USER, "nobody"):
        if _exists(name):
            entry = pwd.getpwnam(name)
            return OsUser(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        f"Postgres doesn't run as root, and no user could be made for it; run `useradd --system {OWN_USER}`"
    )


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def runnable_install(install: Path, user: OsUser | None) -> Path:
    """The folder of Postgres' programs, or a copy of it that this user can run."""
    if user is None or _runs(install / "bin" / "initdb", user):
        return install
    stamp = hashlib.sha256((install / "bin" / "postgres").read_bytes()).hexdigest()[:12]
    copy = _state() / f"postgres-{stamp}"
    if not copy.exists():
        _copy_package(install.parent, copy)
    copied = copy / install.parent.name / install.name
    if not _runs(copied / "bin" / "initdb", user):
        raise ConfigurationError(f"{copied}/bin/initdb can't be run as {user.name}; is /var mounted noexec?")
    return copied


def _copy_package(package: Path, copy: Path) -> None:
    """The package and the folder of libraries beside it, which its programs find by the way between the two."""
    part = copy.with_name(f".{copy.name}.{os.getpid()}")
    part.mkdir(mode=0o755)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, part / folder.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    try:
        part.rename(copy)
    except OSError:
        shutil.rmtree(part)  # another stack was faster


def data_folder(wanted: Path, user: OsUser | None) -> Path:
    """`wanted`, or where its content is kept instead; made, and the user's own."""
    folder = wanted
    if user is not None and not _reaches(wanted.parent, user):
        _sweep()
        folder = _state() / f"data-{hashlib.sha256(str(wanted).encode()).hexdigest()[:16]}"
        if folder.exists() and not wanted.is_symlink():
            shutil.rmtree(folder)  # of a home that was removed, and made anew at the same place
        folder.mkdir(exist_ok=True)
        (folder / "belongs-to").write_text(str(wanted.parent), encoding="utf-8")
        if not wanted.is_symlink():
            wanted.symlink_to(folder)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.uid, user.gid)
    return folder


def _state() -> Path:
    try:
        STATE.mkdir(mode=0o711, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Postgres, which doesn't run as root, can't get to this folder, and {STATE} can't be made "
            f"({error.strerror}); set STAGEPOST_HOME to a folder that others may enter, or run as an ordinary user"
        ) from None
    STATE.chmod(0o711)
    return STATE


def _sweep() -> None:
    """Data of homes that are gone is nobody's any more."""
    for folder in STATE.glob("data-*"):
        with contextlib.suppress(OSError):
            if not Path((folder / "belongs-to").read_text(encoding="utf-8")).exists():
                shutil.rmtree(folder)


def _runs(program: Path, user: OsUser) -> bool:
    return _succeeds([str(program), "--version"], user)


def _reaches(folder: Path, user: OsUser) -> bool:
    return _succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], user)


def _succeeds(command: list[str], user: OsUser) -> bool:
    """Tried, not worked out from permission bits: lists, mounts and security modules have their say too."""
    try:
        tried = subprocess.run(
            command, user=user.uid, group=user.gid, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return tried.returncode == 0
