/** Where TLS is required nothing is taken before it, by no way in. */
import { afterEach, describe, expect, test } from "bun:test";
import { Csync } from "../../support/csync.ts";
import { has, outsideAddress } from "../../support/needs.ts";
import { type TestServer, type TestServerOptions, testServer } from "../../support/serve.ts";
import { TEST_TLS } from "../../support/tls_identity.ts";

const servers: TestServer[] = [];
const clients: Csync[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) await server.stop();
});

async function open(options: TestServerOptions, host?: string) {
  const server = await testServer({ tls: TEST_TLS, ...options });
  servers.push(server);
  const { client, banner } = await Csync.open(server.port, host === undefined ? {} : { host });
  clients.push(client);
  return { server, client, banner };
}

const PLAIN = Buffer.from("\0admin\0labpass").toString("base64");
const SCRAM = Buffer.from("n,,n=admin,r=fyko+d2lbbFgONRv9qkxdawL").toString("base64");

async function expectOnlyTls(client: Csync, banner: { readonly data: readonly string[] }) {
  expect(banner.data).toEqual(["STARTTLS"]);
  for (const line of [
    `AUTHENTICATE PLAIN ${PLAIN}`,
    `AUTHENTICATE SCRAM-SHA-256 ${SCRAM}`,
    "AUTHENTICATE PLAIN",
    "COMPRESS DEFLATE",
    "GET USER anne",
  ]) {
    expect([line, (await client.command(line)).status]).toEqual([
      line,
      expect.stringMatching(/^NO /),
    ]);
  }
  const { data } = await client.startTls();
  expect(data).toEqual(["SASL SCRAM-SHA-256 PLAIN", "SIEVE-MAILBOX"]);
  const { status } = await client.command(`AUTHENTICATE PLAIN ${PLAIN}`);
  expect(status).toBe("OK Signed in with TLS");
}

describe("a server that requires TLS", () => {
  test("of all offers nothing but STARTTLS, to this machine too", async () => {
    const { client, banner } = await open({ settings: { requireTls: "all" } });
    await expectOnlyTls(client, banner);
  });

  test("of others leaves this machine its choice", async () => {
    const { client, banner } = await open({ settings: { requireTls: "others" } });
    expect(banner.data).toContain("SASL SCRAM-SHA-256 PLAIN");
    expect((await client.command(`AUTHENTICATE PLAIN ${PLAIN}`)).status).toStartWith("OK ");
  });

  test.skipIf(!has("an address besides loopback"))(
    "of others takes nothing of them before TLS, and a sign-in without it is warned of",
    async () => {
      const host = outsideAddress() ?? "";
      const strict = await open({ host, settings: { requireTls: "others" } }, host);
      await expectOnlyTls(strict.client, strict.banner);
      expect(strict.server.log.join("\n")).not.toContain("without TLS");
      const settings = { requireTls: "nobody", allowPlaintext: true } as const;
      const loose = await open({ host, settings }, host);
      const { status } = await loose.client.command(`AUTHENTICATE PLAIN ${PLAIN}`);
      expect(status).toStartWith("OK ");
      expect(loose.server.log.join("\n")).toMatch(
        / warning Signed in from another machine without TLS .*account=admin/,
      );
    },
  );
});
