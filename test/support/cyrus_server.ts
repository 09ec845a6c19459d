/** A real Cyrus server from the fixtures, to be changed and looked at as a whole. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { readDatabase } from "../../src/formats/cyrus/databases/database.ts";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import { type ToldFinding, tell } from "../../src/fsck/finding.ts";
import { checkServer, checkUser } from "../../src/fsck/server/check_server.ts";
import { readAllFacts } from "../../src/places/cyrus/mailbox/mailbox_facts.ts";
import { type ImapdConf, imapdConfOf } from "../../src/places/cyrus/server/imapd_conf.ts";
import { readConfFile } from "../../src/places/cyrus/server/imapd_conf_file.ts";
import { readServer } from "../../src/places/cyrus/server/server_reading.ts";
import { readUser } from "../../src/places/cyrus/server/user_files.ts";
import { unpackFixture } from "./fixtures.ts";

export interface TestServer {
  readonly root: string;
  readonly conf: ImapdConf;
}

/** A fresh copy of the server in fixture `name`, with `settings` added to its imapd.conf. */
export function testServer(
  name: string,
  settings: Readonly<Record<string, string>> = {},
): TestServer {
  return serverAt(unpackFixture(`cyrus-spools/${name}`), settings);
}

/** The server below `root`, where imapd.conf has `@DIR@` for it. */
export function serverAt(
  root: string,
  settings: Readonly<Record<string, string>> = {},
): TestServer {
  const options = new Map(readConfFile(join(root, "imapd.conf")));
  for (const [name, value] of Object.entries(settings)) options.set(name, value);
  for (const [name, value] of options) options.set(name, value.replaceAll("@DIR@", root));
  return { root, conf: imapdConfOf(join(root, "imapd.conf"), options) };
}

/** Everything that is found on the server. */
export async function checkWholeServer(
  { conf }: Pick<TestServer, "conf">,
  options: { readonly nowSeconds?: number } = {},
): Promise<ToldFinding[]> {
  const server = await readServer(conf);
  const folders = readAllFacts(conf);
  const nowSeconds = options.nowSeconds ?? Date.now() / 1000 + 3600;
  const check = checkServer({ server, folders, nowSeconds });
  const findings = [...check.findings];
  for (const user of check.users) {
    findings.push(...checkUser(await readUser(user, conf), server, check));
  }
  return findings.map(tell);
}

/** Findings as short lines: whose, code, severity, field, values. */
export async function shownFindings(server: Pick<TestServer, "conf">): Promise<string[]> {
  return (await checkWholeServer(server)).map(shownFinding).sort();
}

export function shownFinding(finding: ToldFinding): string {
  const { mailbox, userid, code, severity, field, expected, found } = finding;
  const values = expected === undefined && found === undefined ? "" : ` ${expected} -> ${found}`;
  return (
    `${mailbox ?? userid ?? "-"} ${code} ` +
    `${severity}${field === undefined ? "" : ` ${field}`}${values}`
  );
}

/**
 * The records of a database as text, one character a byte; what `change` leaves is written back.
 */
export function changeDatabase(path: string, change: (records: Map<string, string>) => void): void {
  const database = readDatabase(readFileSync(path));
  if (database.kind !== "read") throw new Error(`${path} is ${database.format}`);
  const records = new Map(database.entries.map(({ key, value }) => [latin1(key), latin1(value)]));
  change(records);
  const entries = [...records].map(([key, value]) => ({
    key: fromLatin1(key),
    value: fromLatin1(value),
  }));
  writeFileSync(path, writeTwoskip(entries));
}

/** Changes mailboxes.db; `/` stands for the separator of levels in the keys. */
export function changeMailboxes(
  { conf }: TestServer,
  change: (records: MailboxRecords) => void,
): void {
  changeDatabase(conf.mailboxesDb.path, (records) => change(mailboxRecords(records)));
}

export interface MailboxRecords {
  readonly get: (key: string) => string;
  readonly set: (key: string, value: string) => void;
  readonly remove: (key: string) => void;
  /** Replaces text in the N record of a mailbox and in its I record. */
  readonly edit: (name: string, from: RegExp | string, to: string) => void;
  readonly uniqueidOf: (name: string) => string;
}

function mailboxRecords(records: Map<string, string>): MailboxRecords {
  const keyOf = (key: string) => key.replaceAll("/", "\x1f").replaceAll("|", "\x1e");
  const get = (key: string) => {
    const value = records.get(keyOf(key));
    if (value === undefined) throw new Error(`no record ${key}`);
    return value;
  };
  const set = (key: string, value: string) => void records.set(keyOf(key), value);
  const uniqueidOf = (name: string) => / I ([^ )]+)/.exec(get(`N${name}`))?.[1] ?? "";
  return {
    get,
    set,
    uniqueidOf,
    remove: (key) => {
      if (!records.delete(keyOf(key))) throw new Error(`no record ${key}`);
    },
    edit: (name, from, to) => {
      for (const key of [`N${name}`, `I${uniqueidOf(name)}`]) set(key, get(key).replace(from, to));
    },
  };
}
