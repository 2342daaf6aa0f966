import { Analytics } from "@segment/analytics-node";

const { INGEST, WRITE_KEY, RUN } = process.env;
const at = (minutes) => new Date(Date.parse(process.env.START) + minutes * 60_000);

const analytics = new Analytics({ writeKey: WRITE_KEY, host: INGEST, flushInterval: 50 });
analytics.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
const userId = `user-${RUN}`;
const anonymousId = `device-${RUN}`;
analytics.page({ anonymousId, name: "Home", timestamp: at(0) });
analytics.track({ anonymousId, event: "Product Viewed", properties: { product_id: "fern" }, timestamp: at(1) });
analytics.identify({ userId, anonymousId, traits: { email: `${userId}@example.com`, firstName: "Ann" }, timestamp: at(2) });
analytics.group({ userId, groupId: "gardeners", traits: { size: 12 }, timestamp: at(3) });
analytics.track({ userId, event: "Completed Order", properties: { order_id: 1001, total: "25.00" }, timestamp: at(4) });
analytics.alias({ userId, previousId: `former-${RUN}` , timestamp: at(5) });
await analytics.closeAndFlush();
