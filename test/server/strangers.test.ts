/** Strangers that open all the connections they can keep nobody out who has signed in before. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Csync } from "../support/csync.ts";
import { type TestServer, testServer, untilSessions } from "../support/serve.ts";

const SESSIONS = 8;
/** What is left of them for strangers. */
const OF_STRANGERS = 6;
const [KNOWN, STRANGER, OTHER] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

describe("strangers at all connections", () => {
  let server: TestServer;
  const strangers: Csync[] = [];

  async function opened(from: string | undefined): Promise<string> {
    const { client, banner } = await Csync.open(server.port, { from });
    strangers.push(client);
    return banner.status;
  }

  beforeAll(async () => {
    server = await testServer({ limits: { sessions: SESSIONS } });
  });

  afterAll(async () => {
    for (const one of strangers) one.close();
    await server.stop();
  });

  test("leave some to an address that has signed in, and to no other", async () => {
    (await Csync.signedIn(server.port)).close();
    await untilSessions(server, 0);
    for (let count = 0; count < OF_STRANGERS; count++) {
      expect(await opened(count % 2 === 0 ? STRANGER : OTHER)).toStartWith("* OK ");
    }
    for (const from of [STRANGER, "127.0.0.4"]) {
      expect(await opened(from)).toBe("* Fatal error: too many connections");
    }
    const known = await Csync.signedIn(server.port);
    expect((await known.command("NOOP")).status).toBe("OK Nothing done");
    expect(await opened(KNOWN)).toStartWith("* OK ");
    expect(await opened(KNOWN)).toBe("* Fatal error: too many connections");
    known.close();
  });
});
