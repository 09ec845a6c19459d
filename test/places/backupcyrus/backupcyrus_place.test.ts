/** The client of backupcyrusd, against what upstream's server has said, and against bad servers. */
import { afterAll, describe, expect, test } from "bun:test";
import { latin1 } from "../../../src/core/bytes.ts";
import { AppError } from "../../../src/core/errors.ts";
import type { MessageAddress, Place } from "../../../src/places/place.ts";
import { bytesOf, granted, ownersIn, recordsIn } from "../../support/places.ts";
import {
  backupClient,
  capturedAnswers,
  type WireAnswerer,
  type WireServer,
  wireServer,
} from "../../support/wire_server.ts";

const CAPTURED = capturedAnswers();
const SLOT = "fixture";
const GONE = "DELETED.user.bob.gone.6B02D4FA";

/** The captured answer with the block of one UID, out of one for several. */
function blockOf(uid: string): string {
  const all = CAPTURED.get(`FDATA ${SLOT} bob INBOX 1 2 3 99 abc 0`) ?? "";
  const from = all.indexOf(`DATA ${uid} `);
  const end = all.indexOf("\n", all.indexOf(`DONE ${uid} `)) + 1;
  const done = all.slice(all.indexOf("DONE FDATA"));
  return from < 0 ? `OK\nNO no such file ${uid}\n${done}` : `OK\n${all.slice(from, end)}${done}`;
}

/** Upstream's server, by its captured answers. */
const upstream: WireAnswerer = (line) => {
  const [verb, slot, , folder, uid = ""] = line.split(" ");
  if (slot !== SLOT) return `NO iam ${SLOT}\n`;
  if (verb === "FDATA" && folder === "INBOX") return blockOf(uid);
  return CAPTURED.get(line) ?? `NO not captured: ${line}\n`;
};

const servers: WireServer[] = [];
const places: Place[] = [];

async function clientOf(answer: WireAnswerer, options: Parameters<typeof backupClient>[1] = {}) {
  const server = await wireServer(answer);
  const place = backupClient(server.port, options);
  servers.push(server);
  places.push(place);
  return { place, server };
}

afterAll(async () => {
  for (const place of places) await place.close().catch(() => undefined);
  for (const server of servers) await server.stop();
});

async function addressesIn(place: Place, name: string): Promise<MessageAddress[]> {
  const { state, records } = granted(await place.readMailbox(name));
  const { uniqueid, partition } = state;
  const all = await recordsIn(records);
  return all.map(({ uid, guid }) => ({ mailbox: name, uniqueid, partition, uid, guid }));
}

describe("a server of upstream's", () => {
  test("is read as it answers, its name learnt from it", async () => {
    const { place, server } = await clientOf(upstream);
    expect(await ownersIn(place)).toEqual([
      { kind: "user", userid: "alice" },
      { kind: "user", userid: "bob" },
    ]);
    const bob = granted(await place.user("bob"));
    expect(bob.unreadable).toBeUndefined();
    expect(bob.mailboxes.map(({ name, lastUid }) => [name, lastUid])).toEqual([
      ["user.bob", 3],
      ["user.bob.Entw&APw-rfe", 0],
      ["user.bob.Sub", 0],
      ["user.bob.Sub.Deep", 0],
      ["user.bob.Two Words", 0],
      [GONE, 1],
    ]);
    const [inbox] = bob.mailboxes;
    expect(inbox).toMatchObject({
      ...{ uniqueid: "f11dc78b-de4a-4ff6-a1fe-d3a1f9238258", jmapid: "P-F" },
      ...{ acl: "bob\tlrswipkxtecdan\t", userflags: ["Todo"] },
      annotations: [
        { entry: "/comment", userid: "", value: new TextEncoder().encode("ours") },
        { entry: "/comment", userid: "bob", value: new TextEncoder().encode("mine") },
      ],
    });
    expect(bob.subscriptions).toEqual(["user.bob"]);
    expect(bob.seen).toHaveLength(1);
    expect(server.heard[0]).toBe("META - -");
    for (const name of ["user.bob", GONE]) {
      const addresses = await addressesIn(place, name);
      expect(addresses.length).toBe(name === GONE ? 1 : 3);
      for (const address of addresses) {
        expect(latin1(await bytesOf(place, address))).toStartWith("From: <a@example.org>\r\n");
      }
    }
  });

  test("has nobody who is not there, and another name than it is called by", async () => {
    const { place } = await clientOf(upstream, { slot: SLOT });
    expect(granted(await place.mailboxes(["user.bob.nosuch"]))).toEqual([]);
    for (const shared of [await place.mailboxes(["lists"]), await place.sharedMailboxes("lists")])
      expect(shared).toMatchObject({ kind: "refused", reason: "notSupported" });
    const { place: wrong } = await clientOf(upstream, { slot: "wrong" });
    await expect(wrong.owners()).rejects.toMatchObject({
      ...{ code: "not_found", message: expect.stringContaining("it is called fixture") },
    });
  });
});

