"""The sample shop's own server: its pages, and its catalogue and orders, which it tells Stagepost itself.

    python examples/shop/serve.py

It asks `stagepost endpoints` where a running stack is; `--ingest`, `--browser-key` and `--server-key` name another. It
needs nothing but Python.
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("page")
CATALOGUE: dict[str, Any] = json.loads((PAGE / "products.json").read_text(encoding="utf-8"))
PRODUCTS = {product["product_id"]: product for product in CATALOGUE["products"]}
LIBRARY = "/analytics-next/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Where Stagepost is, and its two keys: the page's, which anybody can read, and the server's, which nobody may."""

    ingest: str
    browser_key: str
    server_key: str
    library: Path | None
    """The folder of analytics-next's bundle; without it the page uses its own small client."""

    def tell(self, path: str, told: object) -> None:
        """Raises URLError when Stagepost has not taken it. Told again under the same id, it counts once."""
        call = urllib.request.Request(  # noqa: S310  the address is the operator's
            self.ingest + path, json.dumps(told).encode(), {"X-Write-Key": self.server_key}
        )
        with urllib.request.urlopen(call, timeout=10):  # noqa: S310
            pass

    @property
    def config(self) -> dict[str, Any]:
        library = f"{LIBRARY}standalone.js" if self.library else None
        return {"ingest": self.ingest, "write_key": self.browser_key, "library": library}


def catalogue() -> list[dict[str, Any]]:
    """What mails call our products: of a page's cart they take only the ids. Links lead to the storefront's address."""
    return [
        {
            **{key: product[key] for key in ("product_id", "name", "price", "category")},
            "currency": CATALOGUE["currency"],
            "url": f"/#/product/{product['product_id']}",
            "image_url": f"/{product['image']}",
        }
        for product in CATALOGUE["products"]
    ]


def order_event(order: dict[str, Any]) -> dict[str, Any]:
    """What the page asks for, at our prices. Raises KeyError or ValueError for what is no order.

    The order is named after its cart: a button that is pressed twice orders once.
    """
    lines = [(PRODUCTS[line["product_id"]], int(line["quantity"])) for line in order["lines"]]
    if not lines or min(quantity for _, quantity in lines) < 1 or "@" not in order["email"]:
        raise ValueError
    order_id = "FF-" + hashlib.sha256(str(order["cart_id"]).encode()).hexdigest()[:8]
    return {
        "id": f"order:{order_id}",
        "name": "Order Completed",
        "email": order["email"],
        "anonymous_id": order.get("anonymous_id"),
        "properties": {
            "order_id": order_id,
            "cart_id": order["cart_id"],
            "currency": CATALOGUE["currency"],
            "total": str(sum(Decimal(product["price"]) * quantity for product, quantity in lines)),
            "products": [
                {key: product[key] for key in ("product_id", "name", "price", "category")} | {"quantity": quantity}
                for product, quantity in lines
            ],
        },
    }


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, shop: Shop, *arguments: Any) -> None:  # noqa: ANN401  as the base class has them
        self.shop = shop
        super().__init__(*arguments, directory=str(PAGE))

    def do_GET(self) -> None:
        if self.path == "/config.json":
            return self.answer(200, self.shop.config)
        if self.shop.library and self.path.startswith(LIBRARY):
            self.directory, self.path = str(self.shop.library), self.path.removeprefix(LIBRARY[:-1])
        return super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 64_000))
        try:
            event = order_event(json.loads(body))
        except (KeyError, TypeError, ValueError):
            return self.answer(400, {"message": "this is no order"})
        try:
            self.shop.tell("/v1/events", event)
        except urllib.error.URLError as error:
            # A real shop keeps the order first, and tells of it until it is taken.
            return self.answer(503, {"message": f"Stagepost has not taken the order: {error}"})
        return self.answer(200, {"order_id": event["properties"]["order_id"]})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Not every request: the address is all that is printed."""


def running_stack() -> dict[str, str]:
    try:
        told = subprocess.run(
            [sys.executable, "-m", "services.devstack", "endpoints", "--json"], capture_output=True, check=True
        )
    except subprocess.CalledProcessError:
        sys.exit("No stack runs here: start one with `make up`, or give --ingest, --browser-key and --server-key.")
    found: dict[str, str] = json.loads(told.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves the sample shop.")
    parser.add_argument("--port", type=int, default=8090, help="0 takes a free one")
    for option in ("--ingest", "--browser-key", "--server-key"):
        parser.add_argument(option, help="of the running stack, unless given")
    parser.add_argument("--library", type=Path, help="dist/umd of npm's @segment/analytics-next, to use that")
    given = parser.parse_args()
    named = (given.ingest, given.browser_key, given.server_key)
    stack = {} if all(named) else running_stack()
    shop = Shop(
        ingest=given.ingest or stack["ingest"],
        browser_key=given.browser_key or stack["browser_key"],
        server_key=given.server_key or stack["write_key"],
        library=given.library,
    )
    try:
        shop.tell("/v1/products", catalogue())
    except urllib.error.URLError as error:
        print(f"Stagepost has not taken the catalogue: {error}", file=sys.stderr)  # noqa: T201
    with ThreadingHTTPServer(("127.0.0.1", given.port), partial(Handler, shop)) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201  a script that says where it is
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
