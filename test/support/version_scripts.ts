/**
 * The sieve scripts of one user at a server of some version: files and their bytecode, what is
 * active, and since 3.6 the messages of the mailbox `#sieve`.
 */
import { createHash } from "node:crypto";
import type { DlistKvlist, DlistValue } from "../../src/formats/dlist/value.ts";
import { dlistKvlist, dlistLatin1, dlistList, dlistNumber } from "../../src/formats/dlist/value.ts";
import { FIXTURE_VERSIONS, type FixtureVersion } from "./version_answers.ts";
import { textAt } from "./version_values.ts";

interface Script {
  readonly lastUpdate: DlistValue;
  readonly content: Buffer;
}

/** A script as a message. */
export interface ScriptMail {
  readonly guid: string;
  readonly bytes: Buffer;
  readonly record: DlistKvlist;
}

export class VersionScripts {
  readonly #version: FixtureVersion;
  readonly #files = new Map<string, Script>();
  #active: string | undefined;

  constructor(version: FixtureVersion) {
    this.#version = version;
  }

  #since(version: FixtureVersion): boolean {
    return FIXTURE_VERSIONS.indexOf(this.#version) >= FIXTURE_VERSIONS.indexOf(version);
  }

  /** As GET META lists them. Since 3.4 of bytecode only the active one is named, there or not. */
  listed(): DlistKvlist[] {
    const all = [...this.#files].map(([name, script]) => this.#lineOf(name, script));
    if (!this.#since("3.4")) return all;
    const sources = all.filter((one) => textAt(one, "FILENAME").endsWith(".script"));
    return this.#active === undefined ? sources : [...sources, this.#lineOf(this.#active)];
  }

  #lineOf(filename: string, script?: Script): DlistKvlist {
    const sha1 = createHash("sha1").update(script?.content ?? "");
    const guid = script === undefined ? "0".repeat(40) : sha1.digest("hex");
    return dlistKvlist([
      ["FILENAME", dlistLatin1(filename)],
      ["LAST_UPDATE", script?.lastUpdate ?? dlistNumber(0)],
      ["GUID", this.#since("2.5") ? dlistLatin1(guid) : undefined],
      ["ISACTIVE", dlistNumber(this.#active === filename ? 1 : 0)],
    ]);
  }

  /** Undefined where there is none; since 3.6 there is no bytecode to be had. */
  content(filename: string): Uint8Array | undefined {
    if (this.#since("3.8") && !filename.endsWith(".script")) return undefined;
    return this.#files.get(filename)?.content;
  }

  /** From 3.0 on a server compiles what comes. */
  put(filename: string, script: Script): void {
    this.#files.set(filename, script);
    if (!this.#since("3.0") || !filename.endsWith(".script")) return;
    const content = Buffer.from("CyrSBytecode\0\0\0\x1b");
    this.#files.set(filename.replace(/script$/, "bc"), { ...script, content });
  }

  delete(filename: string): void {
    this.#files.delete(filename);
  }

  /** False where there is no such script; before 3.6 any name is taken, and dangles. */
  activate(filename: string | undefined): boolean {
    const isThere = this.#files.has(filename?.replace(/bc$/, "script") ?? "");
    if (filename !== undefined && !isThere && this.#since("3.8")) return false;
    this.#active = filename;
    return true;
  }

  /** The messages of `#sieve`, numbered anew at each change; undefined where there is no such. */
  mails(): ScriptMail[] | undefined {
    if (!this.#since("3.8")) return undefined;
    const sources = [...this.#files].filter(([filename]) => filename.endsWith(".script"));
    return sources.map(([filename, { lastUpdate, content }], at) => {
      const name = filename.replace(/\.script$/, "");
      const head = Buffer.from(`Subject: ${name}\r\n\r\n`, "latin1");
      const bytes = Buffer.concat([head, content]);
      const guid = createHash("sha1").update(bytes).digest("hex");
      const flags = this.#active === `${name}.bc` ? [dlistLatin1("\\Flagged")] : [];
      const record = dlistKvlist([
        ["UID", dlistNumber(at + 1)],
        ["MODSEQ", dlistNumber(at + 1)],
        ["LAST_UPDATED", lastUpdate],
        ["FLAGS", dlistList(flags)],
        ["INTERNALDATE", lastUpdate],
        ["SIZE", dlistNumber(bytes.length)],
        ["GUID", dlistLatin1(guid)],
      ]);
      return { guid, bytes, record };
    });
  }
}