describe("a server with altnamespace and slashes", () => {
  test("has the names that stand in the headers of its mailboxes", async () => {
    const [theirs, known] = ["Sub%2FDeep", "INBOX.Sub.Deep"];
    const slashes: WireAnswerer = (line, say) =>
      (upstream(line.replace(theirs, known), say) ?? "").replaceAll(`${known} `, `${theirs} `);
    const { place } = await clientOf(slashes);
    const { mailboxes } = granted(await place.user("bob"));
    expect(mailboxes.map(({ name }) => name)).toContain("user.bob.Sub.Deep");
    for (let time = 0; time < 2; time++) {
      const { state } = granted(await place.readMailbox("user.bob.Sub.Deep"));
      expect(state.uniqueid).toBe("3d3f49e2-df55-4fbe-a332-c5203017cb69");
    }
    const { place: other } = await clientOf(slashes);
    expect(granted(await other.readMailbox("user.bob.Sub.Deep")).state.name).toBe(
      "user.bob.Sub.Deep",
    );
  });
});

const asked = (words: string, change: (answer: string) => string | "close"): WireAnswerer => {
  return (line, say) => {
    const said = upstream(line, say) ?? "";
    return line.startsWith(words) ? change(said) : said;
  };
};

describe("a message", () => {
  const [FDATA, INBOX] = [`FDATA ${SLOT} bob INBOX 2`, "user.bob"];
  const second = async (place: Place) => {
    const [, address] = await addressesIn(place, INBOX);
    return place.message(address ?? expect.unreachable("it has three"));
  };

  test("whose file is gone is asked for again, and the index after it", async () => {
    const { place, server } = await clientOf(asked(FDATA, () => blockOf("99")));
    expect(await second(place)).toMatchObject({
      ...{ kind: "refused", reason: "nonexistent" },
      text: "There is no file of message 2 of user/bob, which the index lists",
    });
    expect(server.heard.filter((line) => line.startsWith(FDATA))).toHaveLength(2);
  });

  for (const [what, change, text] of [
    ["with another SHA-1 than the server says", [/(DONE 2 )./, "$10"], "the server says 0"],
    ["with other bytes than its GUID", [/DATA 2.*?DONE 2 [0-9a-f]+/s, ""], "is not ae60969f"],
  ] as const) {
    test(`${what} is damaged`, async () => {
      const other = blockOf("1").match(/DATA 1.*DONE 1 [0-9a-f]+/s)?.[0] ?? "";
      const block = other.replace(/^DATA 1/, "DATA 2").replace(/DONE 1/, "DONE 2");
      const { place } = await clientOf(
        asked(FDATA, (answer) => answer.replace(change[0], change[1] || block)),
      );
      expect(await second(place)).toMatchObject({ kind: "refused", reason: "damaged" });
      expect(await second(place)).toMatchObject({ text: expect.stringContaining(text) });
    });
  }
});

describe("a mailbox", () => {
  const FMETA = `FMETA ${SLOT} bob INBOX `;

  test("with a damaged index is named, and the others are read", async () => {
    const { place } = await clientOf(
      asked(FMETA, (answer) => answer.replace(/(DONE index )[0-9a-f]/, "$10")),
    );
    const { mailboxes, unreadable } = granted(await place.user("bob"));
    expect(mailboxes).toHaveLength(5);
    expect(unreadable).toMatchObject([
      { name: "user.bob", refusal: { reason: "damaged", text: expect.stringContaining("index") } },
    ]);
  });

  test("that was renamed while the user was read is listed again", async () => {
    let listings = 0;
    const { place } = await clientOf((line, say) => {
      const said = upstream(line, say) ?? "";
      if (line.startsWith("FMULTISTATUS")) listings++;
      const isOld = line.startsWith(`FMETA ${SLOT} bob INBOX.Sub `) && listings === 1;
      return isOld ? "NO no such folder user.bob.Sub\n" : said;
    });
    const { mailboxes } = granted(await place.user("bob"));
    expect([mailboxes.length, listings]).toEqual([6, 2]);
  });
});

