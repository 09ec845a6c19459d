/**
 * What the sync server of each version said of itself: test/fixtures/cyrus-spools/cyrus-V.tar.gz is
 * the disk of that server, and sync-answers.tar.gz its own answers, word for word.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { latin1 } from "../../src/core/bytes.ts";
import { type CapturedLine, linesOfSide, readCapture } from "./captures.ts";
import { readOnlyFixture } from "./fixtures.ts";

export const FIXTURE_VERSIONS = [
  ...(["2.4", "2.5", "3.0", "3.2", "3.4", "3.8", "3.10", "master"] as const),
];

export type FixtureVersion = (typeof FIXTURE_VERSIONS)[number];

/** One command and all that came back, in latin1. */
export interface Said {
  /** As it was sent, without its line end. */
  readonly command: string;
  /** Whole lines with `* ` and line end. */
  readonly data: readonly string[];
  /** `OK success`; undefined where the connection was closed instead. */
  readonly status: string | undefined;
}

/** A script of commands that was played to a server, a connection after the other. */
export interface Script {
  /** Up to `* OK`. */
  readonly banner: string;
  readonly connections: readonly (readonly Said[])[];
}

/** The folder of that server. */
export function serverOf(version: FixtureVersion): string {
  return readOnlyFixture(`cyrus-spools/cyrus-${version}`);
}

/** What it was asked, with `conversations: off`, as its imapd.conf says. */
export function answersOf(version: FixtureVersion): Script {
  const path = join(readOnlyFixture("cyrus-spools/sync-answers"), `cyrus-${version}.sync.txt`);
  return readScript(path);
}

/** The messages that it has, by GUID. */
export function messagesOf(version: FixtureVersion): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const root = serverOf(version);
  for (const path of new Glob("spool/**/*.").scanSync({ cwd: root })) {
    const bytes = readFileSync(join(root, path));
    found.set(createHash("sha1").update(bytes).digest("hex"), bytes);
  }
  return found;
}

const OTHER_SETTINGS = "# the same server with conversations";

/** Throws for a transcript whose commands and answers do not go together. */
export function readScript(path: string): Script {
  const [text = ""] = readFileSync(path, "latin1").split(OTHER_SETTINGS);
  const { connections } = readCapture(path, text);
  const said = connections.map((connection) => ({
    commands: linesOfSide(connection, "C"),
    lines: linesOfSide(connection, "S"),
  }));
  const [first] = said;
  const banner = first?.lines.slice(0, bannerLines(first.lines)) ?? [];
  return {
    banner: banner.map(({ bytes }) => latin1(bytes)).join(""),
    connections: said.map(({ commands, lines }) => paired(commands, lines)),
  };
}

function bannerLines(lines: readonly CapturedLine[]): number {
  return lines.findIndex(({ bytes }) => latin1(bytes).startsWith("* OK")) + 1;
}

function paired(commands: readonly CapturedLine[], lines: readonly CapturedLine[]): Said[] {
  const rest = lines.slice(bannerLines(lines)).map(({ bytes }) => latin1(bytes));
  return commands.map(({ bytes }) => {
    const at = rest.findIndex((line) => !line.startsWith("* "));
    const answer = rest.splice(0, at === -1 ? rest.length : at + 1);
    const status = at === -1 ? undefined : answer.pop()?.trimEnd();
    return { command: latin1(bytes).trimEnd(), data: answer, status };
  });
}
