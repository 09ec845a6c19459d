/** What is sent to which version of Cyrus. */
import { afterEach, describe, expect, test } from "bun:test";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { WritablePlace } from "../../../src/places/place.ts";
import { fitMailbox } from "../../../src/places/sync/fit_mailbox.ts";
import { type Peer, parseGreeting } from "../../../src/places/sync/peer.ts";
import { objectionTo } from "../../../src/places/sync/peer_holds.ts";
import { PeerMemory } from "../../../src/places/sync/peer_memory.ts";
import { openSyncPlace } from "../../../src/places/sync/sync_place.ts";
import { can, refusesName } from "../../../src/places/sync/versions.ts";
import { recordsIn } from "../../support/places.ts";
import { type ScriptedPeer, scriptedPeer } from "../../support/scripted_peer.ts";
import { record, stateOf } from "../../support/store_fixture.ts";

const VERSIONS = [
  ...["v2.4.22", "2.5.17", "3.0.18", "3.2.12", "3.4.9"],
  ...["3.6.1", "3.8.7", "3.10.3", "3.12.3", "3.13.7-300"],
];
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function peerOf(version: string, ...capabilities: string[]): Peer {
  const greeting = parseGreeting(`beta Cyrus sync server ${version}`.trim());
  return { ...greeting, capabilities: new Set(capabilities) };
}

describe("parseGreeting()", () => {
  test("finds the version of every build", () => {
    const versionIn = (text: string) => parseGreeting(text).version?.join(".");
    expect(versionIn("a Cyrus sync server v2.4.22")).toBe("2.4");
    expect(versionIn("a Cyrus sync server git2.4.22+0-Debian-2.4.22+caldav")).toBe("2.4");
    expect(versionIn("a Cyrus IMAP git2.5+0-Kolab-2.5-67 server ready")).toBe("2.5");
    expect(versionIn("a Cyrus sync server 3.6.1-Debian-3.6.1-4+deb12u5")).toBe("3.6");
    expect(versionIn("a Cyrus sync server 3.13.7-300-g1f3a129311")).toBe("3.13");
    expect(versionIn("a Cyrus sync server")).toBeUndefined();
    expect(versionIn("a Cyrus IMAP server ready")).toBeUndefined();
  });
});

describe("can()", () => {
  test("tells the least version by the banner where none is said, and else nothing deadly", () => {
    expect(can(peerOf(""), "unknown uniqueids")).toBe(false);
    expect(can(peerOf(""), "UNANNOTATION")).toBe(false);
    expect(can(peerOf(""), "annotations within MAILBOX")).toBe(true);
    expect(can(peerOf("", "SIEVE-MAILBOX"), "unknown uniqueids")).toBe(true);
    expect(can(peerOf("", "SIEVE-MAILBOX"), "fields of master")).toBe(false);
    expect(can({ ...peerOf(""), software: "bobbin" }, "unknown uniqueids")).toBe(true);
  });
});

describe("objectionTo()", () => {
  const refusing = (name: string) => VERSIONS.filter((one) => refusesName(peerOf(one), name));

  test("knows the names that a version refuses, and no more", () => {
    expect(refusing("user.ann.a(b)c")).toEqual(["2.5.17"]);
    expect(refusing("user.ann.star*")).toEqual(["2.5.17"]);
    expect(refusing("user.ann.per%cent")).toEqual(VERSIONS.slice(1));
    expect(refusing("user.ann.back\\slash")).toEqual(VERSIONS.slice(1));
    expect(refusing("user.ann.R&D")).toEqual(VERSIONS.slice(1));
    expect(refusing("user.ann.a..b")).toEqual(VERSIONS.slice(1));
    expect(refusing("user.ann.\xe4")).toEqual(VERSIONS.slice(1));
    expect(refusing("user")).toEqual(VERSIONS.slice(1));
    for (const name of ["user.ann. x ", "user.ann.Entw&APw-rfe", "user.a^b.it's~", "user.a.user"]) {
      expect(refusing(name)).toEqual([]);
    }
    expect(refusesName(peerOf(""), "user.ann.per%cent")).toBe(false);
  });

  test("knows the types that a version does not, and never sends a letter that kills", () => {
    const refusingType = (type: string) =>
      VERSIONS.filter((one) => objectionTo(peerOf(one), { name: "user.a", type }) !== undefined);
    expect(refusingType("e")).toEqual([]);
    expect(refusingType("ez").slice(0, 5)).toEqual(VERSIONS.slice(0, 5));
    expect(refusingType("c")).toEqual(["v2.4.22"]);
    expect(refusingType("ei")).toEqual(VERSIONS.slice(0, 3));
    expect(refusingType("f")).toEqual(VERSIONS.slice(0, 5));
    expect(refusingType("j")).toEqual(VERSIONS.slice(0, 6));
    expect(refusingType("q")).toEqual(VERSIONS);
    const text = objectionTo(peerOf("2.5.17"), { name: "user.a.b(c)" })?.text;
    expect(text).toBe("user.a.b(c): Cyrus 2.5 takes no mailbox of such a name");
  });
});

