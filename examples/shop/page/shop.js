// The shop: a page for each hash, drawn from the products and the cart. What it tells Stagepost is in tell.js.

import * as cart from "./cart.js";
import { shown, total } from "./money.js";
import { teller } from "./tell.js";

const [config, catalogue] = await Promise.all(
  ["config.json", "products.json"].map((name) => fetch(name).then((answer) => answer.json())),
);
const products = new Map(catalogue.products.map((product) => [product.product_id, product]));
const money = (price) => shown(price, catalogue.currency);
const tell = teller(config, catalogue.currency);
const view = document.getElementById("view");

// Only our own products and numbers come into these; what visitors type does not.
const card = (product) => `
  <li class="card">
    <a href="#/product/${product.product_id}">
      <img src="${product.image}" alt="" width="320" height="320">
      <span class="kind">${product.category}</span>
      <span class="title">${product.name}</span>
      <span class="price">${money(product.price)}</span>
    </a>
  </li>`;

const line = ({ product_id: id, name, price, image, quantity }) => `
  <li class="line">
    <img src="${image}" alt="" width="72" height="72">
    <a class="title" href="#/product/${id}">${name}</a>
    <span class="steps">
      <button data-less="${id}" aria-label="One less of ${name}">−</button>
      <span>${quantity}</span>
      <button data-more="${id}" aria-label="One more of ${name}">+</button>
    </span>
    <span class="price">${money(total([{ price, quantity }]))}</span>
  </li>`;

const sum = (lines) => `<p class="sum"><span>Total</span><span>${money(total(lines))}</span></p>`;
const nothing = `<section class="quiet"><h1>Nothing in it yet</h1><a class="button" href="#/">Look around</a></section>`;

function home() {
  view.innerHTML = `
    <section class="hero">
      <h1>For the windowsill<br>and the armchair</h1>
      <p>Six things that get better with time. We deliver on Tuesdays, by bicycle.</p>
    </section>
    <ul class="cards" aria-label="Products">${catalogue.products.map(card).join("")}</ul>`;
  tell.page("Home");
}

function productPage(id) {
  const product = products.get(id);
  if (!product) return home();
  view.innerHTML = `
    <article class="product">
      <img src="${product.image}" alt="" width="320" height="320">
      <div>
        <span class="kind">${product.category}</span>
        <h1>${product.name}</h1>
        <p class="price">${money(product.price)}</p>
        <p>${product.about}</p>
        <button class="button" data-add="${id}">Add to cart</button>
        <p class="note" role="status"></p>
      </div>
    </article>`;
  tell.page("Product");
  tell.viewed(product);
}

function drawCart() {
  const lines = cart.lines(products);
  view.innerHTML = lines.length
    ? `<section class="narrow"><h1>Your cart</h1><ul class="lines">${lines.map(line).join("")}</ul>${sum(lines)}
       <a class="button wide" href="#/checkout">To the checkout</a></section>`
    : nothing;
  return lines;
}

function cartPage() {
  const lines = drawCart();
  tell.page("Cart");
  if (lines.length) tell.sawCart(lines);
}

function checkout() {
  const lines = cart.lines(products);
  if (!lines.length) return cartPage();
  const items = lines.map(
    ({ name, quantity, price }) =>
      `<li><span>${quantity} × ${name}</span><span>${money(total([{ price, quantity }]))}</span></li>`,
  );
  view.innerHTML = `
    <section class="narrow">
      <h1>Checkout</h1>
      <form>
        <label for="email">Your email, for the confirmation</label>
        <input id="email" name="email" type="email" autocomplete="email" placeholder="ann@example.com" required>
        <ul class="items">${items.join("")}</ul>
        ${sum(lines)}
        <button class="button wide">Place the order</button>
        <p class="note" role="alert"></p>
      </form>
    </section>`;
  tell.page("Checkout");
  tell.startedCheckout(lines);
}

function thanks(order) {
  view.innerHTML = `
    <section class="quiet"><img src="art/boston-fern.svg" alt="" width="160" height="160">
      <h1>Thank you!</h1><p>Your order <strong id="order"></strong> comes on Tuesday. A mail is on its way to you.</p>
      <a class="button" href="#/">Back to the shop</a></section>`;
  document.getElementById("order").textContent = order;
  tell.page("Thanks");
}

async function order(form) {
  const [button, note] = [form.querySelector("button"), form.querySelector(".note")];
  button.disabled = true;
  try {
    const answer = await fetch("orders", {
      method: "POST",
      body: JSON.stringify({
        cart_id: cart.cartId(),
        email: form.email.value,
        anonymous_id: await tell.anonymousId(),
        lines: cart.lines(products).map(({ product_id, quantity }) => ({ product_id, quantity })),
      }),
    });
    if (!answer.ok) throw new Error(await answer.text());
    const { order_id: id } = await answer.json();
    cart.begin();
    location.hash = `#/thanks/${id}`;
  } catch {
    note.textContent = "That did not work. Nothing was ordered; please try again.";
    button.disabled = false;
  }
}

const PAGES = { product: productPage, cart: cartPage, checkout, thanks };

function draw() {
  const [, name, id] = location.hash.split("/");
  (PAGES[name] ?? home)(decodeURIComponent(id ?? ""));
  count();
  scrollTo(0, 0);
}

const count = () => (document.getElementById("count").textContent = cart.count());

function change(id, quantity) {
  cart.add(id, quantity);
  (quantity > 0 ? tell.added : tell.removed)({ ...products.get(id), quantity: Math.abs(quantity) });
  count();
}

view.addEventListener("click", ({ target }) => {
  const { add, more, less } = target.dataset;
  if (add) {
    change(add, 1);
    view.querySelector(".note").innerHTML = `It is in <a href="#/cart">your cart</a>.`;
  } else if (more || less) {
    change(more ?? less, more ? 1 : -1);
    drawCart();
  }
});
view.addEventListener("change", ({ target }) => {
  // As soon as it is there: whoever leaves now can be reminded of what they left.
  if (target.id === "email" && target.checkValidity()) tell.leftEmail(target.value);
});
view.addEventListener("submit", (event) => {
  event.preventDefault();
  order(event.target);
});
addEventListener("hashchange", () => {
  draw();
  view.focus({ preventScroll: true });
});
draw();
