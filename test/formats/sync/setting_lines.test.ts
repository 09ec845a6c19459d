import { expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import {
  parseSettings,
  printSettings,
  type SettingCommand,
} from "../../../src/formats/sync/setting_lines.ts";
import { parseStateLine, printStateLine } from "../../../src/formats/sync/state_line.ts";
import type { MailboxState } from "../../../src/model/mailbox.ts";
import { stateOf } from "../../support/store_fixture.ts";

const COMMANDS: readonly SettingCommand[] = [
  {
    ...{ kind: "sieve", userid: "fred", filename: "a b.script", lastUpdate: 7 },
    content: utf8('keep;\r\n"x" {3+}\r\nAPPLY '),
  },
  {
    ...{ kind: "sieve", userid: "fred", filename: "empty.script", lastUpdate: 8 },
    content: utf8(""),
  },
  { kind: "activateSieve", userid: "fred", filename: "a b.bc" },
  { kind: "quota", quota: { root: "user.fred", limits: { STORAGE: 5, MAILBOX: 9 }, modseq: 4n } },
];

test("parseSettings() gives back what printSettings() printed", () => {
  expect(parseSettings(printSettings(COMMANDS))).toEqual([...COMMANDS]);
  expect(parseSettings(printSettings([]))).toEqual([]);
});

test("parseSettings() takes no part of a line, and no command that sets nothing", () => {
  const bytes = printSettings(COMMANDS);
  for (let end = 1; end < bytes.length; end++) {
    expect(wholeCommands(bytes.subarray(0, end))).toBeLessThan(COMMANDS.length);
  }
  expect(() => parseSettings(utf8("APPLY UNUSER fred\r\n"))).toThrow(FormatError);
  expect(() => parseSettings(utf8("GET USER fred\r\n"))).toThrow(FormatError);
});

test("parseStateLine() gives back every field of a mailbox, and of a placeholder", () => {
  const state: MailboxState = {
    ...stateOf("user.fred", []),
    ...{ xconvmodseq: 2n ** 63n, raclmodseq: 3n, createdmodseq: 4n, foldermodseq: 5n },
    ...{ jmapid: null, type: "e", version: 19, usergroups: "a\tb", quotaroot: "user.fred" },
    ...{ userflags: ["work", "$Label1"], deletedmodseq: 2n, compactEmailids: 1 },
    annotations: [{ entry: "/comment", userid: "fr\xe9d", modseq: 9n, value: utf8("\0x\n") }],
  };
  const place = { ...stateOf("user.fred.a", []), type: "ei", acl: null, partition: null };
  for (const one of [state, place]) expect(parseStateLine(printStateLine(one))).toEqual(one);
});

/** Commands in `bytes`; none where they do not end with a line. */
function wholeCommands(bytes: Uint8Array): number {
  try {
    return parseSettings(bytes).length;
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return 0;
  }
}
