import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1, utf8 } from "../../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { printLine } from "../../../src/formats/dlist/print.ts";
import { DlistReader, type ReaderEvent } from "../../../src/formats/dlist/reader.ts";
import type { DlistValue } from "../../../src/formats/dlist/value.ts";
import {
  bytesOfSide,
  CAPTURE_SETS,
  capturesOf,
  expectAnswer,
  expectCommand,
} from "../../support/captures.ts";
import { property } from "../../support/property.ts";
import { anyValue } from "./values.ts";

/** A command: text, and between two texts the content of the literal that the first announces. */
type Announcing = readonly { readonly text: string; readonly bodyBytes: number }[];

/** The commands of real clients that hold literals or files. */
function commandsWithLiterals(): Announcing[] {
  const found: Announcing[] = [];
  for (const capture of CAPTURE_SETS.flatMap((set) => capturesOf(set))) {
    for (const connection of capture.connections) {
      const text = latin1(bytesOfSide(connection, "C"));
      if (/COMPRESS|STARTTLS/.test(text)) continue;
      let parts: { text: string; bodyBytes: number }[] = [];
      for (let at = 0; at < text.length; ) {
        const end = text.indexOf("\n", at) + 1;
        if (end === 0) break;
        const line = text.slice(at, end);
        const bodyBytes = Number(/[ {](\d+)\+?\}\r\n$/.exec(line)?.[1] ?? 0);
        parts.push({ text: line, bodyBytes });
        at = end + bodyBytes;
        if (bodyBytes > 0) continue;
        if (parts.length > 1 && /^(APPLY|GET)/.test(parts[0]?.text ?? "")) found.push(parts);
        parts = [];
      }
    }
  }
  return found;
}

/** The command with its texts changed but for their announcements, and commands for literals. */
function mutated(
  command: Announcing,
  edits: readonly { readonly at: number; readonly kind: string; readonly byte: string }[],
): string {
  const texts = command.map(({ text }) => text);
  for (const { at, kind, byte } of edits) {
    const which = at % texts.length;
    const text = texts[which] ?? "";
    const body = text.length - (/[ {%]*\{?\d*\+?\}?\r\n$/.exec(text)?.[0].length ?? 0);
    const from = Math.floor(at / texts.length) % Math.max(body, 1);
    const left = kind === "insert" ? from : from + 1;
    texts[which] = text.slice(0, from) + (kind === "delete" ? "" : byte) + text.slice(left);
  }
  return texts
    .map((text, at) => {
      const line = "\r\nSMUGGLED x";
      const bytes = command[at]?.bodyBytes ?? 0;
      return text + line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes);
    })
    .join("");
}

const GUID = "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc";
const limits = DEFAULT_LIMITS;

/** What a server reads from `chunks`, each event in short text. */
function read(chunks: readonly Uint8Array[], options: Partial<ReaderSetup> = {}): string[] {
  const reader = new DlistReader({ limits, expect: expectCommand, ...options });
  const seen: string[] = [];
  for (const chunk of chunks) for (const event of reader.feed(chunk)) seen.push(short(event));
  const left = reader.end();
  if (left !== undefined) seen.push(`at the end: ${short(left)}`);
  return joinData(seen);
}

type ReaderSetup = ConstructorParameters<typeof DlistReader>[0];

function short(event: ReaderEvent): string {
  switch (event.kind) {
    case "text":
      return `text ${[...event.words, latin1(event.text)].join("|")}`;
    case "dlist":
      return (
        `dlist ${event.words.join("|")} ` +
        `${latin1(printLine(event.name, fileless(event.value), { from: "server" }))}`
      );
    case "malformed":
      return `malformed ${event.words.join("|")}`;
    case "item":
      return `item ${latin1(printLine(event.key, fileless(event.value), { from: "server" }))}`;
    case "fileStart":
      return `file ${event.partition} ${event.guid} ${event.size}`;
    case "fileData":
      return `data ${latin1(event.bytes)}`;
    case "fileEnd":
      return "fileEnd";
  }
}

/** The value with files as plain strings, for their content has been streamed out. */
function fileless(value: DlistValue): DlistValue {
  if (value.kind === "file") return { kind: "string", bytes: utf8(`file-${value.size}`) };
  if (value.kind === "list") return { ...value, items: value.items.map(fileless) };
  if (value.kind !== "kvlist") return value;
  return {
    ...value,
    entries: value.entries.map((entry) => ({ ...entry, value: fileless(entry.value) })),
  };
}

/** Chunks cut a file's data anywhere: neighbouring pieces are one. */
function joinData(seen: readonly string[]): string[] {
  const joined: string[] = [];
  for (const line of seen) {
    const last = joined.at(-1);
    if (line.startsWith("data ") && last?.startsWith("data ")) {
      joined[joined.length - 1] = last + line.slice(5);
    } else if (line !== "data ") {
      joined.push(line);
    }
  }
  return joined;
}

