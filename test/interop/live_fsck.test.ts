/**
 * fsck of a real Cyrus that never rests: mail is delivered, flagged, moved, expunged, renamed,
 * created and deleted without pause, and fsck, with and without locks, finds nothing wrong; until
 * something is.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { type Lab, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";

const LONG = process.env["BOBBIN_TEST_SIZE"] === "long";
const SECONDS = LONG ? 300 : 40;
const USER = "ann";

/** The folder of the user's `Archive/2026/Q1`, which the storm leaves alone. */
function quietFolder(lab: Lab): string {
  for (const path of readdirSync(lab.spool, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith("/cyrus.header")) continue;
    const whole = join(lab.spool, path);
    if (readFileSync(whole, "latin1").includes("N user.ann.Archive.2026.Q1 "))
      return join(whole, "..");
  }
  throw new Error("no folder Archive/2026/Q1");
}

/** A file of its own: the message may have links in other mailboxes, which stay as they are. */
function replace(path: string, bytes: Uint8Array): void {
  const { uid, gid, mode } = lstatSync(path);
  rmSync(path);
  writeFileSync(path, bytes, { mode });
  chownSync(path, uid, gid);
}

/** How the folders of mailboxes are found, as options of the lab. */
const LAYOUTS = {
  "by uniqueid": ["--conversations", "on"],
  "by name": ["--legacy-paths"],
} as const;

for (const [layout, options] of Object.entries(LAYOUTS)) {
  describe.skipIf(!has("a Cyrus server"))(`a Cyrus that never rests, mailboxes ${layout}`, () => {
    let lab: Lab;

    beforeAll(async () => {
      lab = await labUp(...options);
      await lab.run("user", USER);
      await lab.run("fill", USER, "60", "--avg-kb", "4");
    });

    afterAll(async () => {
      await lab.down();
    });

    test(`fsck reports no damage for ${SECONDS} s, with and without --lock`, async () => {
      let isOver = false;
      const storm = lab.storm(USER, SECONDS).finally(() => {
        isOver = true;
      });
      let runs = 0;
      while (!isOver) {
        const lock = runs % 2 === 1 ? ["--lock"] : [];
        const { exit, stdout, stderr } = await bobbin(["fsck", lab.conf, "--json", ...lock]);
        const damage = jsonLines(stdout).filter(
          ({ type, severity }) => type === "finding" && severity !== "info",
        );
        // 2: a mailbox changed under every look. It could not be judged, which is no damage.
        expect({ lock, stderr, damage, isWell: [0, 2].includes(exit) }).toEqual({
          lock,
          stderr: "",
          damage: [],
          isWell: true,
        });
        runs += 1;
      }
      const { deliveries, changes } = await storm;
      expect(deliveries).toBeGreaterThan(0);
      expect(changes).toBeGreaterThan(0);
      expect(runs).toBeGreaterThan(1);
      console.log(`live: ${runs} runs of fsck, ${deliveries} deliveries, ${changes} changes`);
    });

    test("damage planted meanwhile is found, and nothing else", async () => {
      const storm = lab.storm(USER, 20, "--seed", "2");
      const folder = quietFolder(lab);
      const [first = "", second = ""] = readdirSync(folder).filter((name) => /^\d+\.$/.test(name));
      const message = readFileSync(join(folder, first));
      message[message.length >> 1] = (message[message.length >> 1] ?? 0) ^ 1;
      replace(join(folder, first), message);
      replace(join(folder, second), readFileSync(join(folder, second)).subarray(0, 10));
      for (const lock of [[], ["--lock"]]) {
        const { stdout } = await bobbin(["fsck", lab.conf, "--json", ...lock]);
        const damage = jsonLines(stdout).filter(
          ({ type, severity }) => type === "finding" && severity !== "info",
        );
        const told = damage.map(({ code, mailbox, uid }) => `${code} ${mailbox} ${uid}`).sort();
        const uids = [first, second].map((name) => Number(name.slice(0, -1)));
        expect(told).toEqual(
          [
            `MS03 user/ann/Archive/2026/Q1 ${uids[1]}`,
            `MS04 user/ann/Archive/2026/Q1 ${uids[0]}`,
            `MS04 user/ann/Archive/2026/Q1 ${uids[1]}`,
          ].sort(),
        );
      }
      await storm;
    });
  });
}
