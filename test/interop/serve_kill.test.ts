/**
 * The server is killed in the middle of a replication by a real sync_client. Started anew, it has all that
 * it acknowledged, and the client's next run brings over the rest.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { makeAccount, noAccounts, writeAccounts } from "../../src/server/accounts.ts";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { type Lab, labIsThere, labUp } from "../support/lab.ts";
import { verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";

const hasLab = labIsThere();
const hasStrace = existsSync("/usr/bin/strace");
if (!hasStrace) console.warn("SKIPPED: kills at every system call: strace is not installed");
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const LAB = join(import.meta.dir, "../support/cyrus-lab/lab");

/** What changes a disk. */
const CALLS =
  "write,writev,pwrite64,fsync,fdatasync,syncfs,link,linkat,rename,renameat,renameat2," +
  "unlink,unlinkat,mkdir,mkdirat,ftruncate";

interface Running {
  readonly child: Subprocess;
  readonly port: number;
  /** Commands it has done, by its log. */
  readonly done: () => string[];
}

describe.skipIf(!hasLab)("bobbin serve, killed", () => {
  const folder = tempDir("serve-kill");
  const users = `${folder}/users`;
  const store = `${folder}/store`;
  const log = `${folder}/log`;
  let lab: Lab;

  beforeAll(async () => {
    const account = await makeAccount("admin", "labpass", ["*"]);
    writeAccounts(users, { ...noAccounts(), byName: new Map([["admin", account]]) });
    lab = await labUp();
    await lab.run("user", "max");
    await lab.run("fill", "max", "30", "--avg-kb", "4");
  });

  afterAll(async () => {
    await lab.down();
  });

  async function serve(prefix: readonly string[] = []): Promise<Running> {
    writeFileSync(log, "");
    const command = [bobbinPath(), "serve", store, "--users-file", users, "--json", "-v"];
    const child = Bun.spawn([...prefix, ...command, "--listen", "127.0.0.1:0"], {
      stdout: "pipe",
      stderr: Bun.file(log),
      stdin: "ignore",
    });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    const text = new TextDecoder().decode(value);
    const port = Number(/:(\d+)"/.exec(text)?.[1] ?? 0);
    return { child, port, done: () => commandsIn(readFileSync(log, "utf8")) };
  }

  /** Runs the client; false if it could not finish in time: without a server it would try for ever. */
  async function sync(port: number, seconds = 60): Promise<boolean> {
    const args = ["sync-client", lab.folder, "127.0.0.1", String(port), "-u", "max"];
    const env = { ...process.env, SYNC_TIMEOUT: String(seconds) };
    const client = Bun.spawn(["bash", LAB, ...args], { env, stdout: "ignore", stderr: "ignore" });
    return (await client.exited) === 0;
  }

  async function freshStore(): Promise<void> {
    rmSync(store, { recursive: true, force: true });
    expect((await bobbin(["store", "init", store])).exit).toBe(0);
  }

  /** After a kill: sound, nothing acknowledged is sent again, and two runs later nothing is left. */
  async function recovers(acknowledged: readonly string[]): Promise<void> {
    const again = await serve();
    expect(await sync(again.port)).toBe(true);
    const repeated = again.done().filter((one) => acknowledged.includes(one));
    expect(repeated.filter((one) => one.startsWith("APPLY mailbox"))).toEqual([]);
    const before = again.done().length;
    expect(await sync(again.port)).toBe(true);
    expect(again.done().slice(before).filter(isChange)).toEqual([]);
    again.child.kill("SIGTERM");
    expect(await again.child.exited).toBe(0);
    verifyStore(store);
  }

  test.skipIf(!hasStrace)(
    "at system calls that change the disk",
    async () => {
      await freshStore();
      const trace = `${folder}/trace`;
      const whole = await serve(["strace", "-D", "-f", "-o", trace, "-e", `trace=${CALLS}`]);
      expect(await sync(whole.port)).toBe(true);
      whole.child.kill("SIGTERM");
      await whole.child.exited;
      const calls = mostOfOneThread(readFileSync(trace, "utf8"));
      expect(calls).toBeGreaterThan(100);
      const step = isLong ? 1 : Math.ceil(calls / 6);
      let killed = 0;
      for (let at = Math.ceil(step / 2); at <= calls; at += step) {
        await freshStore();
        const inject = `inject=${CALLS}:signal=KILL:when=${at}`;
        const options = ["-D", "-f", "-o", "/dev/null", "-e", `trace=${CALLS}`, "-e", inject];
        const victim = await serve(["strace", ...options]);
        if (victim.port > 0 && !(await sync(victim.port, 6))) killed++;
        victim.child.kill("SIGKILL");
        await victim.child.exited;
        await recovers(victim.done());
      }
      if (isLong) console.log(`${calls} system calls, ${killed} replications cut off`);
      expect(killed).toBeGreaterThan(0);
    },
    4 * 3_600_000,
  );

  test(
    "at random moments",
    async () => {
      const rounds = isLong ? 200 : 3;
      let cut = 0;
      for (let round = 0; round < rounds; round++) {
        await freshStore();
        const victim = await serve();
        const client = sync(victim.port, 5);
        // The moments differ by round and by machine; what must hold does not depend on them.
        await Bun.sleep(150 + ((round * 97) % 700));
        victim.child.kill("SIGKILL");
        if (!(await client)) cut++;
        await victim.child.exited;
        await recovers(victim.done());
      }
      if (isLong) console.log(`${rounds} kills at random, ${cut} replications cut off`);
      expect(cut).toBeGreaterThan(0);
    },
    4 * 3_600_000,
  );
});

function commandsIn(text: string): string[] {
  return [...text.matchAll(/Did a command .*command="([^"]+)"(.*) ms=/g)].map(
    ([, command = "", about = ""]) => `${command}${about}`,
  );
}

function isChange(command: string): boolean {
  return command.startsWith("APPLY") && !command.startsWith("APPLY capabilities");
}

/** How often the busiest thread made a call: injected faults are counted by thread. */
function mostOfOneThread(trace: string): number {
  const counts = new Map<string, number>();
  for (const line of trace.split("\n")) {
    const [, thread] = /^(\d+) +\w+\(/.exec(line) ?? [];
    if (thread !== undefined) counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}
