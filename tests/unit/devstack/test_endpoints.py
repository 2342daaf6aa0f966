"""What `stagepost endpoints` says."""

import subprocess

from services.devstack.endpoints import shell, table

FOUND = {"ingest": "http://127.0.0.1:8080", "postgres": "postgresql://u:p$w'd@127.0.0.1/x", "operator_key": "secret"}


def test_a_shell_reads_every_value_as_it_is_and_passes_on_what_our_commands_need() -> None:
    script = f'{shell(FOUND)}\nprintf \'%s\\n\' "$ingest" "$operator_key"; printenv STAGEPOST_POSTGRES__DSN'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [FOUND["ingest"], FOUND["operator_key"], FOUND["postgres"]]
    assert "KAFKA" not in shell(FOUND)
    assert "SMTP" not in shell(FOUND)


def test_a_shell_knows_the_stacks_own_mail_server_as_the_settings_of_one() -> None:
    script = f"{shell({'smtp': '127.0.0.1:2525'})}\nprintenv | grep ^STAGEPOST_SMTP__ | sort"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "STAGEPOST_SMTP__HOST=127.0.0.1",
        "STAGEPOST_SMTP__PORT=2525",
        "STAGEPOST_SMTP__SECURITY=none",
    ]


def test_the_table_shows_no_secret() -> None:
    assert "secret" not in table(FOUND)
    assert "whsec" not in table({**FOUND, "webhook_secret": "whsec"})
    assert "p$w" not in table(FOUND)
