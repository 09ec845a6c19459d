/**
 * What a sync server of some version keeps, and its answer to each command: as its transcripts have
 * them (captures-V/55: to each command of that script OK, NO or the end of the process). It holds
 * values as they came, adds up SYNC_CRC by itself, and makes no quota, times or modseqs of its own.
 */
import { latin1 } from "../../src/core/bytes.ts";
import { kvlistOf, lookUp, wordsOf } from "../../src/formats/dlist/access.ts";
import { printLine } from "../../src/formats/dlist/print.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
} from "../../src/formats/dlist/value.ts";
import { parseRecord } from "../../src/formats/sync/record_line.ts";
import { ANNOT_VARIANTS, mailAnnotCrc, mailSyncCrc } from "../../src/model/sync_crc.ts";
import { FIXTURE_VERSIONS, type FixtureVersion } from "./version_answers.ts";
import { type ScriptMail, VersionScripts } from "./version_scripts.ts";
import { fieldsOf, flagsOf, text, textAt } from "./version_values.ts";

/** The server would have been killed by a signal, or by an assertion that it still tells. */
export class Death extends Error {
  readonly lastWords: string | undefined;

  constructor(message: string, lastWords?: string) {
    super(message);
    this.lastWords = lastWords;
  }
}

interface Mailbox {
  readonly fields: Map<string, DlistValue>;
  readonly records: Map<number, DlistKvlist>;
}

const OK = "OK success";
const NO_COMMAND = "NO IMAP_PROTOCOL_ERROR Protocol error";
const NOT_THERE = "NO IMAP_MAILBOX_NONEXISTENT No Such Mailbox";
const NO_PARTITION = "NO IMAP_PROTOCOL_BAD_PARAMETERS near PARTITION";
const UNKNOWN = "NO Unknown error";

