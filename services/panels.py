"""Under which heading `stagepost --help` lists a command, in the order in which a newcomer meets them."""

from enum import StrEnum


class Panel(StrEnum):
    STACK = "A whole Stagepost on this machine"
    SHOP = "The shop's directory, and why customers stand where they do"
    FORCE = "What is in force"
    OPERATING = "Operating it"
    SERVICES = "The services, each as a process of its own"
