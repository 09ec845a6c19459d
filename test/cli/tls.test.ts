/**
 * Sync servers behind TLS, as the built binary reaches them: whose certificate is taken, and what
 * is said if not.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { bobbin } from "../support/cli.ts";
import { has, outsideAddress } from "../support/needs.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { tempDir } from "../support/temp_dir.ts";
import { TEST_TLS } from "../support/tls_identity.ts";

const env = { BOBBIN_PASSWORD: "labpass" };
const ca = `${tempDir("tls")}/ca.pem`;
let server: TestServer;

beforeAll(async () => {
  writeFileSync(ca, TEST_TLS.cert);
  server = await testServer({ tls: TEST_TLS });
});
afterAll(() => server.stop());

const ls = (place: string, ...flags: string[]) => bobbin(["ls", place, "anne", ...flags], { env });

describe("a sync server behind TLS", () => {
  test("is believed with --ca, or by who says --insecure, at once or after STARTTLS", async () => {
    const atOnce = `syncs://admin@localhost:${server.tlsPort}`;
    const later = `sync://admin@localhost:${server.port}`;
    for (const flags of [["--ca", ca], ["--insecure"]]) {
      for (const [place, ...more] of [[atOnce], [later, "--starttls", "always"]] as const) {
        const { exit, stderr } = await ls(place, ...flags, ...more);
        // Signed in: there only is nobody yet.
        expect([place, flags, exit]).toEqual([place, flags, 66]);
        const isTold = stderr.includes("whoever sits on the way can read and change everything");
        expect(isTold).toBe(flags.includes("--insecure"));
      }
    }
  });

  test("is not believed otherwise, and the hint says how", async () => {
    const atOnce = `syncs://admin@localhost:${server.tlsPort}`;
    const unknown = await ls(atOnce);
    expect([unknown.exit, unknown.stderr]).toEqual([69, expect.stringMatching(/certificate/)]);
    expect(unknown.stderr).toContain("--ca FILE names the authority to trust");
    const later = await ls(`sync://admin@localhost:${server.port}`, "--starttls", "always");
    expect([later.exit, later.stderr]).toEqual([69, expect.stringMatching(/certificate/)]);
    expect((await ls(atOnce, "--ca", `${ca}.none`)).exit).toBe(74);
    const help = await bobbin(["help", "replicate"]);
    expect(help.stdout.replace(/\s+/g, " ")).toContain(
      "take any certificate: an attacker on the way can then read and change all",
    );
  });

  test("is believed by an authority of the environment, which can turn no check off", async () => {
    const atOnce = `syncs://admin@localhost:${server.tlsPort}`;
    const exits = [];
    for (const more of [
      ...[{ SSL_CERT_FILE: ca }, { NODE_EXTRA_CA_CERTS: ca }],
      { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    ]) {
      exits.push((await bobbin(["ls", atOnce, "anne"], { env: { ...env, ...more } })).exit);
    }
    expect(exits).toEqual([66, 66, 69]);
  });

  test.skipIf(!has("an address besides loopback"))(
    "without TLS to another machine it is said each time what that gives up",
    async () => {
      // The only way to be another machine: nothing that listens on loopback is one.
      const outside = outsideAddress() ?? "";
      const bare = await testServer({ host: outside });
      try {
        const there = `sync://admin@${outside}:${bare.port}`;
        const told = await ls(there);
        expect([told.exit, told.stderr]).toEqual([
          66,
          expect.stringContaining(`Nothing is encrypted between here and ${outside}`),
        ]);
        const store = `${tempDir("tls-store")}/store`;
        await bobbin(["store", "init", store]);
        const run = ["replicate", "anne", "--from", store, "--to", there];
        expect((await bobbin(run, { env })).stderr).toContain("Nothing is encrypted");
        const always = await ls(there, "--starttls", "always");
        expect([always.exit, always.stderr]).toEqual([77, expect.stringMatching(/no.*STARTTLS/)]);
        const here = await ls(`sync://admin@127.0.0.1:${server.port}`);
        expect([here.exit, here.stderr]).toEqual([66, expect.not.stringContaining("encrypted")]);
      } finally {
        await bare.stop();
      }
    },
  );
});
