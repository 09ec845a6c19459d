import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../../src/core/errors.ts";
import { imapdConfOf, readImapdConf } from "../../../../src/places/cyrus/server/imapd_conf.ts";
import { readConfFile } from "../../../../src/places/cyrus/server/imapd_conf_file.ts";
import { readOnlyFixture } from "../../../support/fixtures.ts";
import { tempDir } from "../../../support/temp_dir.ts";

const BASE = "configdirectory: /var/lib/cyrus\npartition-default: /var/spool/cyrus\n";

function confFile(text: string | Uint8Array): string {
  const path = join(tempDir("conf"), "imapd.conf");
  writeFileSync(path, text);
  return path;
}

function read(text: string): Record<string, string> {
  return Object.fromEntries(readConfFile(confFile(text)));
}

function settings(text = "") {
  return readImapdConf(confFile(BASE + text));
}

describe("readConfFile()", () => {
  test("reads names in any case, white space around values, quotes and # as they are", () => {
    const text = 'SieveDir:/a b \n  AdMins:\tx  # y\nq: "z"\r\n\n  # c: d\n';
    expect(read(text)).toEqual({ sievedir: "/a b", admins: "x  # y", q: '"z"' });
  });

  test("joins lines that end with a backslash as they are, comments too", () => {
    expect(read("admins: a \\\n  b \\\n# c\nx: y\n")).toEqual({ admins: "a   b # c", x: "y" });
    expect(read("# comment \\\nx: lost\ny: z\n")).toEqual({ y: "z" });
    expect(read("x: a\\\\\n b\n")).toEqual({ x: "a\\ b" });
  });

  test("keeps a backslash of a last line without an end, and loses the line with one", () => {
    expect(read("x: a\\")).toEqual({ x: "a\\" });
    expect(read("y: b\nx: a\\\n")).toEqual({ y: "b" });
  });

  test("refuses what Cyrus refuses, and names file and line", () => {
    const cases: [text: string, message: RegExp][] = [
      ["x: 1\nx : 2\n", /line 2 of .*imapd\.conf: no option name and colon$/],
      ["x y\n", /line 1 of/],
      ["x:\n", /line 1 of .*: x has no value$/],
      ["x: 1\n\nX: 2\n", /^x is set twice, again in line 3 of/],
      ["@includes: /x\n", /no directive @includes$/],
    ];
    for (const [text, message] of cases) expect(() => read(text)).toThrow(message);
    for (const [text] of cases) expect(() => read(text)).toThrow(AppError);
  });

  test("reads included files, each once only", () => {
    const inner = confFile("admins: root\n");
    const outer = confFile(`sievedir: /s\n@INCLUDE:  ${inner} \nx: y\n`);
    expect(read(`@include: ${outer}\nlast: 1\n`)).toEqual({
      sievedir: "/s",
      admins: "root",
      x: "y",
      last: "1",
    });
    expect(() => read(`@include: ${inner}\n@include: ${inner}\n`)).toThrow(/is included twice$/);
    const path = confFile("");
    writeFileSync(path, `@include: ${path}\n`);
    expect(() => readConfFile(path)).toThrow(/is included twice$/);
  });

  test("says which file is missing, too long or not text", () => {
    expect(() => read("@include: /nowhere/x.conf\n")).toThrow(
      "Cannot read configuration file /nowhere/x.conf: ENOENT",
    );
    expect(() => readConfFile(confFile(Uint8Array.of(0xff, 0x0a)))).toThrow(/is not UTF-8$/);
    const long = `x: ${"y".repeat(1024 * 1024)}\n`;
    expect(() => readConfFile(confFile(long))).toThrow(/: it has more than 1048576 bytes$/);
  });
});

