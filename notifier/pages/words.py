"""What the pages say, in each language that they speak. Pure. `{shop}` stands for the shop's name."""

from dataclasses import dataclass
from typing import Final

from notifier.language import language_for
from services.contracts.changes import Profile
from services.contracts.storefront import Storefront


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A survey's question, and what its least and its greatest score mean."""

    question: str
    least: str
    most: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A page that only says something."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    lang: str
    to_shop: str
    unsubscribe_title: str
    unsubscribe_text: str
    unsubscribe_button: str
    unsubscribe_instead: str
    unsubscribed: Said
    preferences_title: str
    preferences_text: str
    channels: dict[str, str]
    preferences_topics: str
    preferences_orders: str
    preferences_button: str
    saved: Said
    confirm_title: str
    confirm_text: str
    confirm_button: str
    confirmed: Said
    surveys: dict[str, Asked]
    comment: str
    answer_button: str
    choose: str
    answered: Said
    expired: Said
    forged: Said
    too_often: Said
    too_long: Said
    unavailable: Said


EN: Final = Words(
    lang="en",
    to_shop="To {shop}",
    unsubscribe_title="Unsubscribe?",
    unsubscribe_text="{shop} will send no more offers and reminders to {address}. Mail about your orders still comes.",
    unsubscribe_button="Unsubscribe",
    unsubscribe_instead="Choose what you get instead",
    unsubscribed=Said(
        title="You are unsubscribed.",
        text="{shop} sends you no more offers and reminders. Mail about your orders still comes.",
    ),
    preferences_title="What may we send you?",
    preferences_text="This is about {address}.",
    channels={
        "email": "Offers and reminders by email",
        "sms": "Offers and reminders by text message",
        "push": "Offers and reminders as notifications",
    },
    preferences_topics="What would you like to hear of?",
    preferences_orders="Mail about your orders comes in any case.",
    preferences_button="Save",
    saved=Said(title="Saved.", text="We keep to it from now on."),
    confirm_title="Do you want our news?",
    confirm_text="Somebody gave {address} to {shop}. If it was you, say yes; if it was not, close this page.",
    confirm_button="Yes, send me news",
    confirmed=Said(title="Thank you.", text="You will hear from {shop}. Every mail has a link to end it."),
    surveys={
        "nps": Asked(
            question="How likely are you to recommend {shop} to a friend?", least="not at all", most="very likely"
        ),
        "csat": Asked(question="How happy are you with {shop}?", least="not at all", most="very"),
        "ces": Asked(question="How easy did {shop} make it for you?", least="very hard", most="very easy"),
        "delivery": Asked(
            question="Did everything arrive as it should?", least="No, something is wrong", most="Yes, all is well"
        ),
    },
    comment="Would you like to tell us more? (optional)",
    answer_button="Send",
    choose="Please choose one of these.",
    answered=Said(title="Thank you.", text="{shop} has your answer."),
    expired=Said(
        title="This link is no longer good.", text="Links in mails work for a time only. A newer mail has a newer one."
    ),
    forged=Said(
        title="This link leads nowhere.", text="Perhaps a part of it was lost on the way. Open it from the mail itself."
    ),
    too_often=Said(title="That was a lot at once.", text="Please try again in a minute."),
    too_long=Said(title="That is too long.", text="Please say it in fewer words."),
    unavailable=Said(title="Not just now.", text="Something is not working here. Please try again in a few minutes."),
)
DE: Final = Words(
    lang="de",
    to_shop="Zu {shop}",
    unsubscribe_title="Abmelden?",
    unsubscribe_text="{shop} schickt dann keine Angebote und Erinnerungen mehr an {address}. "
    "Post zu Ihren Bestellungen kommt weiterhin.",
    unsubscribe_button="Abmelden",
    unsubscribe_instead="Lieber aussuchen, was kommt",
    unsubscribed=Said(
        title="Sie sind abgemeldet.",
        text="{shop} schickt Ihnen keine Angebote und Erinnerungen mehr. Post zu Ihren Bestellungen kommt weiterhin.",
    ),
    preferences_title="Was dürfen wir Ihnen schicken?",
    preferences_text="Es geht um {address}.",
    channels={
        "email": "Angebote und Erinnerungen per E-Mail",
        "sms": "Angebote und Erinnerungen per SMS",
        "push": "Angebote und Erinnerungen als Mitteilung",
    },
    preferences_topics="Wovon möchten Sie hören?",
    preferences_orders="Post zu Ihren Bestellungen kommt in jedem Fall.",
    preferences_button="Speichern",
    saved=Said(title="Gespeichert.", text="Wir halten uns ab jetzt daran."),
    confirm_title="Möchten Sie unsere Neuigkeiten?",
    confirm_text="Jemand hat {shop} die Adresse {address} gegeben. Waren Sie das, sagen Sie Ja; "
    "wenn nicht, schließen Sie diese Seite.",
    confirm_button="Ja, bitte",
    confirmed=Said(title="Danke.", text="Sie hören von {shop}. In jeder Mail steht, wie Sie sich abmelden."),
    surveys={
        "nps": Asked(
            question="Wie wahrscheinlich ist es, dass Sie {shop} weiterempfehlen?",
            least="gar nicht",
            most="sehr wahrscheinlich",
        ),
        "csat": Asked(question="Wie zufrieden sind Sie mit {shop}?", least="gar nicht", most="sehr"),
        "ces": Asked(question="Wie leicht hat {shop} es Ihnen gemacht?", least="sehr schwer", most="sehr leicht"),
        "delivery": Asked(
            question="Ist alles so angekommen, wie es soll?", least="Nein, etwas stimmt nicht", most="Ja, alles gut"
        ),
    },
    comment="Möchten Sie mehr dazu sagen? (freiwillig)",
    answer_button="Absenden",
    choose="Bitte wählen Sie etwas davon.",
    answered=Said(title="Danke.", text="{shop} hat Ihre Antwort."),
    expired=Said(
        title="Dieser Link gilt nicht mehr.",
        text="Links in Mails gelten nur eine Zeit lang. In einer neueren Mail steht ein neuer.",
    ),
    forged=Said(
        title="Dieser Link führt nirgendwohin.",
        text="Vielleicht ist unterwegs ein Stück verloren gegangen. Öffnen Sie ihn aus der Mail selbst.",
    ),
    too_often=Said(title="Das war viel auf einmal.", text="Bitte versuchen Sie es in einer Minute noch einmal."),
    too_long=Said(title="Das ist zu lang.", text="Bitte sagen Sie es mit weniger Worten."),
    unavailable=Said(
        title="Gerade nicht.", text="Hier geht etwas nicht. Bitte versuchen Sie es in ein paar Minuten noch einmal."
    ),
)
LANGUAGES: Final = {words.lang: words for words in (EN, DE)}


def words_for(profile: Profile, storefront: Storefront) -> Words:
    """In the language that they are written to in, if the pages speak it."""
    return LANGUAGES[language_for(profile, storefront, LANGUAGES).language]
