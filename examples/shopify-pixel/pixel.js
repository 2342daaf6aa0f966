// What visitors of a Shopify shop look at and put into their carts, for Stagepost. Webhooks tell of no visit, and their
// carts have no address.
//
// In Shopify: Settings → Customer events → Add custom pixel; paste all of this; put your host and a *browser* key here;
// choose the customer privacy permissions that the shop needs; Save, Connect.
//
// It does not tell of orders: `orders/create` does, signed by Shopify, where a page can be made to say anything.

const HOST = "https://events.shop.example";
const KEY = "YOUR_BROWSER_KEY";

const about = (variant, quantity) => ({
  product_id: variant.product.id,
  variant_id: variant.id,
  sku: variant.sku,
  name: variant.product.title,
  category: variant.product.type,
  brand: variant.product.vendor,
  variant: variant.title,
  price: variant.price.amount,
  currency: variant.price.currencyCode,
  quantity,
});
const item = ({ merchandise, quantity }) => about(merchandise, quantity);
const checkoutOf = ({ checkout }) => ({
  checkout_id: checkout.token, // as the webhooks call it: by it the cart and the order are known to be one
  currency: checkout.currencyCode,
  value: checkout.totalPrice?.amount,
  products: checkout.lineItems.filter(({ variant }) => variant).map(({ variant, quantity }) => about(variant, quantity)),
});

// Each of Shopify's events has an id of its own and the visitor's, so what is sent again counts once.
const tell = (type, said) => ({ id, clientId, timestamp, data, context }) => {
  const told = said(data);
  if (!told) return;
  fetch(`${HOST}/v1/${type}`, {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "text/plain" },
    body: JSON.stringify({
      writeKey: KEY,
      messageId: `shopify-pixel:${id}`,
      anonymousId: clientId,
      timestamp,
      sentAt: new Date().toISOString(),
      context: { page: { url: context?.document?.location?.href, title: context?.document?.title } },
      ...told,
    }),
  }).catch(() => {}); // a shop's page is not troubled by us
};
const track = (event, properties) => tell("track", (data) => ({ event, properties: properties(data) }));

analytics.subscribe("page_viewed", tell("page", () => ({ properties: {} })));
analytics.subscribe("search_submitted", track("Products Searched", ({ searchResult }) => ({ query: searchResult.query })));
analytics.subscribe("product_viewed", track("Product Viewed", ({ productVariant }) => about(productVariant)));
analytics.subscribe("product_added_to_cart", track("Product Added", ({ cartLine }) => item(cartLine)));
analytics.subscribe("product_removed_from_cart", track("Product Removed", ({ cartLine }) => item(cartLine)));
analytics.subscribe("cart_viewed", track("Cart Viewed", ({ cart }) => ({ products: cart?.lines.map(item) ?? [] })));
analytics.subscribe("checkout_started", track("Checkout Started", checkoutOf));
analytics.subscribe(
  "checkout_contact_info_submitted",
  tell("identify", ({ checkout: { email, phone } }) => (email || phone) && { traits: { email, phone } }),
);
