// A client of Stagepost without any library: Segment's HTTP calls by `fetch`. What was not taken yet is kept in the
// browser and sent again under the same id, so nothing is lost when a page is left or the network is, and nothing counts
// twice. `text/plain` spares each call the browser's question whether it may be made.

const KEPT = "stagepost.calls";
const DEVICE = "stagepost.device";
const read = (name, otherwise) => JSON.parse(localStorage.getItem(name)) ?? otherwise;
const write = (name, value) => localStorage.setItem(name, JSON.stringify(value));

export function smallClient(ingest, writeKey) {
  const anonymousId = read(DEVICE, crypto.randomUUID());
  write(DEVICE, anonymousId);
  let sending = Promise.resolve();

  async function sendAll() {
    for (let calls = read(KEPT, []); calls.length > 0; calls = read(KEPT, [])) {
      const answer = await fetch(`${ingest}/v1/batch`, {
        method: "POST",
        keepalive: true,
        headers: { "Content-Type": "text/plain" },
        body: JSON.stringify({ writeKey, sentAt: new Date().toISOString(), batch: [calls[0]] }),
      });
      // 429 and 5xx say "later"; what is refused otherwise would be refused again.
      if (answer.status === 429 || answer.status >= 500) return;
      write(KEPT, read(KEPT, []).slice(1));
    }
  }
  const send = () => (sending = sending.then(sendAll).catch(() => {})); // offline: when the network is back
  const call = (type, said) => {
    const stamp = { messageId: crypto.randomUUID(), timestamp: new Date().toISOString() };
    write(KEPT, [...read(KEPT, []), { type, ...stamp, anonymousId, ...said }]);
    send();
  };
  addEventListener("online", send);
  send();

  return {
    page: (name) => call("page", { name, properties: { url: location.href, title: document.title } }),
    track: (event, properties) => call("track", { event, properties }),
    identify: (traits) => call("identify", { traits }),
    anonymousId: async () => anonymousId,
  };
}