describe("readImapdConf()", () => {
  test("knows the defaults of Cyrus 3", () => {
    expect(settings()).toMatchObject({
      configdirectory: "/var/lib/cyrus",
      hashimapspool: false,
      fulldirhash: false,
      virtdomains: false,
      defaultdomain: "internal",
      unixhierarchysep: true,
      altnamespace: true,
      admins: [],
      mailboxLegacyDirs: false,
      deletedprefix: "DELETED",
      reverseacls: false,
      conversations: false,
      mailboxesDb: { path: "/var/lib/cyrus/mailboxes.db", format: "twoskip" },
      annotationsDb: { path: "/var/lib/cyrus/annotations.db", format: "twoskip" },
      quotaDb: { path: "/var/lib/cyrus/quotas.db", format: undefined, formatName: "quotalegacy" },
      seenFormat: "twoskip",
      subscriptionFormat: "flat",
      conversationsFormat: "skiplist",
      lockFolder: "/var/lib/cyrus/lock",
      sievedir: "/usr/sieve",
    });
    expect([...settings().partitions]).toEqual([["default", { data: "/var/spool/cyrus" }]]);
  });

  test("reads switches by their first letters, and no capitals", () => {
    const on = ["1", "yes", "y", "t", "tru", "on"];
    const off = ["0", "no", "nope", "n", "f", "off", "of"];
    for (const value of on) expect(settings(`hashimapspool: ${value}\n`).hashimapspool).toBe(true);
    for (const value of off) expect(settings(`altnamespace: ${value}\n`).altnamespace).toBe(false);
    for (const value of ["YES", "o", "enable"]) {
      expect(() => settings(`hashimapspool: ${value}\n`)).toThrow(/is a switch and cannot be/);
    }
    for (const value of ["on", "userid", "yes"]) {
      expect(settings(`virtdomains: ${value}\n`).virtdomains).toBe(true);
    }
    expect(() => settings("virtdomains: maybe\n")).toThrow("virtdomains cannot be maybe");
  });

  test("puts the configdirectory in at the start of a value, not for partitions", () => {
    const conf = settings(
      "sievedir: {ConfigDirectory}/sieve\nmboxname_lockpath: {configdirectory}x\n" +
        "annotation_db_path: /a/{configdirectory}\npartition-two: {configdirectory}/p\n",
    );
    expect(conf.sievedir).toBe("/var/lib/cyrus/sieve");
    expect(conf.lockFolder).toBe("/var/lib/cyrusx");
    expect(conf.annotationsDb.path).toBe("/a/{configdirectory}");
    expect(conf.partitions.get("two")?.data).toBe("{configdirectory}/p");
  });

  test("finds metadirs, metapartitions and archives of each partition", () => {
    const conf = settings(
      "metapartition_files: header index\nmetapartition-default: /meta\n" +
        "partition-two: /two\nmetadir-index-two: /index\nmetadir-cache-two: /cache\n" +
        "archivepartition-two: /archive\n",
    );
    expect(Object.fromEntries(conf.partitions)).toEqual({
      default: { data: "/var/spool/cyrus", meta: { header: "/meta", index: "/meta" } },
      two: { data: "/two", meta: { index: "/index", annotations: "/index", cache: "/cache" } },
    });
    const archived = settings("archive_enabled: yes\narchivepartition-default: /archive\n");
    expect(archived.partitions.get("default")?.archive).toBe("/archive");
  });

  test("reads lists, formats and what it does not support by name", () => {
    const conf = settings(
      "admins: a  b\tc\nmboxlist_db: sql\nsieveusehomedir: 1\nquota_db: flat\n",
    );
    expect(conf.admins).toEqual(["a", "b", "c"]);
    expect(conf.mailboxesDb).toMatchObject({ format: undefined, formatName: "sql" });
    expect(conf.quotaDb.format).toBe("flat");
    expect(conf.sievedir).toBeUndefined();
  });

  test("refuses a file without configdirectory", () => {
    expect(() => imapdConfOf("x.conf", new Map())).toThrow("x.conf does not set configdirectory");
  });

  test("reads the configuration of a real server", () => {
    const conf = readImapdConf(join(readOnlyFixture("cyrus-spools/uuid-paths"), "imapd.conf"));
    expect(conf).toMatchObject({
      hashimapspool: true,
      admins: ["admin"],
      sievedir: "@DIR@/conf/sieve",
    });
    expect(conf.options.get("sasl_mech_list")).toBe("PLAIN");
  });
});
