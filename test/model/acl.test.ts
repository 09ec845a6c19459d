import { describe, expect, test } from "bun:test";
import { parseAcl, printAcl } from "../../src/model/acl.ts";

describe("ACLs", () => {
  test("parseAcl() reads the tab form and printAcl() writes it", () => {
    const acl = "anne\tlrswipkxtecdan\tanyone\tlrs\t-bob\tw\t";
    const entries = parseAcl(acl);
    expect(entries).toEqual([
      { identifier: "anne", rights: "lrswipkxtecdan" },
      { identifier: "anyone", rights: "lrs" },
      { identifier: "-bob", rights: "w" },
    ]);
    expect(printAcl(entries ?? [])).toBe(acl);
    expect(parseAcl("")).toEqual([]);
    expect(parseAcl("anne\tlrs")).toEqual([{ identifier: "anne", rights: "lrs" }]);
  });

  test.each(["anne", "\tlrs\t", "anne\tlrs\tbob\t"])("parseAcl() refuses %j", (acl) => {
    expect(parseAcl(acl)).toBeUndefined();
  });
});
