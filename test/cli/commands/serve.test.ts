/** `bobbin passwd` and `bobbin serve`, as built. */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Subprocess, spawnSync } from "bun";
import { bobbin, bobbinPath, listeningPorts } from "../../support/cli.ts";
import { Csync } from "../../support/csync.ts";
import { has } from "../../support/needs.ts";
import { verifyStore } from "../../support/store_verify.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { TEST_TLS } from "../../support/tls_identity.ts";
import { until } from "../../support/until.ts";

const folder = tempDir("serve-cli");
const store = `${folder}/store`;
const users = `${folder}/users`;
const running: Subprocess[] = [];

beforeAll(async () => {
  expect((await bobbin(["store", "init", store])).exit).toBe(0);
  writeFileSync(`${folder}/password`, "labpass\nsecond line\n");
  writeFileSync(`${folder}/cert.pem`, TEST_TLS.cert);
  writeFileSync(`${folder}/key.pem`, TEST_TLS.key);
  const args = ["--users-file", users, "--allow", "*", "--password-file", `${folder}/password`];
  expect((await bobbin(["passwd", "admin", ...args])).exit).toBe(0);
});

afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

interface Served {
  readonly child: Subprocess<"ignore", "pipe", "pipe">;
  readonly ports: readonly number[];
}

/**
 * Starts a server, by way of a `shell` command with "$@" in it if told, and waits until it listens.
 */
async function serve(
  args: readonly string[],
  { shell }: { readonly shell?: string } = {},
): Promise<Served> {
  const by = shell === undefined ? [] : ["sh", "-c", shell, "sh"];
  const command = [...by, bobbinPath(), "serve", store, "--users-file", users, "--json", ...args];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  running.push(child);
  return { child, ports: await listeningPorts(child) };
}

const HERE = ["--listen", "127.0.0.1:0"];

/** An APPLY MAILBOX that makes an empty one. */
function mailbox(name: string): string {
  return (
    `APPLY MAILBOX %(UNIQUEID id-${name.replaceAll(".", "-")} MBOXNAME ${name} LAST_UID 0 ` +
    "HIGHESTMODSEQ 1 " +
    "RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION p " +
    'ACL "" OPTIONS "" RECORD ())'
  );
}

describe("bobbin passwd", () => {
  const other = `${folder}/other`;
  const passwd = (args: string[], env: Record<string, string> = {}) =>
    bobbin(["passwd", "--users-file", other, ...args], { env });

  test("makes, changes and deletes accounts, and shows no password", async () => {
    const made = await passwd(["fred", "--allow", "fred"], { BOBBIN_PASSWORD: "first" });
    expect([made.exit, made.stderr]).toEqual([0, `Account fred made in ${other}\n`]);
    const before = readFileSync(other, "utf8");
    expect(before).not.toContain("first");
    const changed = await passwd(["fred"], { BOBBIN_PASSWORD: "second" });
    expect(changed.exit).toBe(0);
    expect(JSON.parse(readFileSync(other, "utf8")).accounts[0].allow).toEqual(["fred"]);
    expect(readFileSync(other, "utf8")).not.toBe(before);
    expect((await passwd(["fred", "--delete"])).exit).toBe(0);
    expect(JSON.parse(readFileSync(other, "utf8")).accounts).toEqual([]);
  });

  test("keeps each other's accounts when several run at once", async () => {
    const many = `${folder}/many`;
    const names = ["a", "b", "c", "d", "e"];
    const env = { BOBBIN_PASSWORD: "x" };
    const passwd = (name: string) =>
      bobbin(["passwd", name, "--users-file", many, "--allow", name], { env });
    for (const { exit } of await Promise.all(names.map(passwd))) expect(exit).toBe(0);
    const { accounts } = JSON.parse(readFileSync(many, "utf8"));
    expect(accounts.map(({ name }: { name: string }) => name).sort()).toEqual(names);
  });

  test("takes the password from systemd's credentials", async () => {
    mkdirSync(`${folder}/credentials`);
    writeFileSync(`${folder}/credentials/bobbin.password`, "secret\n");
    const env = { CREDENTIALS_DIRECTORY: `${folder}/credentials` };
    expect((await passwd(["fred", "--allow", "*"], env)).exit).toBe(0);
  });

  test.each([
    ["no password at all", ["x", "--allow", "*"], 64],
    ["no allow for a new account", ["x", "--password-file", `${folder}/password`], 64],
    ["a name that is none", ["a b", "--allow", "*", "--password-file", `${folder}/password`], 64],
    ["a password file that is not there", ["x", "--allow", "*", "--password-file", "/none"], 74],
    ["deleting nobody", ["nobody", "--delete"], 66],
  ])("%s: exit code %#", async (_, args, exit) => {
    expect((await passwd(args)).exit).toBe(exit);
  });

  test("a users file that is none, or in no folder: exit 78 and 73", async () => {
    writeFileSync(`${folder}/broken`, "x", { mode: 0o600 });
    const env = { BOBBIN_PASSWORD: "x" };
    const broken = ["passwd", "x", "--users-file", `${folder}/broken`, "--allow", "*"];
    expect((await bobbin(broken, { env })).exit).toBe(78);
    const nowhere = ["passwd", "x", "--users-file", `${folder}/none/users`, "--allow", "*"];
    expect((await bobbin(nowhere, { env })).exit).toBe(73);
  });
});

