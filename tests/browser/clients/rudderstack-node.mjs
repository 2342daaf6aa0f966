import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const { INGEST, WRITE_KEY, RUN } = process.env;
const at = (minutes) => new Date(Date.parse(process.env.START) + minutes * 60_000);

const analytics = new RudderAnalytics(WRITE_KEY, { dataPlaneUrl: INGEST, flushInterval: 50 });
const userId = `user-${RUN}`;
const anonymousId = `device-${RUN}`;
analytics.page({ anonymousId, name: "Home", originalTimestamp: at(0) });
analytics.track({ anonymousId, event: "Product Viewed", properties: { product_id: "fern" }, originalTimestamp: at(1) });
analytics.identify({ userId, anonymousId, traits: { email: `${userId}@example.com`, firstName: "Ann" }, originalTimestamp: at(2) });
analytics.group({ userId, groupId: "gardeners", traits: { size: 12 }, originalTimestamp: at(3) });
analytics.track({ userId, event: "Completed Order", properties: { order_id: 1001, total: "25.00" }, originalTimestamp: at(4) });
analytics.alias({ userId, previousId: `former-${RUN}`, originalTimestamp: at(5) });
await analytics.flush();
