/** `bobbin serve` and gc on a disk that somebody else fills to the last byte. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin } from "../support/cli.ts";
import { Csync } from "../support/csync.ts";
import { has } from "../support/needs.ts";
import { type ServedBinary, serveBinary } from "../support/served_binary.ts";
import { tempDir } from "../support/temp_dir.ts";

describe.if(has("mounting a file system"))("a full disk", () => {
  let folder = "";
  let served: ServedBinary | undefined;

  afterEach(() => {
    served?.child.kill("SIGKILL");
    Bun.spawnSync(["umount", "-l", folder]);
  });

  async function serveOnSmallDisk(): Promise<Csync> {
    folder = join(tempDir("full"), "mount");
    mkdirSync(folder);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=96m", "test", folder]).exitCode).toBe(
      0,
    );
    served = await serveBinary({ folder, args: ["--min-free", "1MiB"] });
    const client = await Csync.signedIn(served.port);
    for (const name of ["a", "b", "c"]) {
      expect((await client.command(mailbox(name))).status).toBe("OK success");
    }
    return client;
  }

  /** Takes all room that is left, to the last byte. */
  function fill(): void {
    const path = join(folder, "filler");
    for (let bytes = free(); bytes > 0; bytes = free()) {
      try {
        writeFileSync(path, new Uint8Array(bytes), { flag: "a" });
      } catch {
        break; // what fitted has been written
      }
    }
    expect(free()).toBe(0);
  }

  function free(): number {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  }

  test("lets mail be deleted, in new sessions too, and keeps room back again", async () => {
    const client = await serveOnSmallDisk();
    const reserve = join(folder, "store", ".reserve");
    expect(existsSync(reserve)).toBe(true);
    fill();
    expect((await client.command(mailbox("d"))).status).toBe("NO Disk is full");
    const sub = "APPLY SUB %(USERID a MBOXNAME user.a)";
    expect((await client.command(sub)).status).toBe("NO Disk is full");
    expect((await client.command("APPLY UNMAILBOX user.a")).status).toBe("OK success");
    expect(existsSync(reserve)).toBe(false);
    rmSync(join(folder, "filler"));
    expect((await client.command("APPLY UNMAILBOX user.b")).status).toBe("OK success");
    expect(existsSync(reserve)).toBe(true);
    fill();
    const other = await Csync.signedIn(served?.port ?? 0);
    expect((await other.command("APPLY UNMAILBOX user.c")).status).toBe("OK success");
    expect((await other.command("GET MAILBOXES (user.a user.b user.c)")).data).toEqual([]);
    other.close();
  }, 60_000);

  test.each([
    ["delete", ["user/a"]],
    ["gc", []],
  ])(
    "lets `store %s` work",
    async (command, more) => {
      await serveOnSmallDisk();
      served?.child.kill("SIGTERM");
      expect(await served?.child.exited).toBe(0);
      const store = join(folder, "store");
      fill();
      const done = await bobbin(["store", command, store, ...more]);
      expect([done.exit, done.stderr]).toEqual([0, ""]);
    },
    60_000,
  );
});

function mailbox(user: string): string {
  return (
    `APPLY MAILBOX %(UNIQUEID id-${user} MBOXNAME user.${user} LAST_UID 0 HIGHESTMODSEQ 1 ` +
    "RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 " +
    'PARTITION p ACL "" OPTIONS "" RECORD ())'
  );
}
