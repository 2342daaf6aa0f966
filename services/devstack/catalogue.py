"""What a whole stack is made of, and what each of Stagepost's own processes is told."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Final

from services.devstack.endpoints import is_ready
from services.devstack.home import Home
from services.devstack.keys import Keys
from services.devstack.ports import LOOPBACK
from services.devstack.program import Layer, Program


class Need(Enum):
    """A piece of the stack that a service uses; it is told of these only."""

    KAFKA = auto()
    POSTGRES = auto()
    SMTP = auto()
    WRITE_KEYS = auto()
    OPERATOR_KEY = auto()
    STATE_FOLDER = auto()
    """For what must outlast a restart and stands in no database."""
    LINKS = auto()
    """Where a person may go on to look."""
    SIGNED_LINKS = auto()
    """What the links in mails begin with and are signed with."""


@dataclass(frozen=True, slots=True)
class Service:
    """One of Stagepost's own processes: its name, which is its module too, and the port it has where that is free."""

    name: str
    port: int
    needs: frozenset[Need]


SERVICES: Final = (
    Service("ingest", 8080, frozenset({Need.KAFKA, Need.WRITE_KEYS, Need.OPERATOR_KEY, Need.STATE_FOLDER})),
    Service("stage_engine", 8081, frozenset({Need.KAFKA, Need.POSTGRES, Need.OPERATOR_KEY})),
    Service("notifier", 8082, frozenset({Need.KAFKA, Need.POSTGRES, Need.SMTP, Need.OPERATOR_KEY, Need.SIGNED_LINKS})),
    Service("console", 8083, frozenset({Need.POSTGRES, Need.OPERATOR_KEY, Need.LINKS})),
)
PARTS: Final = ("postgres", "kafka", "mailbox", *(service.name for service in SERVICES))
USUAL_PORTS: Final = {service.name: service.port for service in SERVICES} | {"mailbox": 8025, "smtp": 1025}
PORTS_OF: Final = {"kafka": ("kafka", "kafka_controller"), "mailbox": ("mailbox", "smtp")}
"""Of the parts that listen on more than the one port that is called as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where everything is, in one run."""

    home: Home
    shop: Path
    keys: Keys
    ports: dict[str, int]
    kafka: str
    dsn_file: Path

    def program(self, service: Service) -> Program:
        return self._stagepost(
            service.name,
            service.name,
            layer=Layer.SERVICE,
            env=self.environment(*service.needs),
            ports=(service.name,),
        )

    def mailbox(self) -> Program:
        return self._stagepost(
            "mailbox",
            "services.devstack.mailbox",
            layer=Layer.MAILBOX,
            env={
                "STAGEPOST_MAILBOX__SMTP_PORT": str(self.ports["smtp"]),
                "STAGEPOST_MAILBOX__FOLDER": str(self.home.path / "mailbox"),
            },
            ports=("mailbox", "smtp"),
        )

    def migration(self) -> Program:
        return self._stagepost(
            "migrate", "services", "migrate", layer=Layer.SERVICE, env=self.environment(Need.KAFKA, Need.POSTGRES)
        )

    def first_revision(self) -> Program:
        """Puts the shop's directory in force where none is yet: what is in force changes on purpose only."""
        return self._stagepost(
            "apply",
            *("services", "apply", str(self.shop), "--first", "--note", "the first"),
            layer=Layer.SERVICE,
            env=self.environment(Need.POSTGRES),
        )

    def environment(self, *needs: Need) -> dict[str, str]:
        """Secrets by the files that hold them."""
        env: dict[str, str] = {}
        if Need.KAFKA in needs:
            env["STAGEPOST_KAFKA__BOOTSTRAP_SERVERS"] = self.kafka
        if Need.POSTGRES in needs:
            env["STAGEPOST_POSTGRES__DSN_FILE"] = str(self.dsn_file)
        if Need.SMTP in needs:
            env["STAGEPOST_SMTP__HOST"] = LOOPBACK
            env["STAGEPOST_SMTP__PORT"] = str(self.ports.get("smtp", USUAL_PORTS["smtp"]))
            env["STAGEPOST_SMTP__SECURITY"] = "none"
        if Need.WRITE_KEYS in needs:
            env["STAGEPOST_WRITE_KEYS_FILE"] = str(self.keys.write_keys_file)
            env["STAGEPOST_WEBHOOK_SECRETS_FILE"] = str(self.keys.webhook_secrets_file)
            env["STAGEPOST_NETWORK_KEY_FILE"] = str(self.keys.network_key_file)
        if Need.LINKS in needs:
            env |= {
                f"STAGEPOST_{name.upper()}_URL": f"http://{LOOPBACK}:{self.ports[name]}"
                for name in ("ingest", "mailbox")
                if name in self.ports
            }
        if Need.SIGNED_LINKS in needs:
            env["STAGEPOST_LINKS__URL"] = f"http://{LOOPBACK}:{self.ports.get('notifier', USUAL_PORTS['notifier'])}"
            env["STAGEPOST_LINKS__SECRET_FILE"] = str(self.keys.links_secret_file)
            if "console" in self.ports:
                env["STAGEPOST_LINKS__CONSOLE_URL"] = f"http://{LOOPBACK}:{self.ports['console']}"
        if Need.STATE_FOLDER in needs:
            env["STAGEPOST_STATE_FOLDER"] = str(self.home.path / "ingest")
        if Need.OPERATOR_KEY in needs:
            env["STAGEPOST_OPERATOR_KEY_FILE"] = str(self.keys.operator_key_file)
        return env

    def _stagepost(
        self, name: str, *module: str, layer: Layer, env: dict[str, str], ports: tuple[str, ...] = ()
    ) -> Program:
        url = f"http://{LOOPBACK}:{self.ports.get(name, 0)}"
        folder = self.home.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return Program(
            name=name,
            layer=layer,
            command=[sys.executable, "-m", *module],
            env={
                "STAGEPOST_HTTP__HOST": LOOPBACK,
                "STAGEPOST_HTTP__PORT": str(self.ports.get(name, 0)),
                "STAGEPOST_LOG__FORMAT": "json",
                **env,
            },
            directory=folder,
            ports=ports,
            ready=lambda: is_ready(url),
            grace=timedelta(seconds=15),
        )
