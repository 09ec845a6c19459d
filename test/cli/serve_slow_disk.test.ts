/** `bobbin serve` on a disk on which each sync takes a tenth of a second. */
import { afterEach, describe, expect, test } from "bun:test";
import { Csync } from "../support/csync.ts";
import { has } from "../support/needs.ts";
import { type ServedBinary, serveBinary } from "../support/served_binary.ts";

const SYNCS = "fsync,fdatasync,syncfs";
const WRITERS = 8;
const MAILBOXES = 3;

describe.if(has("strace"))("a slow disk", () => {
  let served: ServedBinary | undefined;

  afterEach(() => {
    served?.child.kill("SIGKILL");
  });

  test("keeps nobody waiting who reads while others write", async () => {
    const inject = ["-e", `inject=${SYNCS}:delay_enter=100000`];
    const under = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${SYNCS}`, ...inject];
    served = await serveBinary({ under, args: ["--stop-timeout", "1"] });
    const { port } = served;
    const reader = await Csync.signedIn(port);
    expect((await reader.command(mailbox("reader", 0))).status).toBe("OK success");
    let done = 0;
    const writers = Array.from({ length: WRITERS }, async (_, number) => {
      const client = await Csync.signedIn(port);
      for (let count = 0; count < MAILBOXES; count++) {
        const { status } = await client.command(mailbox(`w${number}`, count));
        expect(status).toBe("OK success");
      }
      client.close();
      done++;
    });
    const waits: number[] = [];
    while (done < WRITERS) {
      const begin = performance.now();
      expect((await reader.command("GET USER reader")).data).toHaveLength(1);
      waits.push(performance.now() - begin);
    }
    await Promise.all(writers);
    waits.sort((left, right) => left - right);
    // The reader has been answered many times while each writer waited for a dozen syncs.
    expect(waits.length).toBeGreaterThan(10);
    expect(waits[Math.floor(waits.length * 0.99)]).toBeLessThan(500);
    reader.close();
  }, 120_000);
});

function mailbox(user: string, number: number): string {
  const name = number === 0 ? `user.${user}` : `user.${user}.m${number}`;
  return (
    `APPLY MAILBOX %(UNIQUEID id-${user}-${number} MBOXNAME ${name} LAST_UID 0 HIGHESTMODSEQ 1 ` +
    "RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 UIDVALIDITY 1 " +
    'PARTITION p ACL "" OPTIONS "" RECORD ())'
  );
}
