import { describe, expect, test } from "bun:test";
import { nameOfMailbox } from "../../../../src/places/cyrus/layout/spool_names.ts";

describe("nameOfMailbox()", () => {
  const spool = "/var/spool/cyrus";
  const ID = "kf22otzf5j234px0uw69jzzw";
  const cases: readonly [
    relative: string,
    headerName: string | undefined,
    name: string,
    root?: string,
  ][] = [
    // By name: the path is the truth, whatever cyrus.header still says after a rename or a delete.
    ["a/user/ann/Sent", "user.ann.Sent", "user.ann.Sent"],
    ["a/user/ann/Sent", undefined, "user.ann.Sent"],
    ["a/user/ann/Lists/renamed", "user.ann.Lists.a^dotted^name", "user.ann.Lists.renamed"],
    ["b/user/bob", "user.ann", "user.bob"],
    ["u/DELETED/user/ann/gone/6B02CED2", "user.ann.gone", "DELETED.user.ann.gone.6B02CED2"],
    ["a/user/a^b/x", undefined, "user.a^b.x"],
    ["n/shared/news", "shared.news", "shared.news"],
    ["n/shared/news", "shared.old", "shared.news"],
    ["user/ann", undefined, "user.ann"],
    // Without hashing a first part of one letter is a name; only cyrus.header can tell.
    ["x/news", "x.news", "x.news"],
    ["domain/e/example.com/a/user/ann/Sub", undefined, "example.com!user.ann.Sub"],
    ["domain/e/example.com/a/user/ann/Sub", "example.com!user.ann.Sub", "example.com!user.ann.Sub"],
    // By uniqueid: only cyrus.header tells.
    [`uuid/k/f/${ID}`, "user.ann.Sent", "user.ann.Sent"],
    [`uuid/k/f/${ID}`, undefined, `uuid/k/f/${ID}`],
    // The place is a part of a partition.
    ["Sent", "user.ann.Sent", "user.ann.Sent", `${spool}/a/user/ann`],
    ["renamed", "user.ann.old", "user.ann.renamed", `${spool}/a/user/ann`],
    ["", "user.ann.Sent", "user.ann.Sent", `${spool}/a/user/ann/Sent`],
    ["", "user.ann.old", "user.ann.new", `${spool}/a/user/ann/new`],
    ["", undefined, "user.ann.new", `${spool}/a/user/ann/new`],
    ["", "user.ann.Sent", "user.ann.Sent", `${spool}/uuid/k/f/${ID}`],
    // A copy somewhere else.
    ["", "user.ann.Sent", "user.ann.Sent", "/tmp/copy"],
    ["", "user.ann.Sent", "user.ann.Sent", "/home/user/copy"],
    ["", undefined, "version9", "/home/user/version9"],
    ["a/user/ann", "user.ann", "user.ann", "/home/user/spool"],
  ];
  for (const [relative, headerName, name, root = spool] of cases) {
    test(`is ${name} for ${relative || root}, ${headerName ?? "no name"} in cyrus.header`, () => {
      const folder = relative === "" ? root : `${root}/${relative}`;
      expect(nameOfMailbox({ relative, folder, headerName })).toBe(name);
    });
  }
});
