/**
 * `bobbin serve`, as built, ends within `--stop-timeout`, whatever strangers left and wherever its
 * log goes.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Csync } from "../support/csync.ts";
import { type ServedBinary, serveBinary } from "../support/served_binary.ts";
import { tempDir } from "../support/temp_dir.ts";
import { TEST_TLS } from "../support/tls_identity.ts";
import { until } from "../support/until.ts";

let served: ServedBinary;

afterEach(() => {
  served.child.kill("SIGKILL");
});

/** Milliseconds from SIGTERM to the end. */
async function stop(): Promise<number> {
  const begin = performance.now();
  served.child.kill("SIGTERM");
  expect(await served.child.exited).toBe(0);
  return performance.now() - begin;
}

/** A connection that has been greeted. */
function dial(from = "127.0.0.1"): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const socket = connect({ host: "127.0.0.1", port: served.port, localAddress: from });
  socket.on("error", () => undefined);
  socket.once("data", () => resolve(socket));
  return promise;
}

const WRONG = `AUTHENTICATE PLAIN ${Buffer.from("\0admin\0wrong").toString("base64")}\r\n`;

describe("SIGTERM", () => {
  test("ends what guessers have left", async () => {
    served = await serveBinary({ args: ["--stop-timeout", "2"] });
    for (let count = 0; count < 12; count++) {
      const socket = await dial("127.0.0.50");
      socket.end(WRONG);
    }
    // Others wait for their answer.
    const waiting = await Promise.all(Array.from({ length: 6 }, () => dial("127.0.0.51")));
    for (const socket of waiting) socket.write(WRONG);
    await until("a refusal", () => /Sign-in refused/.test(served.log()));
    expect(await stop()).toBeLessThan(2500);
  }, 30_000);

  test("drops guesses whose clients have gone", async () => {
    served = await serveBinary();
    for (let count = 0; count < 12; count++) (await dial("127.0.0.50")).end(WRONG);
    // Had they to be checked first, this would take minutes.
    const honest = await Csync.signedIn(served.port);
    honest.close();
    expect(served.log().match(/Sign-in refused/g)?.length ?? 0).toBeLessThan(5);
  }, 30_000);

  test("ends half-open connections, unfinished lines and handshakes", async () => {
    const [cert, key] = [`${tempDir("tls")}/cert`, `${tempDir("tls")}/key`];
    writeFileSync(cert, String(TEST_TLS.cert));
    writeFileSync(key, String(TEST_TLS.key));
    served = await serveBinary({
      args: ["--stop-timeout", "2", "--tls-cert", cert, "--tls-key", key],
    });
    const shaking = await dial();
    shaking.write("STARTTLS\r\n");
    await new Promise((resolve) => shaking.once("data", resolve));
    shaking.write(Uint8Array.of(22, 3, 1, 2, 0, 1));
    const silent = await dial();
    const begun = await dial();
    begun.write("AUTHENTICATE PLA");
    const asked = await dial();
    asked.write("AUTHENTICATE PLAIN\r\n");
    const line = await Csync.signedIn(served.port);
    line.send("APPLY MAILBOX %(UNIQUEID x RECORD (");
    expect(await stop()).toBeLessThan(2500);
    for (const socket of [shaking, silent, begun, asked]) socket.destroy();
    line.close();
  }, 30_000);
});

describe("a log that goes to a pipe which nobody reads", () => {
  test("stops nothing, and says how many lines were lost when somebody reads again", async () => {
    const path = `${tempDir("pipe")}/pipe`;
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    served = await serveBinary({
      args: ["--stop-timeout", "2", "--listen", "127.0.0.1:0"],
      stderr: writer,
    });
    closeSync(writer);
    const client = await Csync.signedIn(served.port);
    // Each refusal is a line; 64 KiB fill the pipe.
    for (let count = 0; count < 900; count++) {
      const { status } = await client.command(`APPLY UNMAILBOX user.nobody${count}`);
      expect(status).toStartWith("NO ");
    }
    const other = await Csync.signedIn(served.port);
    expect((await other.command("NOOP")).status).toBe("OK Nothing done");
    const read = (): string => {
      const bytes = new Uint8Array(1 << 20);
      return Buffer.from(bytes.subarray(0, readSync(reader, bytes))).toString();
    };
    expect(read().split("\n").length).toBeLessThan(700);
    await client.command("APPLY UNMAILBOX user.nobody");
    expect(read()).toMatch(/linesLostBefore=[1-9]\d\d/);
    for (let count = 0; count < 900; count++) await client.command("APPLY UNMAILBOX user.nobody");
    expect(await stop()).toBeLessThan(2500);
    closeSync(reader);
  }, 60_000);
});
