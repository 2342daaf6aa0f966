"""`stagepost notifier`, `preview`, `send-test` and `doctor mail`; the switches have a room of their own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from notifier import switch_commands
from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.errors import ConfigurationError
from services.panels import Panel

if TYPE_CHECKING:
    from notifier.render import Rendered

ShopDirectory = Annotated[Path | None, typer.Option(help="The shop directory; the default shop without it.")]
FollowUpName = Annotated[str, typer.Argument(help="Its name in followups.yaml.", metavar="FOLLOW_UP")]
StepNumber = Annotated[int, typer.Option(help="Which of its messages, from 1.")]
StorefrontName = Annotated[str | None, typer.Option(help="Whose look and words; may be left out where there is one.")]
Language = Annotated[str | None, typer.Option(help="A language, as in de or de-AT; else the storefront's.")]


def register(app: typer.Typer) -> None:
    app.command("notifier", rich_help_panel=Panel.SERVICES)(notifier)
    app.command("preview", rich_help_panel=Panel.SHOP)(preview)
    app.command("send-test", rich_help_panel=Panel.SHOP)(send_test)
    doctor = typer.Typer(no_args_is_help=True, help="Look at what Stagepost depends on, and say what to mend.")
    doctor.command("mail")(doctor_mail)
    switch_commands.register(app)
    app.add_typer(doctor, name="doctor", rich_help_panel=Panel.OPERATING)


def notifier() -> None:
    """Send the follow-ups that stage changes start."""
    from notifier.service import serve
    from notifier.settings import NotifierSettings

    run_main(NotifierSettings, serve, service="notifier")


def preview(
    follow_up: FollowUpName,
    shop: ShopDirectory = None,
    step: StepNumber = 1,
    locale: Language = None,
    storefront: StorefrontName = None,
    customer: Annotated[UUID | None, typer.Option(help="With this one's data, as the notifier holds it.")] = None,
    text: Annotated[bool, typer.Option("--text/--html", help="The text part, or the HTML part.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Print a follow-up's mail with sample data, as in: stagepost preview thank-you --html > mail.html."""

    def show(rendered: "Rendered") -> None:
        typer.echo(f"Subject: {rendered.subject}\n\n{rendered.text}" if text else rendered.html)

    if customer is not None and storefront is not None:
        raise typer.BadParameter("a customer is of one storefront: leave out --storefront, or --customer")
    if customer is not None:
        from notifier.preview_customer import Asked
        from notifier.preview_desk import PreviewSettings, showing

        asked = Asked(follow_up=follow_up, customer=customer, step=step, locale=locale)
        run_main(PreviewSettings, showing(asked, shop, show), service="preview")
        return
    from notifier.preview import sample
    from notifier.render import RenderError

    try:
        found = sample(follow_up, shop, step=step, locale=locale, storefront=storefront)
    except (ConfigurationError, RenderError) as error:
        typer.echo(f"stagepost preview: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    show(found.rendered)


def send_test(
    follow_up: FollowUpName,
    to: Annotated[str, typer.Option(help="Whom it goes to: you.")],
    shop: ShopDirectory = None,
    step: StepNumber = 1,
    locale: Language = None,
    storefront: StorefrontName = None,
) -> None:
    """Send yourself a follow-up's mail with sample data, by the mail server that customers' mail goes by."""
    from notifier.preview import sample
    from notifier.render import RenderError
    from notifier.send_test import sending
    from notifier.settings import MailOnly

    try:
        found = sample(follow_up, shop, step=step, locale=locale, storefront=storefront)
        work = sending(found, to)
    except (ConfigurationError, RenderError) as error:
        typer.echo(f"stagepost send-test: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    run_main(MailOnly, work, service="send-test")


def doctor_mail(
    shop: ShopDirectory = None,
    selector: Annotated[list[str] | None, typer.Option(help="A DKIM selector; may be said several times.")] = None,
    server: Annotated[str | None, typer.Option(help="A name server, ADDRESS or ADDRESS:PORT.")] = None,
) -> None:
    """See whether mail will be believed: SPF, DKIM and DMARC of your senders, TLS and login of the mail server."""
    import asyncio

    from notifier.doctor.findings import Health, worst
    from notifier.doctor.mail import examine
    from notifier.doctor.names import Names
    from notifier.settings import MailOnly
    from services.shop import default_shop, load_shop

    try:
        names = Names(server)
        settings, loaded = MailOnly.load(), load_shop(shop or default_shop())
    except (ConfigurationError, ValueError) as error:
        typer.echo(f"stagepost doctor mail: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    found = asyncio.run(examine(loaded, settings.smtp, names, selector or ()))
    typer.echo("\n".join(map(str, found)))
    codes = {Health.FAULT: EXIT_NEEDS_A_PERSON, Health.UNKNOWN: 1}
    raise typer.Exit(codes.get(worst(found), 0))
