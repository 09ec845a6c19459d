/**
 * The server is killed in the middle of a replication by a real sync_client. Started anew, it has
 * all that it acknowledged, and the client's next run brings over the rest.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { makeAccount, noAccounts } from "../../src/accounts/account.ts";
import { writeAccounts } from "../../src/accounts/users_file.ts";
import { errnoOf } from "../../src/core/errors.ts";
import { bobbin, bobbinPath, listeningPorts } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import {
  type DiskCall,
  diskCallsIn,
  killBefore,
  record,
  storeThreads,
} from "../support/disk_calls.ts";
import { type Lab, labUpInMemory } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

const hasLab = has("a Cyrus server");
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const LAB = join(import.meta.dir, "../support/cyrus-lab/lab");

interface Running {
  readonly child: Subprocess;
  readonly port: number;
  /** When its client had signed in, by the log. */
  readonly signedIn: () => Promise<void>;
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
    lab = await labUpInMemory();
    await lab.run("user", "max");
    await lab.run("fill", "max", "30", "--avg-kb", "4");
    await lab.run("user", "ida", "--plain");
    await lab.run("fill", "ida", "6", "--avg-kb", "4");
  }, 120_000);

  afterAll(async () => {
    await lab.down();
  });

  async function serve(): Promise<Running> {
    writeFileSync(log, "");
    const command = [bobbinPath(), "serve", store, "--users-file", users, "--json", "-v"];
    const child = Bun.spawn([...command, "--listen", "127.0.0.1:0"], {
      stdout: "pipe",
      stderr: Bun.file(log),
      stdin: "ignore",
    });
    const [port = 0] = await listeningPorts(child);
    const signedIn = async () => {
      await until("a client signed in", () => readFileSync(log, "utf8").includes("Signed in"));
    };
    return { child, port, signedIn, done: () => commandsIn(readFileSync(log, "utf8")) };
  }

  /**
   * Runs the client to its end, or to that of the server, whom it would try to reach for ever: then
   * false.
   */
  async function sync({ port, child }: Running, user: string): Promise<boolean> {
    const args = ["sync-client", lab.folder, "127.0.0.1", String(port), "-u", user];
    const env = { ...process.env, SYNC_TIMEOUT: "60" };
    const client = Bun.spawn(["bash", LAB, ...args], { env, stdout: "ignore", stderr: "ignore" });
    const first = await Promise.race([client.exited, child.exited.then(() => "killed" as const)]);
    if (first === "killed") endLast(client.pid);
    return (await client.exited) === 0;
  }

  async function freshStore(): Promise<void> {
    rmSync(store, { recursive: true, force: true });
    expect((await bobbin(["store", "init", store])).exit).toBe(0);
  }

  /**
   * After a kill: sound, nothing acknowledged is sent again, and two runs later nothing is left.
   */
  async function recovers(acknowledged: readonly string[], user: string): Promise<void> {
    const again = await serve();
    expect(await sync(again, user)).toBe(true);
    const repeated = again.done().filter((one) => acknowledged.includes(one));
    expect(repeated.filter((one) => one.startsWith("APPLY mailbox"))).toEqual([]);
    const before = again.done().length;
    expect(await sync(again, user)).toBe(true);
    expect(again.done().slice(before).filter(isChange)).toEqual([]);
    again.child.kill("SIGTERM");
    expect(await again.child.exited).toBe(0);
    verifyStore(store);
  }

  /**
   * A server on a new store whose threads have begun: those that the user's replication will have.
   */
  async function warmServer(user: string): Promise<Running> {
    await freshStore();
    const server = await serve();
    const client = await Csync.signedIn(server.port);
    expect((await client.command(`GET USER ${user}`)).status).toStartWith("OK");
    // Threads that write begin when they are needed. This begins one, and changes nothing.
    const nothing = await client.command(`APPLY UNMAILBOX user.${user}.none`);
    expect(nothing.status).toStartWith("NO IMAP_MAILBOX_NONEXISTENT");
    expect((await client.command("EXIT")).status).toStartWith("OK");
    client.close();
    return server;
  }

  /** Every change of the disk in one undisturbed replication. */
  async function allCalls(user: string): Promise<DiskCall[]> {
    const trace = `${folder}/trace`;
    const whole = await warmServer(user);
    const threads = storeThreads(whole.child.pid);
    const strace = await record(whole.child.pid, trace);
    expect(await sync(whole, user)).toBe(true);
    whole.child.kill("SIGTERM");
    await Promise.all([whole.child.exited, strace.exited]);
    const calls = diskCallsIn(readFileSync(trace, "utf8"), { threads, root: store });
    // Messages come in one thread and mailboxes are made in another.
    expect(new Set(calls.map(({ thread }) => thread)).size).toBe(2);
    return calls;
  }

  test.skipIf(!has("strace"))(
    "at every system call that changes the disk",
    async () => {
      const user = "ida";
      const calls = await allCalls(user);
      expect(calls.length).toBeGreaterThan(80);
      const step = isLong ? 1 : Math.ceil(calls.length / 6);
      const tried = calls.filter((_, at) => at % step === step >> 1);
      let cut = 0;
      let late = 0;
      for (const call of tried) {
        const victim = await warmServer(user);
        const strace = await killBefore(victim.child.pid, call);
        const isCut = !(await sync(victim, user));
        // Some calls come when the client has gone, or in a stop.
        victim.child.kill("SIGTERM");
        await Promise.all([victim.child.exited, strace.exited]);
        if (isCut) cut++;
        else if (victim.child.signalCode === "SIGKILL") late++;
        await recovers(victim.done(), user);
      }
      const never = tried.length - cut - late;
      console.log(
        `server killed before ${tried.length} of ${calls.length} changes of the disk: ` +
          `${cut} replications cut off, ${late} had just ended, ${never} calls were not met again`,
      );
      expect(cut / tried.length).toBeGreaterThan(0.5);
      expect(never / tried.length).toBeLessThan(0.05);
    },
    3_600_000,
  );

  test("at random moments", async () => {
    const user = "max";
    const rounds = isLong ? 200 : 3;
    const lastsMs = await duration(user);
    let cut = 0;
    for (let round = 0; round < rounds; round++) {
      await freshStore();
      const victim = await serve();
      const client = sync(victim, user);
      await victim.signedIn();
      // Spread evenly; what happens at a moment differs by machine, what must hold does not.
      await Bun.sleep(lastsMs * ((round * GOLDEN_RATIO) % 1));
      victim.child.kill("SIGKILL");
      if (!(await client)) cut++;
      await victim.child.exited;
      await recovers(victim.done(), user);
    }
    console.log(
      `server killed ${rounds} times within ${lastsMs.toFixed(0)} ms: ${cut} replications cut off`,
    );
    if (isLong) expect(cut / rounds).toBeGreaterThanOrEqual(0.7);
    else expect(cut).toBeGreaterThan(0);
  }, 3_600_000);

  /** Milliseconds from sign-in to the client's end, undisturbed: the shortest of three. */
  async function duration(user: string): Promise<number> {
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      await freshStore();
      const server = await serve();
      const client = sync(server, user);
      await server.signedIn();
      const started = performance.now();
      expect(await client).toBe(true);
      times.push(performance.now() - started);
      server.child.kill("SIGTERM");
      await server.child.exited;
    }
    return Math.min(...times);
  }
});

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/** Ends the last of a chain of processes, each of which waits for the next. */
function endLast(pid: number): void {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    if (children === "") process.kill(pid, "SIGKILL");
    else endLast(Number(children.split(" ")[0]));
  } catch (error) {
    // It has ended by itself meanwhile.
    if (!["ENOENT", "ESRCH"].includes(errnoOf(error) ?? "")) throw error;
  }
}

function commandsIn(text: string): string[] {
  return [...text.matchAll(/Did a command .*command="([^"]+)"(.*) ms=/g)].map(
    ([, command = "", about = ""]) => `${command}${about}`,
  );
}

function isChange(command: string): boolean {
  return command.startsWith("APPLY") && !command.startsWith("APPLY capabilities");
}
