/** Signals to the built binary: SIGHUP and SIGUSR1 end nothing; `serve` reads its files again. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { bobbinPath } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { type ServedBinary, serveBinary } from "../support/served_binary.ts";
import { tempDir } from "../support/temp_dir.ts";
import { EXPIRED_TLS, RENEWED_TLS, TEST_TLS } from "../support/tls_identity.ts";
import { until } from "../support/until.ts";

function write(folder: string, { cert, key }: { readonly cert: string; readonly key: string }) {
  writeFileSync(join(folder, "key.pem"), key);
  writeFileSync(join(folder, "cert.pem"), cert);
}

const tlsArgs = (folder: string) => [
  ...["--tls-cert", join(folder, "cert.pem"), "--tls-key", join(folder, "key.pem")],
];

/** The name in the certificate that is shown after STARTTLS. */
async function shownBy({ port }: ServedBinary): Promise<string | undefined> {
  const { client } = await Csync.open(port);
  await client.startTls();
  const name = client.certificateName;
  client.close();
  return name;
}

const saidIn = (server: ServedBinary, text: string) =>
  until(`the log says ${text}`, () => server.log().includes(text));

async function stop({ child }: ServedBinary): Promise<number> {
  child.kill("SIGTERM");
  return child.exited;
}

describe("bobbin serve", () => {
  test("shows a renewed certificate, keeps sessions, and the old one if it is bad", async () => {
    const folder = tempDir("renewed");
    write(folder, TEST_TLS);
    const server = await serveBinary({ args: tlsArgs(folder) });
    const session = await Csync.signedIn(server.port);
    expect(await shownBy(server)).toBe("localhost");
    write(folder, RENEWED_TLS);
    expect(await shownBy(server)).toBe("renewed"); // it has seen the change by itself
    writeFileSync(join(folder, "cert.pem"), "broken");
    server.child.kill("SIGHUP");
    await saidIn(server, "the certificate of before stays");
    expect(await shownBy(server)).toBe("renewed");
    write(folder, EXPIRED_TLS);
    server.child.kill("SIGHUP");
    await saidIn(server, "The certificate has expired");
    expect(await shownBy(server)).toBe("expired");
    server.child.kill("SIGUSR1");
    await saidIn(server, "notice State sessions=");
    expect(server.log()).toMatch(/State .*certificateUntil=2021-01-01T00:00:00.000Z/);
    expect((await session.command("NOOP")).status).toBe("OK Nothing done");
    session.close();
    expect(await stop(server)).toBe(0);
  });

  test("warns at its start of what would go in clear, and of nothing else", async () => {
    const folder = tempDir("clear");
    write(folder, TEST_TLS);
    const all = ["--listen", "0.0.0.0:0"];
    const told: Readonly<Record<string, readonly [readonly string[], boolean]>> = {
      "no certificate": [all, true],
      "this machine alone": [[], false],
      "a certificate": [[...all, ...tlsArgs(folder)], false],
      "TLS waived": [[...all, ...tlsArgs(folder), "--no-require-tls"], true],
      "plain passwords wanted": [[...all, ...tlsArgs(folder), "--allow-plaintext"], true],
      "TLS at once": [["--listen-tls", "0.0.0.0:0", ...tlsArgs(folder)], false],
    };
    for (const [name, [args, isWarned]] of Object.entries(told)) {
      const server = await serveBinary({ args });
      expect([name, await stop(server)]).toEqual([name, 0]);
      expect([name, server.log().includes("warning TLS is not required")]).toEqual([
        name,
        isWarned,
      ]);
    }
  });
});

describe("any command", () => {
  test("goes on at SIGHUP and SIGUSR1, and tells how far it is", async () => {
    // The server that is asked says nothing, so the command waits for its greeting.
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const connected = new Promise((resolve) => silent.once("connection", resolve));
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    const child = Bun.spawn([bobbinPath(), "ls", `sync://a@127.0.0.1:${port}`], {
      stdout: "ignore",
      stderr: "pipe",
    });
    await connected;
    child.kill("SIGHUP");
    child.kill("SIGUSR1");
    const { value } = await child.stderr.getReader().read();
    expect(new TextDecoder().decode(value)).toMatch(/^bobbin ls: running for \d+ s/);
    expect(child.exitCode).toBeNull();
    expect(child.signalCode).toBeNull();
    child.kill("SIGKILL");
    await child.exited;
    silent.close();
  });
});
