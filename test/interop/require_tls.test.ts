/** A real sync_client from another address than loopback: TLS is used, though nobody told it to. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Lab, labUp } from "../support/lab.ts";
import { has, outsideAddress } from "../support/needs.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { TEST_TLS } from "../support/tls_identity.ts";

const isThere = has("a Cyrus server") && has("an address besides loopback");

describe.skipIf(!isThere)("sync_client of a real Cyrus and a server that requires TLS", () => {
  let lab: Lab;
  const servers: TestServer[] = [];

  beforeAll(async () => {
    lab = await labUp();
    await lab.run("user", "ann");
    await lab.run("fill", "ann", "20", "--seed", "1", "--avg-kb", "4");
  });

  afterAll(async () => {
    await lab.down();
    for (const server of servers) await server.stop();
  });

  test.each([
    ["another address", outsideAddress() ?? "", "others"],
    ["loopback", "127.0.0.1", "all"],
  ] as const)("from %s begins TLS, signs in and brings a user", async (_, host, requireTls) => {
    const server = await testServer({ host, tls: TEST_TLS, settings: { requireTls } });
    servers.push(server);
    await lab.run("sync-client", host, String(server.port), "-u", "ann");
    const signIns = server.log.filter((line) => line.includes("Signed in"));
    expect(signIns.length).toBeGreaterThan(0);
    for (const line of signIns) expect(line).toContain(`peer=${host}`);
    for (const line of signIns) expect(line).toContain("tls=true");
    const found = await server.place.user("ann");
    expect(found.kind === "ok" ? found.value.mailboxes.length : 0).toBeGreaterThan(3);
  });
});