describe("fitMailbox()", () => {
  const memory = () => new PeerMemory({ isFree: false, fallback: undefined });
  const records = [record(1, { savedate: 5, createdmodseq: 7n, internaldateNsec: 9 })];
  const fitted = (peer: Peer, state = {}, known = memory()) =>
    fitMailbox(
      {
        kind: "mailbox",
        state: stateOf("user.ann.Sub", records, { version: 17, ...state }),
        records: recordsOf(records),
      },
      { peer, memory: known, partition: "default" },
    );

  test("leaves the version of the index to a Cyrus, and keeps it for Bobbin", () => {
    for (const version of VERSIONS) expect(fitted(peerOf(version)).state.version).toBeUndefined();
    expect(fitted({ ...peerOf("1.0.0"), software: "bobbin" }).state.version).toBe(17);
  });

  test("sends fields of 3.2 to nobody who would keep them as annotations", async () => {
    for (const version of VERSIONS) {
      const [sent] = await recordsIn(fitted(peerOf(version)).records);
      const isOld = ["v2.4.22", "2.5.17", "3.0.18"].includes(version);
      expect([version, sent?.savedate, sent?.createdmodseq]).toEqual([
        ...[version, isOld ? 0 : 5, isOld ? 0n : 7n],
      ]);
    }
  });

  test("gives no two mailboxes of a user one CREATEDMODSEQ or JMAPID", () => {
    const known = memory();
    const there = { partition: "default", lastUid: 1 };
    known.note("user.ann.both", { ...there, createdmodseq: 136n, jmapid: "PX-" });
    known.note("user.ann.next", { ...there, createdmodseq: 137n, jmapid: "PY-" });
    known.note("user.bob", { ...there, createdmodseq: 138n, jmapid: "PZ-" });
    const master = peerOf("3.13.7-300");
    const clash = fitted(master, { createdmodseq: 136n, jmapid: "PX-" }, known).state;
    expect([clash.createdmodseq, "jmapid" in clash]).toEqual([138n, false]);
    const alone = fitted(master, { createdmodseq: 140n, jmapid: "P0-" }, known).state;
    expect([alone.createdmodseq, alone.jmapid]).toEqual([140n, "P0-"]);
    // One that is there keeps what it has got, and what is forgotten is free again.
    known.note("user.ann.Sub", { ...there, createdmodseq: 138n, jmapid: "PA-" });
    expect(fitted(master, { createdmodseq: 136n }, known).state.createdmodseq).toBe(138n);
    known.forget("user.ann.both");
    expect(fitted(master, { createdmodseq: 136n }, known).state.createdmodseq).toBe(136n);
    // Before JMAPIDs nothing is made of it, and what was sent is the source's own affair.
    known.note("user.ann.both", { ...there, createdmodseq: 136n, jmapid: "PX-" });
    expect(fitted(peerOf("3.12.3"), { createdmodseq: 136n }, known).state.createdmodseq).toBe(136n);
    known.note("user.ann.both", { ...there, createdmodseq: 136n, jmapid: "PX-", isSent: true });
    expect(fitted(master, { createdmodseq: 136n }, known).state.createdmodseq).toBe(136n);
    // A server without conversations gives all mailboxes the same by itself.
    known.note("user.ann.both", { ...there, createdmodseq: 1n, jmapid: "P-F" });
    known.note("user.ann.next", { ...there, createdmodseq: 1n, jmapid: "P-F" });
    expect(fitted(master, { createdmodseq: 1n, jmapid: "P-F" }, known).state).toMatchObject({
      ...{ createdmodseq: 1n, jmapid: "P-F" },
    });
    // A source of before 3.2 does not say it.
    const { createdmodseq: _, ...unsaid } = stateOf("user.ann.Sub", records);
    const invented = fitMailbox(
      { kind: "mailbox", state: unsaid, records: recordsOf(records) },
      { peer: master, memory: memory(), partition: "default" },
    );
    expect(invented.state.createdmodseq).toBe(1n);
  });
});

