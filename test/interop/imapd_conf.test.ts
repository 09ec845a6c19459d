import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../src/core/errors.ts";
import { readImapdConf } from "../../src/places/cyrus/server/imapd_conf.ts";
import { cyrusTools } from "../support/cyrus_tools.ts";

const tools = cyrusTools();

/** What is added to a plain imapd.conf, one odd thing each. */
const ODD = [
  "admins: a \\\n  b \\\n# c\nsievedir: /x\n",
  "# comment \\\nsievedir: /lost\nadmins: kept\n",
  "SieveDir:/x # y\nADMINS:A b\n",
  'sievedir: "/x y"\n',
  "sievedir: /last\\",
  "sievedir: /last\\\n",
  "sievedir: /a\\\\\n  b\n",
  "sievedir: {ConfigDirectory}/s\r\n",
  "sievedir: /x\nsievedir: /y\n",
  "partition-two: /x\npartition-two: /y\n",
  "sievedir : /x\n",
  "sievedir\n",
  "sievedir:  \n",
  "hashimapspool: YES\n",
  "hashimapspool: nope\nfulldirhash: true\nreverseacls: tru\n",
  "virtdomains: yes\n",
  "virtdomains: maybe\n",
  "@includes: x\n",
  "@include: /nowhere\n",
];

/** The settings that Cyrus and Bobbin both print, or that it is refused. */
function ask(text: string): string {
  const path = tools?.write("odd.conf", text) ?? "";
  try {
    const said = tools?.run("cyr_info", ["conf-all"], { conf: path }) ?? "";
    const value = (name: string) => said.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
    const names = ["sievedir", "admins", "hashimapspool", "fulldirhash", "reverseacls"];
    return [...names.map(value), value("virtdomains") === "off" ? "no" : "yes"].join("|");
  } catch {
    return "refused";
  }
}

function read(folder: string, text: string): string {
  const path = join(folder, "read.conf");
  writeFileSync(path, text);
  try {
    const conf = readImapdConf(path);
    const flags = [conf.hashimapspool, conf.fulldirhash, conf.reverseacls, conf.virtdomains];
    const admins = conf.options.get("admins") ?? "";
    return [conf.sievedir, admins, ...flags.map((flag) => (flag ? "yes" : "no"))].join("|");
  } catch (error) {
    if (error instanceof AppError) return "refused";
    throw error;
  }
}

describe("readImapdConf()", () => {
  test.skipIf(tools === undefined)("reads odd configurations as Cyrus does", () => {
    if (tools === undefined) return;
    const { folder } = tools;
    const base = `configdirectory: ${folder}/conf\npartition-default: ${folder}/spool\n`;
    for (const odd of ODD) {
      const text = base + odd;
      expect({ odd, settings: read(folder, text) }).toEqual({ odd, settings: ask(text) });
    }
  });
});
