/** The log of `bobbin serve` in JSON: who brought what, in which session, and how long it took. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { serveBinary } from "../support/served_binary.ts";

const spool = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const env = { BOBBIN_PASSWORD: "labpass" };

describe("serve --log-form text", () => {
  test("has a name with what formats take for their own as it is", async () => {
    const server = await serveBinary({ args: ["--log-form", "text"] });
    const name = "100%s%d{0}";
    const { client } = await Csync.open(server.port);
    const sent = Buffer.from(`\0${name}\0wrong`).toString("base64");
    expect((await client.command(`AUTHENTICATE PLAIN ${sent}`)).status).toStartWith("NO ");
    client.close();
    server.child.kill("SIGTERM");
    expect(await server.child.exited).toBe(0);
    expect(server.log()).toMatch(/Sign-in refused.* account="?100%s%d\{0\}"? /);
  }, 60_000);
});

describe("serve --log-form json", () => {
  test("tells messages, bytes and seconds of each session and user, and of all", async () => {
    const server = await serveBinary({ args: ["--log-form", "json"] });
    const to = `sync://admin@127.0.0.1:${server.port}`;
    const args = ["replicate", "ann", "bob", "--from", spool, "--to", to, "--jobs", "1", "--json"];
    const run = await bobbin(args, { env });
    const sent = jsonLines(run.stdout).at(-1);
    expect(run.exit).toBe(0);
    server.child.kill("SIGTERM");
    expect(await server.child.exited).toBe(0);
    const log = jsonLines(server.log());
    const said = (text: string) => log.filter((line) => line["text"] === text);
    const sum = (lines: typeof log, key: string) =>
      lines.reduce((all, line) => all + Number(line[key]), 0);
    const brought = said("Brought a user");
    expect(brought.map(({ user }) => user)).toEqual(["ann", "bob"]);
    for (const { level, account, session, seconds, commands } of brought) {
      expect({ level, account }).toEqual({ level: "info", account: "admin" });
      for (const one of [session, seconds, commands]) expect(Number(one)).toBeGreaterThan(0);
    }
    expect([sum(brought, "messages"), sum(brought, "bytes")]).toEqual([
      ...[Number(sent?.["messages"]), Number(sent?.["bytes"])],
    ]);
    const ended = said("Session has ended");
    const [total] = said("Served");
    expect(new Set(ended.map(({ session }) => session)).size).toBe(ended.length);
    for (const key of ["messages", "commands", "bytesIn", "bytesOut"]) {
      expect([key, total?.[key]]).toEqual([key, sum(ended, key)]);
    }
    expect(sum(ended, "bytesIn")).toBeGreaterThan(sum(brought, "bytes"));
  }, 60_000);
});
