/** The unit of `bobbin generate systemd`, read and run by a real systemd. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { readOnlyFixture } from "../support/fixtures.ts";
import { has } from "../support/needs.ts";
import { tempDir } from "../support/temp_dir.ts";
import { TEST_TLS } from "../support/tls_identity.ts";
import { until } from "../support/until.ts";

const BOOT = join(import.meta.dir, "..", "support", "systemd", "boot");

/** Of 10: what of the machine a service could reach and does not need. */
const MOST_EXPOSED = 1.3;

async function unitFile(...options: readonly string[]): Promise<string> {
  const { exit, stdout } = await bobbin(["generate", "systemd", ...options]);
  expect(exit).toBe(0);
  const path = `${tempDir("unit")}/bobbin.service`;
  await Bun.write(path, stdout);
  return path;
}

/** A systemd that runs the unit, in a process tree and with mounts of its own. */
async function bootUnit() {
  const folder = tempDir("boot");
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await Bun.write(cert, TEST_TLS.cert);
  await Bun.write(key, TEST_TLS.key);
  const apart = ["--mount", "--pid", "--cgroup", "--ipc", "--fork", "--kill-child=KILL"];
  const child = Bun.spawn(["unshare", ...apart, BOOT, bobbinPath(), cert, key], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const children = `/proc/${child.pid}/task/${child.pid}/children`;
  const pid = await until("the first process", () => {
    return readFileSync(children, "latin1").trim() || undefined;
  });
  const log = (): string => {
    const file = Bun.spawnSync(["cat", `/proc/${pid}/root/run/serve.log`]);
    return file.stdout.toString();
  };
  const systemctl = (...args: readonly string[]): string => {
    const into = ["nsenter", "--target", pid, "--mount", "--pid", "--cgroup"];
    return Bun.spawnSync([...into, "systemctl", ...args])
      .stdout.toString()
      .trim();
  };
  const stop = async (): Promise<string> => {
    child.kill("SIGKILL");
    return (await said).join("");
  };
  return { cert, log, systemctl, stop };
}

describe.skipIf(!has("systemd-analyze"))("the unit of systemd", () => {
  test("has nothing that systemd warns of, wherever the store lies", async () => {
    const tables = [[], ["--store", "/srv/a b%c"], ["--listen", "[::1]:143", "--user", "mail"]];
    for (const options of tables) {
      const unit = await unitFile(...options);
      const { exitCode, stdout, stderr } = Bun.spawnSync(["systemd-analyze", "verify", unit]);
      expect({ options, exitCode, told: `${stdout}${stderr}` }).toEqual({
        ...{ options, exitCode: 0, told: "" },
      });
    }
  });

  test("leaves the service little that it does not need", async () => {
    const threshold = `--threshold=${MOST_EXPOSED * 10}`;
    const unit = await unitFile();
    const command = ["systemd-analyze", "security", "--offline=true", threshold, unit];
    const { exitCode, stdout } = Bun.spawnSync(command);
    expect({ exitCode, told: stdout.toString().split("\n").at(-2) }).toMatchObject({ exitCode: 0 });
  });
});

describe.skipIf(!has("a systemd of its own"))("under systemd", () => {
  test("serve is ready, takes mail over TLS within its sandbox, and stops in order", async () => {
    const { cert, log, systemctl, stop } = await bootUnit();
    try {
      const port = await until("serve", () => /Serving .*:(\d+)/.exec(log())?.[1]);
      expect(systemctl("is-active", "bobbin")).toBe("active");
      const spool = join(readOnlyFixture("cyrus-spools/cyrus-3.10"), "spool");
      const server = `sync://repl@localhost:${port}`;
      const tls = ["--starttls", "always", "--ca", cert];
      const env = { BOBBIN_PASSWORD: "labpass" };
      const sent = await bobbin(["replicate", "--all", "--from", spool, "--to", server, ...tls], {
        env,
      });
      expect(sent).toMatchObject({ exit: 0 });
      expect(log()).toContain("account=repl mechanism=SCRAM-SHA-256 tls=true");
      const diff = await bobbin(["diff", "--deep", spool, server, ...tls], { env });
      expect(diff).toMatchObject({ exit: 0 });
      const pid = systemctl("show", "-P", "MainPID", "bobbin");
      expect(Number(pid)).toBeGreaterThan(1);
      systemctl("stop", "bobbin");
      const ended = systemctl("show", "-P", "Result", "-P", "ExecMainStatus", "bobbin");
      expect(ended.split("\n")).toEqual(["success", "0"]);
      expect(log()).toContain("Stopped");
    } catch (error) {
      const served = log();
      throw new Error(`systemd and serve said: ${await stop()}${served}`, { cause: error });
    } finally {
      await stop();
    }
  }, 120_000);
});
