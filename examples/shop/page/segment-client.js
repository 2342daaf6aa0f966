// Segment's own analytics.js, served from this shop. The stub keeps what is called before the library is there; after
// that the library has taken the place of `window.analytics`.

const METHODS = ["page", "track", "identify", "ready"];

export function segmentClient(library, ingest, writeKey) {
  const waiting = (window.analytics = []);
  for (const method of METHODS) waiting[method] = (...said) => waiting.push([method, ...said]);
  waiting._writeKey = writeKey;
  waiting._cdn = ingest; // where it asks for its settings, and learns from them where to send
  document.head.append(Object.assign(document.createElement("script"), { src: library, async: true }));

  return {
    page: (name) => window.analytics.page(name),
    track: (event, properties) => window.analytics.track(event, properties),
    identify: (traits) => window.analytics.identify(traits),
    anonymousId: () => new Promise((tell) => window.analytics.ready(() => tell(window.analytics.user().anonymousId()))),
  };
}
