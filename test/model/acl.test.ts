import { describe, expect, test } from "bun:test";
import { OWNER_RIGHTS, parseAcl, printAcl, rightsOf } from "../../src/model/acl.ts";

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

describe("rightsOf()", () => {
  const acl = parseAcl(
    "anne\tlrswipkxtecdan\tanyone\tl\tgroup:staff\tlr\tbob\tlrswi\t-bob\tw\t-group:interns\tr\t",
  );
  const rights = (userid: string, groups: readonly string[] = []) =>
    [...rightsOf(acl ?? [], { userid, groups })].sort().join("");

  test("gives all that the entries for a user, the groups and anyone give together", () => {
    expect(rights("anne")).toBe("aeiklnprstwx");
    expect(rights("eve")).toBe("l");
    expect(rights("eve", ["staff"])).toBe("lr");
  });

  test("takes away what a negative entry names, whichever entry gives it", () => {
    expect(rights("bob")).toBe("ilrs");
    expect(rights("eve", ["staff", "interns"])).toBe("l");
    expect(rights("anyone")).toBe("l");
  });

  test("leaves owners what they need to get the rest back", () => {
    const found = rightsOf(parseAcl("-anne\tlra\t") ?? [], { userid: "anne", isOwner: true });
    expect([...found].sort().join("")).toBe("aklnx");
    expect(rightsOf([], { userid: "anne" }).size).toBe(0);
  });

  test("knows the old letters by the rights that they stand for", () => {
    const old = parseAcl("anne\tlrswipcda\t-anne\td\t") ?? [];
    expect([...rightsOf(old, { userid: "anne" })].sort().join("")).toBe("aiklprswx");
    expect(rightsOf([{ identifier: "anne", rights: OWNER_RIGHTS }], { userid: "anne" })).toEqual(
      new Set("lrswipkxtean"),
    );
  });
});
