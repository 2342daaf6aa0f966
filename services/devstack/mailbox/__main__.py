from services.commands import run_main
from services.devstack.mailbox.service import main
from services.devstack.mailbox.settings import MailboxSettings

run_main(MailboxSettings, main, service="mailbox")