/** A server of `version` that takes all. */
async function openVersion(version: string): Promise<[WritablePlace, ScriptedPeer]> {
  const peer = await scriptedPeer(
    `* SASL PLAIN\r\n* OK beta Cyrus sync server ${version}\r\n`,
    (line) => {
      if (!line.startsWith("GET ANNOTATION user.ann.Sub")) return "OK success\r\n";
      const there = "MBOXNAME user.ann.Sub ENTRY /comment USERID bob VALUE stale";
      return `* ANNOTATION %(${there})\r\nOK success\r\n`;
    },
  );
  const place = await openSyncPlace({
    address: { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1", port: peer.port },
    password: () => Promise.resolve("labpass"),
    silenceMs: 2_000,
  });
  closing.push(
    () => peer.stop(),
    () => place.close(),
  );
  return [place, peer];
}

describe("a server of a version", () => {
  test("is never sent what it dies of or does not know", async () => {
    for (const version of VERSIONS) {
      const [place, peer] = await openVersion(version);
      const heard = () => peer.heard.join("");
      const byUniqueid = await place.mailboxesByUniqueid(["0a"]);
      const isSafe = VERSIONS.indexOf(version) >= VERSIONS.indexOf("3.6.1");
      expect([version, byUniqueid.kind]).toEqual([version, isSafe ? "ok" : "refused"]);
      expect(heard().includes("GET UNIQUEIDS")).toBe(isSafe);
      expect(heard().includes("APPLY CAPABILITIES")).toBe(isSafe);
      const session = await place.openSession();
      closing.push(() => session.close());
      const address = { name: "user.ann", entry: "/comment", userid: "" };
      const removed = await session.apply({ kind: "unannotation", ...address });
      expect([version, removed.kind]).toEqual([version, version === "2.5.17" ? "refused" : "ok"]);
      const isNew = VERSIONS.indexOf(version) >= VERSIONS.indexOf("3.0.18");
      expect(heard().includes("APPLY UNANNOTATION")).toBe(isNew);
      expect(heard().includes("VALUE NIL")).toBe(version === "v2.4.22");
    }
  });

  test("2.x is never told to run a script whose bytecode it does not have", async () => {
    for (const version of VERSIONS) {
      const [place, peer] = await openVersion(version);
      const session = await place.openSession();
      closing.push(() => session.close());
      const active = { kind: "activateSieve", userid: "ann", filename: "main.bc" } as const;
      const isOld = VERSIONS.indexOf(version) < 2;
      expect([version, (await session.apply(active)).kind]).toEqual([
        ...[version, isOld ? "refused" : "ok"],
      ]);
      expect(peer.heard.join("").includes("ACTIVATE_SIEVE")).toBe(!isOld);
      expect(place.bytecode).toEqual(isOld ? { newest: 9 } : undefined);
    }
  });

  test("2.4 gets annotations after their mailbox, one by one, and others within it", async () => {
    const annotations = ["/comment", "/specialuse"].map((entry) => ({
      ...{ entry, userid: "", modseq: 0n, value: Buffer.from("mine") },
    }));
    const state = stateOf("user.ann.Sub", [], { annotations });
    for (const version of ["v2.4.22", "2.5.17"]) {
      const [place, peer] = await openVersion(version);
      const session = await place.openSession();
      closing.push(() => session.close());
      const done = await session.apply({ kind: "mailbox", state, records: recordsOf([]) });
      expect(done.kind).toBe("ok");
      const sent = peer.heard.join("").match(/^APPLY (UN)?ANNOTATION .*$/gm) ?? [];
      expect(sent.map((line) => line.trim())).toEqual(
        version === "2.5.17"
          ? []
          : [
              "APPLY ANNOTATION %(MBOXNAME user.ann.Sub ENTRY /comment USERID bob VALUE NIL)",
              'APPLY ANNOTATION %(MBOXNAME user.ann.Sub ENTRY /comment USERID "" VALUE mine)',
            ],
      );
    }
  });
});