const KEYS: readonly (readonly [FixtureVersion, string])[] = [
  [
    "2.4",
    "UNIQUEID MBOXNAME LAST_UID HIGHESTMODSEQ RECENTUID RECENTTIME LAST_APPENDDATE " +
      "POP3_LAST_LOGIN UIDVALIDITY PARTITION ACL OPTIONS",
  ],
  ["2.5", "MBOXTYPE POP3_SHOW_AFTER"],
  ["3.0", "XCONVMODSEQ"],
  ["3.2", "RACLMODSEQ CREATEDMODSEQ FOLDERMODSEQ"],
  ["master", "JMAPID VERSION USERFLAGS"],
];
const TYPES_OF_34 = /^[acdefijnprstw]*$/;
const REFUSED_NAME = /[^ -~]|[{\\%]|\.\.|&(?![A-Za-z0-9+,]*-)|^user$/;
const NO_ATOM = /^$|[^!-~]|[(){%*"\]]|.\\/;
const VENDOR = "/vendor/cmu/cyrus-imapd";
const ENTRIES_OF_24 = new Set([
  ...["/comment", "/sort", "/check", "/checkperiod", "/motd", "/admin", `${VENDOR}/expire`],
  ...[`${VENDOR}/squat`, `${VENDOR}/news2mail`],
]);

export class VersionState {
  readonly #version: FixtureVersion;
  readonly #keys: ReadonlySet<string>;
  readonly #messages: Map<string, Uint8Array>;
  readonly #mailboxes = new Map<string, Mailbox>();
  /** By mailbox, entry and user. */
  readonly #annotations = new Map<string, DlistKvlist>();
  readonly #quotas = new Map<string, DlistKvlist>();
  readonly #seen = new Map<string, Map<string, DlistKvlist>>();
  readonly #subscriptions = new Map<string, Set<string>>();
  readonly #scripts = new Map<string, VersionScripts>();

  constructor(version: FixtureVersion, messages: Map<string, Uint8Array>) {
    this.#version = version;
    this.#messages = messages;
    this.#keys = new Set(
      KEYS.filter(([since]) => this.#since(since)).flatMap(([, keys]) => keys.split(" ")),
    );
  }

  #since(version: FixtureVersion): boolean {
    return FIXTURE_VERSIONS.indexOf(this.#version) >= FIXTURE_VERSIONS.indexOf(version);
  }

  /** A message that was sent. */
  take(guid: string, bytes: Uint8Array): void {
    this.#messages.set(guid, bytes);
  }

  /** The data lines, and the status last. Throws Death. `hidesFiles`: SIEVE-MAILBOX is enabled. */
  get(name: string, value: DlistValue, hidesFiles: boolean): string[] {
    switch (name) {
      case "USER": {
        const isShown = (one: string) => hidesFiles || !one.endsWith(".#sieve");
        const names = this.#namesOf(text(value)).filter(isShown);
        const quotas = [...this.#quotas].filter(([root]) => names.includes(root));
        return [
          ...names.flatMap((one) => this.#mailboxLine(one, false)),
          ...quotas.map(([, quota]) => this.#line("QUOTA", quota)),
          ...this.#meta(text(value), hidesFiles),
          OK,
        ];
      }
      case "META":
        return [...this.#meta(text(value), hidesFiles), OK];
      case "MAILBOXES":
        return [...wordsOf(value, name).flatMap((one) => this.#mailboxLine(one, false)), OK];
      case "UNIQUEIDS":
        return this.#uniqueids(wordsOf(value, name));
      case "FULLMAILBOX": {
        const lines = this.#mailboxLine(text(value), true);
        return lines.length === 0 ? [NOT_THERE] : [...lines, OK];
      }
      case "ANNOTATION":
        return [...this.#annotationsOf(text(value)).map((one) => this.#line(name, one)), OK];
      case "QUOTA": {
        const quota = this.#quotas.get(text(value));
        return quota === undefined ? [OK] : [this.#line("QUOTA", quota), OK];
      }
      case "FETCH": {
        const guid = textAt(value, "GUID");
        const bytes = this.#messages.get(guid);
        const head = bytes && `%{${textAt(value, "PARTITION")} ${guid} ${bytes.length}}\r\n`;
        const file = bytes === undefined ? "NIL" : `${head}${latin1(bytes)}`;
        return [`* MESSAGE ${file}\r\n`, OK];
      }
      case "FETCH_SIEVE":
        return this.#fetchScript(textAt(value, "USERID"), textAt(value, "FILENAME"));
      default:
        return [NO_COMMAND];
    }
  }

  #line(name: string, value: DlistValue): string {
    const from = this.#since("3.4") ? "server" : "client"; // the form of its literals
    return `* ${latin1(printLine(name, value, { from }))}\r\n`;
  }

  #namesOf(userid: string): string[] {
    const root = `user.${userid}`;
    const isOf = (name: string) => name === root || name.startsWith(`${root}.`);
    return [...this.#mailboxes.keys()].filter((name) => isOf(name.replace(/^DELETED\./, "")));
  }

  #mailboxLine(name: string, withRecords: boolean): string[] {
    const mailbox = this.#mailboxes.get(name);
    if (mailbox === undefined) return [];
    const type = text(mailbox.fields.get("MBOXTYPE"));
    if (this.#version === "2.5" && !TYPES_OF_34.test(type)) throw new Death(`GET of type ${type}`);
    const records = [...mailbox.records].sort(([one], [two]) => one - two).map(([, one]) => one);
    const annotations = this.#annotationsOf(name).map((one) =>
      dlistKvlist(one.entries.slice(1).map((entry) => [entry.name, entry.value] as const)),
    );
    const quotaroot = [...this.#quotas.keys()].find((root) => `${name}.`.startsWith(`${root}.`));
    const { basic, annot } = this.#sumsOf(mailbox);
    const pairs: [string, DlistValue][] = [
      ...[...mailbox.fields].filter(([key]) => this.#keys.has(key)),
      ["SYNC_CRC", dlistNumber(basic)],
    ];
    if (quotaroot !== undefined) pairs.push(["QUOTAROOT", dlistLatin1(quotaroot)]);
    if (this.#since("2.5")) {
      pairs.push(["SYNC_CRC_ANNOT", dlistNumber(annot)]);
      if (annotations.length > 0) pairs.push(["ANNOTATIONS", dlistList(annotations)]);
    }
    if (withRecords) pairs.push(["RECORD", dlistList(records)]);
    return [this.#line("MAILBOX", dlistKvlist(pairs))];
  }

  #sumsOf({ records }: Mailbox): { readonly basic: number; readonly annot: number } {
    const parsed = [...records.values()].map(parseRecord);
    const [older, master, oldest] = ANNOT_VARIANTS;
    const variant = this.#since("master") ? master : this.#since("3.2") ? older : oldest;
    return { basic: mailSyncCrc(parsed), annot: mailAnnotCrc(parsed, variant) };
  }

  #annotationsOf(name: string): DlistKvlist[] {
    return [...this.#annotations.values()].filter((one) => textAt(one, "MBOXNAME") === name);
  }

  #meta(userid: string, hidesFiles: boolean): string[] {
    const subscriptions = [...(this.#subscriptions.get(userid) ?? [])].sort();
    const seen = [...(this.#seen.get(userid)?.values() ?? [])];
    const names = dlistList(subscriptions.map(dlistLatin1));
    return [
      ...seen.map((one) => this.#line("SEEN", one)),
      ...(subscriptions.length === 0 ? [] : [this.#line("LSUB", names)]),
      ...(hidesFiles ? [] : this.#scriptsOf(userid).listed()).map((one) =>
        this.#line("SIEVE", one),
      ),
    ];
  }

  #fetchScript(userid: string, filename: string): string[] {
    const bytes = this.#scriptsOf(userid).content(filename);
    if (bytes === undefined) return [NOT_THERE];
    const value = dlistKvlist([
      ["USERID", dlistLatin1(userid)],
      ["FILENAME", dlistLatin1(filename)],
      ["CONTENT", { kind: "string", bytes }],
    ]);
    return [this.#line("SIEVE", value), OK];
  }

  #uniqueids(wanted: readonly string[]): string[] {
    if (!this.#since("3.2")) return [NO_COMMAND];
    const idOf = ({ fields }: Mailbox) => text(fields.get("UNIQUEID"));
    const names = new Map([...this.#mailboxes].map(([name, mailbox]) => [idOf(mailbox), name]));
    const unknown = wanted.find((one) => !names.has(one));
    if (unknown !== undefined && !this.#since("3.8")) throw new Death(`UNIQUEIDS ${unknown}`);
    return [...wanted.flatMap((one) => this.#mailboxLine(names.get(one) ?? "", false)), OK];
  }

  /** Data lines, and the status last. Throws Death. */
  apply(command: string, value: DlistValue): string[] {
    const name = command.replace(/^LOCAL_/, "");
    switch (name) {
      case "CAPABILITIES":
        return this.#since("3.8") ? [this.#line("ENABLED", value), OK] : [NO_COMMAND];
      case "MESSAGE":
        return [OK];
      case "RESERVE": {
        const missing = wordsOf(lookUp(kvlistOf(value, name), "GUID"), "GUID").filter(
          (guid) => !this.#messages.has(guid),
        );
        const list = dlistList(missing.map(dlistLatin1));
        return missing.length === 0 ? [OK] : [this.#line("MISSING", list), OK];
      }
      case "MAILBOX":
        return [this.#applyMailbox(kvlistOf(value, name))];
      case "UNMAILBOX":
        return [this.#mailboxes.delete(text(value)) ? OK : NOT_THERE];
      case "UNUSER":
        for (const one of this.#namesOf(text(value))) this.#mailboxes.delete(one);
        return [OK];
      case "RENAME":
        return [this.#rename(kvlistOf(value, name))];
      case "EXPUNGE":
        return [this.#expunge(kvlistOf(value, name))];
      case "QUOTA":
        this.#quotas.set(textAt(value, "ROOT"), this.#fitQuota(kvlistOf(value, name)));
        return [OK];
      case "UNQUOTA":
        this.#quotas.delete(text(value));
        return [OK];
      case "ANNOTATION":
      case "UNANNOTATION":
        return [this.#annotate(name, kvlistOf(value, name))];
      default:
        return [this.#applyMeta(name, value)];
    }
  }

  #applyMeta(name: string, value: DlistValue): string {
    const userid = textAt(value, "USERID");
    const subscriptions = ofUser(this.#subscriptions, userid, () => new Set<string>());
    switch (name) {
      case "SUB":
        subscriptions.add(textAt(value, "MBOXNAME"));
        return OK;
      case "UNSUB":
        subscriptions.delete(textAt(value, "MBOXNAME"));
        return OK;
      case "SEEN": {
        const pairs = kvlistOf(value, name).entries.filter((one) => one.name !== "USERID");
        const seen = dlistKvlist(pairs.map((one) => [one.name, one.value] as const));
        ofUser(this.#seen, userid, () => new Map()).set(textAt(value, "UNIQUEID"), seen);
        return OK;
      }
      default:
        return this.#applyScript(name, userid, value);
    }
  }

  #scriptsOf(userid: string): VersionScripts {
    return ofUser(this.#scripts, userid, () => new VersionScripts(this.#version));
  }

  #applyScript(name: string, userid: string, value: DlistValue): string {
    const scripts = this.#scriptsOf(userid);
    const filename = textAt(value, "FILENAME");
    if (name === "SIEVE") {
      const lastUpdate = lookUp(kvlistOf(value, name), "LAST_UPDATE") ?? dlistNumber(0);
      const content = Buffer.from(textAt(value, "CONTENT"), "latin1");
      scripts.put(filename, { lastUpdate, content });
    } else if (name === "UNSIEVE") scripts.delete(filename);
    else if (name === "UNACTIVATE_SIEVE") scripts.activate(undefined);
    else if (name !== "ACTIVATE_SIEVE") return NO_COMMAND;
    else if (!scripts.activate(filename)) return UNKNOWN;
    const mails = scripts.mails();
    if (mails !== undefined) this.#putMails(userid, mails);
    return OK;
  }

  #putMails(userid: string, mails: readonly ScriptMail[]): void {
    const name = `user.${userid}.#sieve`;
    for (const { guid, bytes } of mails) this.take(guid, bytes);
    const fields = new Map<string, DlistValue>([
      ...[...this.#keys].map((key) => [key, dlistNumber(mails.length)] as const),
      ...["ACL", "OPTIONS"].map((key) => [key, dlistLatin1("")] as const),
      ["MBOXNAME", dlistLatin1(name)],
      ["UNIQUEID", dlistLatin1(`scripts-of-${userid}`)],
      ["MBOXTYPE", dlistLatin1("f")],
      ["PARTITION", dlistLatin1("default")],
      ["USERFLAGS", dlistList([])],
    ]);
    const records = new Map(mails.map(({ record }, at) => [at + 1, record] as const));
    this.#mailboxes.set(name, { fields, records });
  }

  #fitQuota(value: DlistKvlist): DlistKvlist {
    if (this.#since("2.5")) return value;
    const known = value.entries.filter(({ name }) => name === "ROOT" || name === "LIMIT");
    return dlistKvlist(known.map((one) => [one.name, one.value] as const));
  }

  #annotate(command: "ANNOTATION" | "UNANNOTATION", value: DlistKvlist): string {
    const [name, entry] = [textAt(value, "MBOXNAME"), textAt(value, "ENTRY")];
    const isNil = lookUp(value, "VALUE")?.kind === "nil";
    if (this.#version === "2.5") {
      if (isNil) throw new Death("APPLY ANNOTATION VALUE NIL");
      return NOT_THERE;
    }
    if (this.#version === "2.4" && command === "UNANNOTATION") throw new Death("UNANNOTATION");
    if (name !== "" && !this.#mailboxes.has(name)) return NOT_THERE;
    if (this.#version === "2.4" && !ENTRIES_OF_24.has(entry)) return "NO Permission denied";
    const isOther = entry.startsWith("/vendor/") && !entry.startsWith(VENDOR);
    if (isOther && command === "ANNOTATION") {
      return this.#version === "master" ? "NO IMAP_PERMISSION_DENIED Permission denied" : UNKNOWN;
    }
    if (isNil && this.#version === "3.0") return "NO IMAP_PROTOCOL_BAD_PARAMETERS near VALUE";
    const key = `${name}\0${entry}\0${textAt(value, "USERID")}`;
    // Since 3.0 an empty value is none.
    const isNone = isNil || (this.#since("3.0") && textAt(value, "VALUE") === "");
    if (isNone || command === "UNANNOTATION") this.#annotations.delete(key);
    else this.#annotations.set(key, value);
    return OK;
  }

  #rename(value: DlistKvlist): string {
    const [old, name] = [textAt(value, "OLDMBOXNAME"), textAt(value, "NEWMBOXNAME")];
    const mailbox = this.#mailboxes.get(old);
    if (mailbox === undefined) return NOT_THERE;
    this.#mailboxes.delete(old);
    mailbox.fields.set("MBOXNAME", dlistLatin1(name));
    this.#mailboxes.set(name, mailbox);
    return OK;
  }

  #expunge(value: DlistKvlist): string {
    const mailbox = this.#mailboxes.get(textAt(value, "MBOXNAME"));
    if (mailbox === undefined) return NOT_THERE;
    for (const uid of wordsOf(lookUp(value, "UID"), "UID").map(Number)) {
      const record = mailbox.records.get(uid);
      if (record === undefined) continue;
      const flags = [...flagsOf(record), dlistLatin1("\\Expunged")];
      const pairs = record.entries.map(
        (one) => [one.name, one.name === "FLAGS" ? dlistList(flags) : one.value] as const,
      );
      mailbox.records.set(uid, dlistKvlist(pairs));
    }
    return OK;
  }

  #applyMailbox(value: DlistKvlist): string {
    const name = textAt(value, "MBOXNAME");
    const type = textAt(value, "MBOXTYPE");
    const isPlaceholder = this.#since("3.2") && /[id]/.test(type);
    const refusal = this.#refusalOf(name, type, value);
    if (refusal !== undefined) return refusal;
    if (isPlaceholder) {
      // 3.2 never names one, and nothing names what is deleted.
      if (this.#since("3.4") && type.includes("i")) this.#putPlaceholder(name, value);
      return OK;
    }
    const known = this.#mailboxes.get(name);
    const fields = new Map([...(known?.fields ?? []), ...fieldsOf(value)]);
    if (this.#since("master") && !fields.has("JMAPID")) {
      // It is made of this number alone.
      fields.set("JMAPID", dlistLatin1(`P-${textAt(value, "CREATEDMODSEQ")}`));
    }
    const mailbox = { fields, records: known?.records ?? new Map<number, DlistKvlist>() };
    this.#mailboxes.set(name, mailbox);
    if (this.#since("2.5")) this.#takeAnnotations(name, lookUp(value, "ANNOTATIONS"));
    const records = lookUp(value, "RECORD");
    const list = records?.kind === "list" ? records.items : [];
    for (const item of list) {
      const flaw = this.#putRecord(mailbox, kvlistOf(item, "RECORD"));
      if (flaw !== undefined) return flaw;
    }
    return this.#checkSums(mailbox, value, list.length);
  }

  #refusalOf(name: string, type: string, value: DlistKvlist): string | undefined {
    const partition = textAt(value, "PARTITION");
    const mayLackPartition = this.#since("3.2") && /[id]/.test(type);
    if (partition === "" && !mayLackPartition) return NO_PARTITION;
    if (partition !== "" && partition !== "default") {
      if (this.#version === "2.4") return "NO Invalid mailbox name";
      return this.#version === "2.5" ? "NO Unknown/invalid partition" : UNKNOWN;
    }
    if (!this.#since("2.5")) return undefined;
    const isRefused = REFUSED_NAME.test(name) || (!this.#since("3.0") && /[()[\]*]/.test(name));
    if (isRefused) return this.#since("3.0") ? UNKNOWN : "NO Invalid mailbox name";
    if (!this.#since("3.8") && !TYPES_OF_34.test(type)) {
      if (this.#version !== "2.5") return UNKNOWN;
      // It has written the type before it dies of it.
      this.#mailboxes.set(name, { fields: fieldsOf(value), records: new Map() });
      throw new Death(`MBOXTYPE ${type}`);
    }
    const version = textAt(value, "VERSION");
    if (this.#version === "master" && Number(version) > 20) {
      throw new Death(`VERSION ${version}`, "* Fatal error: Internal error: assertion failed");
    }
    return undefined;
  }

  #putPlaceholder(name: string, value: DlistKvlist): void {
    const numbers = [...this.#keys].filter((key) => !/^(JMAPID|USERFLAGS|VERSION)$/.test(key));
    const fields = new Map<string, DlistValue>([
      ...numbers.map((key) => [key, dlistNumber(0)] as const),
      ...["ACL", "OPTIONS"].map((key) => [key, dlistLatin1("")] as const),
      ...fieldsOf(value),
      ["PARTITION", { kind: "nil" }],
      ["MBOXTYPE", dlistLatin1(this.#since("3.8") ? "ei" : "i")],
    ]);
    this.#mailboxes.set(name, { fields, records: new Map() });
  }

  /** Those of the mailbox itself. Since 3.2 one without MODSEQ is taken, and not kept. */
  #takeAnnotations(name: string, value: DlistValue | undefined): void {
    for (const key of [...this.#annotations.keys()]) {
      if (key.startsWith(`${name}\0`)) this.#annotations.delete(key);
    }
    for (const item of value?.kind === "list" ? value.items : []) {
      const one = kvlistOf(item, "ANNOTATIONS");
      if (this.#since("3.2") && lookUp(one, "MODSEQ") === undefined) continue;
      const pairs = one.entries.map((entry) => [entry.name, entry.value] as const);
      const key = `${name}\0${textAt(one, "ENTRY")}\0${textAt(one, "USERID")}`;
      this.#annotations.set(key, dlistKvlist([["MBOXNAME", dlistLatin1(name)], ...pairs]));
    }
  }

  #putRecord({ records }: Mailbox, record: DlistKvlist): string | undefined {
    const [uid, guid] = [Number(textAt(record, "UID")), textAt(record, "GUID")];
    const isNew = !records.has(uid);
    const flags = flagsOf(record);
    if (this.#since("2.5")) {
      if (flags.some(({ kind }) => kind === "nil")) throw new Death("a bare NIL in FLAGS");
      const annotations = lookUp(record, "ANNOTATIONS");
      const items = annotations?.kind === "list" ? annotations.items : [];
      const lacks = items.some((one) => lookUp(kvlistOf(one, "A"), "MODSEQ") === undefined);
      if (this.#since("3.2") && lacks) return NO_COMMAND;
      if (flags.some((flag) => NO_ATOM.test(text(flag)))) return NO_COMMAND;
    }
    const isExpunged = flags.some((flag) => text(flag) === "\\Expunged");
    const isSent = this.#messages.has(guid);
    if (isNew && !isExpunged && !isSent) throw new Death(`a new message that was not sent: ${uid}`);
    if (isNew && isExpunged && !isSent && !this.#since("2.5")) return undefined;
    records.set(uid, record);
    return undefined;
  }

  /** 2.4 compares a sum of 0 as well, and keeps what it then refuses. */
  #checkSums(mailbox: Mailbox, value: DlistKvlist, records: number): string {
    const { basic, annot } = this.#sumsOf(mailbox);
    const sent = Number(textAt(value, "SYNC_CRC") || 0);
    const sentAnnot = Number(textAt(value, "SYNC_CRC_ANNOT") || 0);
    if (this.#version === "2.4") {
      const isRight = records === 0 || sent === basic;
      return isRight ? OK : "NO IMAP_MAILBOX_CRC Checksum Failure";
    }
    const isWrong = (sent !== 0 && sent !== basic) || (sentAnnot !== 0 && sentAnnot !== annot);
    return isWrong ? "NO IMAP_SYNC_CHECKSUM Checksum Failure" : OK;
  }
}

function ofUser<Value>(map: Map<string, Value>, userid: string, make: () => Value): Value {
  const value = map.get(userid) ?? make();
  map.set(userid, value);
  return value;
}