describe("bobbin serve", () => {
  test("serves, logs, and ends with 0 on SIGTERM", async () => {
    const { child, ports } = await serve(HERE);
    const client = await Csync.signedIn(ports[0] ?? 0);
    expect((await client.command("GET USER nobody")).status).toBe("OK success");
    child.kill("SIGTERM");
    expect((await client.reply()).status).toBe("BYE shutting down");
    expect(await child.exited).toBe(0);
    const log = await new Response(child.stderr).text();
    expect(log).toMatch(/info Serving store=\S+ at=127.0.0.1:\d+\n/);
    expect(log).toMatch(
      /info Signed in peer=127.0.0.1 session=1 account=admin mechanism=PLAIN tls=false\n/,
    );
    expect(log).toMatch(/info Stopping signal=SIGTERM sessions=1\n/);
    expect(log).not.toContain("labpass");
  });

  test("gives backups at a socket and behind a sign-in, and removes the socket", async () => {
    const socket = `${folder}/backup.sock`;
    const at = ["--backup-listen", socket, "--backup-listen", "127.0.0.1:0"];
    const { child, ports } = await serve([...HERE, ...at]);
    const client = await Csync.signedIn(ports[0] ?? 0);
    expect((await client.command(mailbox("user.kept"))).status).toBe("OK success");
    client.close();
    const ls = await bobbin(["ls", `backupcyrus:${socket}`]);
    expect([ls.exit, ls.stdout]).toEqual([0, expect.stringContaining("kept")]);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stderr).text()).toContain(`backups=${socket},127.0.0.1:`);
    expect(existsSync(socket)).toBe(false);
    const gone = await bobbin(["ls", `backupcyrus:${socket}`]);
    expect([gone.exit, gone.stderr]).toEqual([69, expect.stringContaining("no such socket")]);
  });

  test("serves and stops though not a line of its log can be written", async () => {
    const { child, ports } = await serve(HERE, { shell: 'exec "$@" 2>/dev/full' });
    const client = await Csync.signedIn(ports[0] ?? 0);
    expect((await client.command("GET USER nobody")).status).toBe("OK success");
    client.close();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("takes no more sessions than the files that it may open are enough for", async () => {
    const { child, ports } = await serve(HERE, { shell: 'ulimit -n 128; exec "$@"' });
    const open = () => Promise.all(Array.from({ length: 60 }, () => Csync.open(ports[0] ?? 0)));
    const taken = (sessions: Awaited<ReturnType<typeof open>>) =>
      sessions.filter(({ banner }) => banner.status.startsWith("* OK "));
    const strangers = await open();
    expect(taken(strangers).length).toBe(12); // a quarter is kept for who has signed in before
    const initial = Buffer.from("\0admin\0labpass").toString("base64");
    for (const { client } of taken(strangers).slice(0, 3)) {
      expect((await client.command(`AUTHENTICATE PLAIN ${initial}`)).status).toStartWith("OK ");
      expect((await client.command(mailbox("user.few"))).status).toBe("OK success");
    }
    const known = await open();
    expect(taken(known).length).toBe(4);
    for (const { client } of [...strangers, ...known]) client.close();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stderr).text()).toMatch(
      /warning Fewer sessions: few files may be open files=128 sessions=16 wanted=1000\n/,
    );
  });

  test("speaks TLS at once and after STARTTLS, with the key it was given", async () => {
    const tls = ["--tls-cert", `${folder}/cert.pem`, "--tls-key", `${folder}/key.pem`];
    const { ports } = await serve([...HERE, "--listen-tls", "127.0.0.1:0", ...tls]);
    const { client, banner } = await Csync.open(ports[0] ?? 0);
    expect(banner.data).toContain("STARTTLS");
    expect((await client.startTls()).status).toStartWith("* OK ");
    const second = await Csync.open(ports[1] ?? 0, { tls: true });
    expect(second.banner.data).not.toContain("STARTTLS");
    client.close();
    second.client.close();
  });

  test("finishes commands in flight at SIGTERM, and leaves nothing half done", async () => {
    const { child, ports } = await serve(HERE);
    const slow = await Csync.signedIn(ports[0] ?? 0);
    const [begun, rest] = [mailbox("user.slow").slice(0, 40), mailbox("user.slow").slice(40)];
    slow.send(begun);
    const acknowledged: string[] = ["user.slow"];
    const clients: Csync[] = [];
    for (let count = 0; count < 4; count++) clients.push(await Csync.signedIn(ports[0] ?? 0));
    const busy = clients.map(async (client, number) => {
      for (let count = 0; ; count++) {
        const name = `user.busy${number}.f${count}`;
        const { status } = await client.command(mailbox(name));
        if (status !== "OK success") return status;
        acknowledged.push(name);
      }
    });
    await until("20 mailboxes acknowledged", () => acknowledged.length >= 20);
    child.kill("SIGTERM");
    // The client that is in the middle of a line may end it, and is answered.
    for (const status of await Promise.all(busy)) {
      expect(status).toMatch(/^(BYE shutting down|closed)$/);
    }
    slow.send(`${rest}\r\n`);
    expect((await slow.reply()).status).toBe("OK success");
    expect((await slow.reply()).status).toBe("BYE shutting down");
    expect(await child.exited).toBe(0);
    const names = new Set(Object.keys(verifyStore(store)));
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
    expect(readdirSync(`${store}/.staging`)).toEqual([]);
  });

  test("writes a journal's priorities if asked", async () => {
    const { child } = await serve([...HERE, "--log-form", "journal"]);
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stderr).text()).toStartWith("<6>Serving store=");
  });

  test.each([
    ["no place to listen", [store, "--users-file", users], 64],
    ["an address that is none", [store, "--users-file", users, "--listen", "nowhere"], 64],
    ["no store", [folder, "--users-file", users, ...HERE], 64],
    ["nothing there", ["store:/none", "--users-file", users, ...HERE], 66],
    ["no users file", [store, "--users-file", "/none", ...HERE], 78],
    ["a certificate without key", [store, "--users-file", users, ...HERE, "--tls-cert", "/x"], 64],
    [
      "backups for other machines without a certificate",
      [store, "--users-file", users, "--backup-listen", ":0"],
      64,
    ],
    [
      "a socket in no folder",
      [store, "--users-file", users, "--backup-listen", "/none/backup.sock"],
      73,
    ],
    ["TLS without certificate", [store, "--users-file", users, "--listen-tls", "127.0.0.1:0"], 78],
    [
      "a certificate that is none",
      [
        store,
        "--users-file",
        users,
        ...HERE,
        "--tls-cert",
        users,
        "--tls-key",
        `${folder}/key.pem`,
      ],
      78,
    ],
    [
      "an address of another machine",
      [store, "--users-file", users, "--listen", "192.0.2.1:2005"],
      73,
    ],
  ])("%s: exit code %#", async (_, args, exit) => {
    expect((await bobbin(["serve", ...args])).exit).toBe(exit);
  });

  test.skipIf(!has("python3"))("takes systemd's socket and says READY and STOPPING", async () => {
    // A service manager in short: a listening socket as descriptor 3, a datagram socket to hear on.
    const manager = `
import os, signal, socket, subprocess, sys
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
heard.settimeout(20)
listening = socket.create_server(("127.0.0.1", 0))
pid = os.fork()
if pid == 0:
    os.dup2(listening.fileno(), 3)
    os.set_inheritable(3, True)
    env = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=sys.argv[1])
    os.execve(sys.argv[2], sys.argv[2:], env)
print(heard.recv(100).decode())
client = socket.create_connection(listening.getsockname())
print(client.makefile().readline().strip())
os.kill(pid, signal.SIGTERM)
print(heard.recv(100).decode())
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const command = [bobbinPath(), "serve", store, "--users-file", users, "--quiet"];
    const socket = `${folder}/notify`;
    const done = spawnSync(["python3", "-c", manager, socket, ...command]);
    expect(done.stderr.toString()).toBe("");
    expect(done.stdout.toString().split("\n")).toEqual([
      "READY=1",
      "* SASL SCRAM-SHA-256 PLAIN",
      "STOPPING=1",
      "0",
      "",
    ]);
  });

  test.skipIf(!has("python3"))("tells syslog too, in its own form", async () => {
    const daemon = `
import socket, sys
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
heard.settimeout(20)
print("ready", flush=True)
for _ in range(3):
    print(heard.recv(10000).decode(), flush=True)
`;
    const socket = `${folder}/syslog`;
    const listener = Bun.spawn(["python3", "-c", daemon, socket], { stdout: "pipe" });
    await until("the socket of syslog", () => existsSync(socket));
    const { child, ports } = await serve([...HERE, "--syslog", socket]);
    const { client } = await Csync.open(ports[0] ?? 0);
    const wrong = Buffer.from("\0admin\0guess\n<0>").toString("base64");
    expect((await client.command(`AUTHENTICATE PLAIN ${wrong}`)).status).toStartWith("NO ");
    client.close();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    const said = await new Response(listener.stdout).text();
    const pid = child.pid;
    expect(said.split("\n")).toEqual([
      "ready",
      expect.stringMatching(new RegExp(`^<22>bobbin\\[${pid}\\]: Serving store=`)),
      `<20>bobbin[${pid}]: Sign-in refused peer=127.0.0.1 session=1 account=admin ` +
        `why="no such account or password"`,
      expect.stringMatching(new RegExp(`^<22>bobbin\\[${pid}\\]: Stopping signal=SIGTERM`)),
      "",
    ]);
    // Nobody listens any more: that stops nothing.
    const alone = await serve([...HERE, "--syslog", socket]);
    alone.child.kill("SIGTERM");
    expect(await alone.child.exited).toBe(0);
  });
});
