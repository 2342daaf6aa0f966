// Prices are text, as in products.json, and are added up in cents: 0.1 + 0.2 is not 0.3 in a browser.

const cents = (price) => Math.round(Number(price) * 100);

export const total = (lines) => (lines.reduce((sum, line) => sum + cents(line.price) * line.quantity, 0) / 100).toFixed(2);

export const shown = (price, currency) =>
  new Intl.NumberFormat("en", { style: "currency", currency }).format(Number(price));
