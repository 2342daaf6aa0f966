// Shopify's sandbox for custom pixels, as far as a pixel sees it, and one visit: events in the shape of its Web Pixels API.

const subscribed = {};
const analytics = { subscribe: (name, told) => (subscribed[name] = told) };

function playVisit({ run, email }) {
  const product = { id: "632910392", title: "Boston fern", untranslatedTitle: "Boston fern", type: "Plants", vendor: "Fern & Fable", url: "/products/fern" };
  const price = { amount: 24.9, currencyCode: "EUR" };
  const variant = { id: "808950810", title: "Small", untranslatedTitle: "Small", sku: "FERN-S", price, image: { src: "/fern.png" }, product };
  const line = { cost: { totalAmount: { amount: 49.8, currencyCode: "EUR" } }, merchandise: variant, quantity: 2 };
  const checkout = {
    token: `checkout-${run}`,
    currencyCode: "EUR",
    email: null,
    phone: null,
    subtotalPrice: { amount: 49.8, currencyCode: "EUR" },
    totalPrice: { amount: 49.8, currencyCode: "EUR" },
    lineItems: [{ id: "1", quantity: 2, title: "Boston fern", variant }],
    order: null,
  };
  const visit = [
    ["page_viewed", {}],
    ["search_submitted", { searchResult: { query: "fern", productVariants: [variant] } }],
    ["product_viewed", { productVariant: variant }],
    ["product_added_to_cart", { cartLine: line }],
    ["cart_viewed", { cart: { id: "c", cost: line.cost, lines: [line], totalQuantity: 2 } }],
    ["checkout_started", { checkout }],
    ["checkout_contact_info_submitted", { checkout }],
    ["checkout_contact_info_submitted", { checkout: { ...checkout, email } }],
    ["checkout_completed", { checkout: { ...checkout, email, order: { id: "1" } } }],
  ];
  const context = { document: { title: "Fern & Fable", location: { href: "https://shop.example/" } } };
  visit.forEach(([name, data], number) => {
    const told = { id: `${run}-${number}`, clientId: `visitor-${run}`, name, timestamp: new Date().toISOString(), type: "standard", data, context };
    subscribed[name]?.(told);
  });
}
