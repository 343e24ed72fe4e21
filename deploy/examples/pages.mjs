// Prints every page as it comes, with nats.js. Killed and started again it misses none: its durable consumer knows where it was.
// Needs: npm install @nats-io/transport-node @nats-io/jetstream
// NATS_URL is where JetStream is: `faxstream nats-credentials` prints it for the embedded server with --nats-listen.
import { connect } from "@nats-io/transport-node";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const url = new URL(process.env.NATS_URL);
const nc = await connect({
  servers: url.host,
  user: decodeURIComponent(url.username) || undefined,
  pass: decodeURIComponent(url.password) || undefined,
  maxReconnectAttempts: -1,
});
const manager = await jetstreamManager(nc);
await manager.consumers.add("FAX_PAGES", {
  durable_name: "example-node",
  filter_subject: "fax.v1.page.archived.>",
  ack_policy: AckPolicy.Explicit,
});
const pages = await jetstream(nc).consumers.get("FAX_PAGES", "example-node");
for await (const m of await pages.consume({ max_messages: 8 })) {
  const page = m.json();
  console.log(page.session, page.page); // your own work; acknowledge when its result is stored
  if (!(await m.ackAck())) console.error("it comes again");
}
