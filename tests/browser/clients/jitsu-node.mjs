import { jitsuAnalytics } from "@jitsu/js";

const { INGEST, WRITE_KEY, RUN } = process.env;

const jitsu = jitsuAnalytics({ host: INGEST, writeKey: `${WRITE_KEY}:jitsu` });
const userId = `user-${RUN}`;
await jitsu.page({ name: "Home" });
await jitsu.track("Product Viewed", { product_id: "fern" });
await jitsu.identify(userId, { email: `${userId}@example.com`, firstName: "Ann" });
await jitsu.group("gardeners", { size: 12 });
await jitsu.track("Completed Order", { order_id: 1001, total: "25.00" });