const text = (...lines: string[]): Uint8Array[] => [fromLatin1(lines.join(""))];

describe("DlistReader", () => {
  test("feed() reads words, text and dlist lines", () => {
    const seen = read(
      text(
        "NOOP\r\n",
        "authenticate plain AGE=\r\n",
        "\r\n",
        "GET USER anne\n",
        "APPLY MAILBOX %(A 1)\r\n",
        "S12 SYNCGET USER anne\r\n",
        "C01 CAPABILITY\r\n",
        "APPLY\r\n",
      ),
    );
    expect(seen).toEqual([
      "text NOOP|",
      "text authenticate|plain AGE=",
      "text ",
      "dlist GET USER anne",
      "dlist APPLY MAILBOX %(A 1)",
      "dlist S12|SYNCGET USER anne",
      "text C01|CAPABILITY|",
      "text APPLY|",
    ]);
  });

  test("feed() reads a server's answers", () => {
    const lines =
      "* SASL PLAIN\r\n* OK beta\r\nOK success\r\n* MISSING (a b)\r\n+ \r\n* MESSAGE NIL\r\n";
    expect(read(text(lines), { expect: expectAnswer })).toEqual([
      "text *|SASL|PLAIN",
      "text *|OK|beta",
      "text OK|success",
      "dlist *|MISSING MISSING (a b)",
      "text +|",
      "dlist *|MESSAGE MESSAGE NIL",
    ]);
  });

  test("feed() streams the bytes of files and keeps the place in the value", () => {
    const command = `APPLY MESSAGE (%{default ${GUID} 4}\r\na)\r\n %{p ${GUID} 0}\r\n)\r\nNOOP\r\n`;
    expect(read(text(command))).toEqual([
      `file default ${GUID} 4`,
      "data a)\r\n",
      "fileEnd",
      `file p ${GUID} 0`,
      "fileEnd",
      "dlist APPLY MESSAGE (file-4 file-0)",
      "text NOOP|",
    ]);
  });

  test("feed() streams the items of the lists it was asked to, and only those", () => {
    const command = "APPLY MAILBOX %(A (1) RECORD (%(UID 1 RECORD (x)) %(UID 2)) B 2)\r\n";
    expect(read(text(command), { streamItemsOf: new Set(["RECORD"]) })).toEqual([
      "item RECORD %(UID 1 RECORD (x))",
      "item RECORD %(UID 2)",
      "dlist APPLY MAILBOX %(A (1) RECORD () B 2)",
    ]);
  });

  test("feed() reads lists over several lines, as 2.4 sends them", () => {
    const command = "APPLY MAILBOX %(A 1 RECORD (\r\n   %(UID 1)\r\n   %(UID 2)))\r\nNOOP\r\n";
    expect(read(text(command))).toEqual([
      "dlist APPLY MAILBOX %(A 1 RECORD (%(UID 1) %(UID 2)))",
      "text NOOP|",
    ]);
  });

  const broken: readonly string[] = [
    "APPLY MAILBOX )(\r\n",
    "APPLY SUB %(USERID)\r\n",
    'APPLY SUB %(USERID "unterminated)\r\n',
    "APPLY MESSAGE (%{default xyz 5}\r\nabcde)\r\n",
    "APPLY MESSAGE (%{default xyz 8}\r\nNOOP\r\n\r\n)\r\n",
    `APPLY MESSAGE (%x {6+}\r\nNOOP\r\n %{default ${GUID} 6}\r\nNOOP\r\n)\r\n`,
    "APPLY % {6}\r\nNOOP\r\n)\r\n",
    "APPLY MAILBOX (a) {6+}\r\nNOOP\r\n\r\n",
    "APPLY MAILBOX {x}\r\n",
    "APPLY MAILBOX (a)x\r\n",
    "APPLY MAILBOX (a)\r \r\n",
  ];
  test.each(broken)("feed() eats the whole of the broken command %j", (command) => {
    expect(read(text(command, "NOOP\r\n"))).toEqual(["malformed APPLY", "text NOOP|"]);
  });

  test("feed() skips a literal past the limit and stays in step", () => {
    const tight = { ...limits, literalBytes: 4, atomBytes: 40, nesting: 2, listItems: 3 };
    for (const value of ["{6+}\r\nNOOP\r\n", "(((a)))", "(a b c d)", "a".repeat(41)]) {
      expect(read(text(`APPLY X ${value}\r\n`, "NOOP\r\n"), { limits: tight })).toEqual([
        "malformed APPLY",
        "text NOOP|",
      ]);
    }
    expect(read(text(`${"x".repeat(41)}\r\nNOOP\r\n`), { limits: tight })[0]).toBe("malformed ");
  });

  test("feed() swallows the literal of a line of text", () => {
    expect(read(text("C01 LOGIN {6+}\r\nNOOP\r\n {4}\r\nabcd\r\nNOOP\r\n"))).toEqual([
      "text C01|LOGIN|{6+}",
      "text NOOP|",
    ]);
  });

  const NESTED = "NOOP smuggled\r\n";
  const size = NESTED.length;
  const announcing = [
    `APPLY UNUSER {${size}+}\n`,
    `APPLY UNUSER {${size}}\n`,
    `APPLY UNUSER {${"0".repeat(40)}${size}+}\r\n`,
    `APPLY UNUSER {${"0".repeat(11)}${size}}\r\n`,
    `APPLY UNUSER x{${size}+}\r\n`,
    `APPLY UNUSER "x {${size}+}\r\n`,
    `APPLY UNUSER "x\\{${size}+}\r\n`,
    `APPLY UNUSER x {${size}+}\r\n`,
    `APPLY UNUSER "x"{${size}+}\r\n`,
    `APPLY UNUSER ) {${size}+}\r\n`,
    `APPLY MESSAGE (%{default nothex ${size}}\r\n`,
    `APPLY MESSAGE (%{default ${GUID} more ${size}}\r\n`,
    `APPLY MESSAGE ({default ${GUID} ${size}}\r\n`,
    `APPLY MESSAGE (%{${"p".repeat(3000)} ${GUID} ${size}}\r\n`,
    `APPLY MESSAGE (% {${size}+}\r\n`,
    `APPLY SUB %(USERID (a{${size}+}\r\n`,
    `APPLY SUB %(USERID \\a{${size}+}\r\n`,
    `NOOP {${size}+}\r\n`,
    `NOOP ${"x".repeat(limits.atomBytes)}{${size}+}\r\n`,
    `APPLY UNUSER ${"x".repeat(limits.atomBytes)}{${size}+}\r\n`,
    `APPLY UNUSER ${"(".repeat(99)}{${size}+}\r\n`,
  ];
  for (const line of announcing) {
    test(`feed() runs nothing of the literal after ${line.slice(0, 60).trimEnd()}`, () => {
      const bytes = fromLatin1(`${line}${NESTED}\r\nNOOP\r\n`);
      const whole = read([bytes]);
      expect(whole.filter((one) => one.includes("smuggled"))).toEqual([]);
      expect(whole.at(-1)).toBe("text NOOP|");
      if (bytes.length > 9000) return;
      const single = Array.from(bytes, (_, at) => bytes.slice(at, at + 1));
      expect(read(single)).toEqual(whole);
      for (let at = 1; at < bytes.length; at++) {
        expect(read([bytes.slice(0, at), bytes.slice(at)])).toEqual(whole);
      }
    });
  }

  test("feed() runs nothing of a literal in mutated captures", () => {
    const lines = commandsWithLiterals();
    expect(lines.length).toBeGreaterThan(20);
    const mutation = fc.record({
      line: fc.nat(lines.length - 1),
      edits: fc.array(
        fc.record({
          at: fc.nat(),
          kind: fc.constantFrom("insert", "replace", "delete"),
          byte: fc.constantFrom(...'(){}%"\\ \tN*+5aA\x00\x80'),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      cut: fc.nat(),
    });
    property(mutation, ({ line, edits, cut }) => {
      const bytes = fromLatin1(`${mutated(lines[line] ?? [], edits)}\r\n`);
      const at = cut % bytes.length;
      const seen = read([bytes.slice(0, at), bytes.slice(at)]);
      expect(seen.filter((one) => /^(text|malformed|dlist) SMUGGLED/.test(one))).toEqual([]);
    });
  });

  test("feed() runs nothing of a literal that a line of garbage announces", () => {
    const verb = fc.constantFrom("APPLY", "GET", "RESTORE", "NOOP", "X", "");
    const token = fc.oneof(
      fc.constantFrom(...'(){}%"\\ \t\0\xff'),
      fc.constantFrom(
        "%(",
        "%{",
        "{3}",
        "{1+}",
        "MAILBOX",
        "RECORD",
        "NIL",
        "\\Seen",
        '"a b"',
        ") ",
      ),
      fc.string({ unit: "binary-ascii", maxLength: 6 }).map((one) => one.replace(/[\r\n]/g, "_")),
    );
    const head = fc.constantFrom("{N}\r\n", "{N+}\r\n", "{N+}\n", `%{default ${GUID} N}\r\n`);
    const line = fc.tuple(verb, fc.array(token, { maxLength: 12 }), head, fc.nat(40), fc.nat());
    property(line, ([first, tokens, announced, count, cut]) => {
      const body = "SMUGGLED\r\n".repeat(count);
      const opening = announced.replace("N", `${body.length}`);
      const bytes = fromLatin1(`${first} ${tokens.join("")} ${opening}${body}\r\nNOOP\r\n`);
      const whole = read([bytes]);
      expect(whole.filter((one) => /^(text|malformed|dlist) SMUGGLED/.test(one))).toEqual([]);
      const at = cut % bytes.length;
      expect(read([bytes.slice(0, at), bytes.slice(at)])).toEqual(whole);
    });
  });

  test("end() reports a line that was not finished", () => {
    expect(read(text("APPLY MAILBOX %(UNIQUEID\r\nNOOP\r\nEXIT\r\n"))).toEqual([
      "at the end: malformed APPLY",
    ]);
    expect(read(text("NOO"))).toEqual(["at the end: malformed "]);
    expect(read(text("APPLY )"))).toEqual(["at the end: malformed APPLY"]);
    expect(read(text("NOOP\r\n"))).toEqual(["text NOOP|"]);
  });

  test("rest() gives what follows the line to whoever takes the connection over", () => {
    const reader = new DlistReader({ limits, expect: expectCommand });
    for (const event of reader.feed(fromLatin1("COMPRESS DEFLATE\r\n\x00\x01\x02"))) {
      expect(event.kind).toBe("text");
      break;
    }
    expect(latin1(reader.rest())).toBe("\x00\x01\x02");
    expect([...reader.feed(utf8("NOOP\r\n"))]).toHaveLength(1);
  });

  test("feed() reads the captures alike, however their bytes are cut", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 });
    const connections = CAPTURE_SETS.flatMap((set) => capturesOf(set))
      .filter((capture) => !capture.name.includes("compress"))
      .flatMap((capture) => capture.connections);
    property(fc.constantFrom(...connections), sizes, (connection, cuts) => {
      const bytes = bytesOfSide(connection, "C");
      expect(read(cut(bytes, cuts))).toEqual(read([bytes]));
      const answers = bytesOfSide(connection, "S");
      const expect_ = { expect: expectAnswer };
      expect(read(cut(answers, cuts), expect_)).toEqual(read([answers], expect_));
    });
  });

  test("feed() reads any value alike, byte by byte", () => {
    property(anyValue, (value) => {
      const line = concat([
        utf8("APPLY "),
        printLine("NAME", value, { from: "client" }),
        utf8("\r\nNOOP\r\n"),
      ]);
      const whole = read([line]);
      expect(whole.at(-1)).toBe("text NOOP|");
      expect(whole.at(-2)).toStartWith("dlist APPLY NAME ");
      expect(read(cut(line, [1]))).toEqual(whole);
    });
  });

  test("feed() never throws and never stops reading, whatever the bytes", () => {
    const piece = fc.oneof(
      fc.constantFrom("APPLY ", "GET ", "NOOP\r\n", "(", ")", "%(", "%{", "{2}\r\n", "{2+}\r\n"),
      fc.constantFrom(" ", "\r\n", '"', "\\", "a", `%{p ${GUID} 2}\r\n`, "\r", "\n", "NIL"),
    );
    property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const bytes = fromLatin1(pieces.join(""));
      const whole = read([bytes]);
      expect(read(cut(bytes, [1]))).toEqual(whole);
    });
  });

  test("giveUp() leaves the reader in step, wherever in a line it comes", () => {
    const line =
      `APPLY SOME (%{p ${GUID} 7}\r\nab)\r\n{3 {4+}\r\na)\r\n b "q (" \\Flag %(A ` +
      "{2}\r\n\r\nB ()))\r\n";
    const bytes = fromLatin1(`${line}NOOP\r\n`);
    let given = 0;
    for (let at = 1; at < bytes.length; at++) {
      const reader = new DlistReader({
        limits,
        expect: (words) => (words.length === 0 ? "word" : words[0] === "APPLY" ? "line" : "text"),
        streamItemsOf: new Set(),
      });
      const events = [...reader.feed(bytes.slice(0, at))];
      const isGiven = reader.giveUp("room");
      if (isGiven) expect(reader.heldBytes).toBe(0);
      events.push(...reader.feed(bytes.slice(at)));
      const lines = events.filter(({ kind }) => /text|dlist|malformed/.test(kind));
      expect(lines.map(({ kind }) => kind)).toEqual([isGiven ? "malformed" : "dlist", "text"]);
      if (isGiven) given++;
    }
    // All but the words of the commands, the sizes and the line's end.
    expect(given).toBeGreaterThan(line.length - 90);
  });
});

/** `bytes` in pieces of `sizes`, over and over. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}
