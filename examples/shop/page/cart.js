// What is in the cart. It has an id of its own from the first thing put in to the order, so that all that is told of it,
// by the page and by the shop's server, is told of one cart.

const KEPT = "fern-and-fable.cart";

const read = () => JSON.parse(localStorage.getItem(KEPT)) ?? { id: crypto.randomUUID(), quantities: {} };
const write = (cart) => localStorage.setItem(KEPT, JSON.stringify(cart));

export const cartId = () => read().id;

export const lines = (products) =>
  Object.entries(read().quantities)
    .filter(([id]) => products.has(id)) // not what is no longer sold
    .map(([id, quantity]) => ({ ...products.get(id), quantity }));

export const count = () => Object.values(read().quantities).reduce((sum, quantity) => sum + quantity, 0);

export function add(id, quantity) {
  const cart = read();
  const now = (cart.quantities[id] ?? 0) + quantity;
  if (now > 0) cart.quantities[id] = now;
  else delete cart.quantities[id];
  write(cart);
}

export const begin = () => localStorage.removeItem(KEPT);
