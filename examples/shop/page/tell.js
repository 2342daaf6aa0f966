// Everything that Stagepost is told by this page, in the words of the e-commerce spec. The order is not among it: what a
// page says can be made up by anybody, so the shop's server tells of orders.

import { cartId } from "./cart.js";
import { total } from "./money.js";
import { segmentClient } from "./segment-client.js";
import { smallClient } from "./small-client.js";

export function teller({ ingest, write_key: key, library }, currency) {
  const client = library ? segmentClient(library, ingest, key) : smallClient(ingest, key);

  const about = ({ product_id, name, price, category, image, quantity = 1 }) => ({
    product_id,
    name,
    price: Number(price),
    category,
    quantity,
    url: new URL(`#/product/${product_id}`, location.href).href,
    image_url: new URL(image, location.href).href,
  });
  const cart = (lines) => ({
    cart_id: cartId(),
    currency,
    value: Number(total(lines)),
    products: lines.map(about),
  });

  return {
    page: (name) => client.page(name),
    viewed: (product) => client.track("Product Viewed", { ...about(product), currency }),
    added: (product) => client.track("Product Added", { cart_id: cartId(), ...about(product), currency }),
    removed: (product) => client.track("Product Removed", { cart_id: cartId(), ...about(product), currency }),
    sawCart: (lines) => client.track("Cart Viewed", cart(lines)),
    startedCheckout: (lines) => client.track("Checkout Started", cart(lines)),
    leftEmail: (email) => client.identify({ email }),
    anonymousId: () => client.anonymousId(),
  };
}