describe("a server", () => {
  test("that dies of a user is not asked a third time, and altnamespace is named", async () => {
    const { place, server } = await clientOf(asked("FMULTISTATUS", () => "close"));
    expect(await place.user("bob")).toMatchObject({
      ...{ kind: "refused", hint: expect.stringContaining("altnamespace") },
    });
    expect(await place.user("bob")).toMatchObject({ kind: "refused", reason: "failed" });
    const asks = server.heard.filter((line) => line.startsWith("FMULTISTATUS"));
    expect(asks).toHaveLength(2);
  });

  test("that goes once is asked again", async () => {
    let isFirst = true;
    const { place } = await clientOf(
      asked("FMULTISTATUS", (answer) => {
        if (!isFirst) return answer;
        isFirst = false;
        return "close";
      }),
    );
    expect(granted(await place.user("bob")).mailboxes).toHaveLength(6);
  });

  const file = (size: string) => `OK\nDATA seen ${size} 1 2\n`;
  for (const [what, answer, text] of [
    ["a file of 2^60 bytes", file(String(2n ** 60n)), "over"],
    ["a file of a negative size", file("-1"), "over"],
    ["a size that is no number", file("1e9"), "cannot be read"],
    ["a file that nobody asked for", "OK\nDATA cache 1 1 2\n", "not asked for"],
    ["a file that is longer than it says", `${file("1")}xyDONE seen 1\n`, "not of its size"],
    ["a file without a SHA-1", `${file("1")}xDONE seen abc\nDONE META\n`, "not of its size"],
    ["nonsense", "HTTP/1.1 400 Bad Request\n", "HTTP"],
    ["an empty line", "OK\n\n", "cannot be read"],
    ["the end of another request", "OK\nDONE FDATA\n", "DONE FDATA"],
  ] as const) {
    test(`that sends ${what} is a protocol error`, async () => {
      const { place } = await clientOf(asked(`META ${SLOT}`, () => answer));
      const error = await place.meta("bob").catch((thrown) => thrown);
      expect(error).toBeInstanceOf(AppError);
      expect(error).toMatchObject({ code: "protocol", message: expect.stringContaining(text) });
    });
  }

  test("that sends a line without end takes no memory", async () => {
    let sent = 0;
    const { place } = await clientOf((line, say) => {
      if (!line.startsWith(`META ${SLOT}`)) return upstream(line, say);
      for (; sent < 64; sent++) say("x".repeat(4096));
      return undefined;
    });
    await expect(place.meta("bob")).rejects.toMatchObject({
      message: expect.stringContaining("a line without end"),
    });
  });

  test("that sends lines for ever of which nothing is kept is given up", async () => {
    const { place } = await clientOf((asked, say) => {
      if (!asked.startsWith(`META ${SLOT}`)) return upstream(asked, say);
      const many = "NO such file\n".repeat(100_000);
      say("OK\n");
      for (let sent = 0; sent < 17; sent++) say(many);
      return undefined;
    });
    await expect(place.meta("bob")).rejects.toMatchObject({
      ...{ code: "protocol", message: expect.stringContaining("too many lines") },
    });
  }, 30_000);

  test("that sends lines without end is cut off, and one that says nothing as well", async () => {
    const { place } = await clientOf(
      asked(`META ${SLOT}`, () => "OK\n"),
      { silenceMs: 50 },
    );
    await expect(place.meta("bob")).rejects.toMatchObject({ code: "unreachable" });
  });

  test("that wants a sign-in is told apart", async () => {
    const { place } = await clientOf(() => "* SASL SCRAM-SHA-256\n* OK hello\n");
    await expect(place.owners()).rejects.toMatchObject({
      ...{ code: "refused", hint: expect.stringContaining("USER@HOST") },
    });
  });
});
