/** Many reads under way on one connection, and what becomes of them when it is lost. */
import { afterEach, describe, expect, test } from "bun:test";
import type { WritablePlace } from "../../../src/places/place.ts";
import { openSyncPlace } from "../../../src/places/sync/sync_place.ts";
import { granted } from "../../support/places.ts";
import { type Answerer, type ScriptedPeer, scriptedPeer } from "../../support/scripted_peer.ts";

const USERS = Array.from({ length: 20 }, (_, at) => `user${at}`);

describe("reads that are under way at the same time", () => {
  let peer: ScriptedPeer | undefined;
  let place: WritablePlace | undefined;
  afterEach(async () => {
    await place?.close();
    await peer?.stop();
  });

  async function open(answer: Answerer): Promise<WritablePlace> {
    const greeting = "* SASL PLAIN\r\n* OK a Cyrus sync server 3.6.1\r\n";
    peer = await scriptedPeer(greeting, (line, at) => {
      const isFirst = /^(AUTHENTICATE|APPLY CAPABILITIES)/.test(line);
      return isFirst ? "OK success\r\n" : answer(line, at);
    });
    const address = { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1" } as const;
    place = await openSyncPlace({
      address: { ...address, port: peer.port },
      ...{ password: async () => "x", retries: { count: 3, firstMs: 5 } },
    });
    return place;
  }
  const questions = (connection: number): string[] =>
    (peer?.heard[connection] ?? "").split("\r\n").filter((line) => line.startsWith("GET"));
  const subscribed = async (from: WritablePlace, userid: string): Promise<readonly string[]> =>
    granted(await from.meta(userid)).subscriptions;
  const answerTo = (line: string): string => `* LSUB (${line.slice(9)}.box)\r\nOK success\r\n`;

  test("are all sent before the first is answered, and each gets its own answer", async () => {
    const waiting: string[] = [];
    const from = await open((line) => {
      waiting.push(answerTo(line));
      return waiting.length === USERS.length ? waiting.join("") : undefined;
    });
    const found = await Promise.all(USERS.map((userid) => subscribed(from, userid)));
    expect(found).toEqual(USERS.map((userid) => [`${userid}.box`]));
    expect(questions(0)).toHaveLength(USERS.length);
  });

  test("are asked again, one at a time at first, when the server dies of one of them", async () => {
    const from = await open((line) => (line === "GET META user7" ? "close" : answerTo(line)));
    const found = await Promise.allSettled(USERS.map((userid) => subscribed(from, userid)));
    const failed = found.flatMap(({ status }, at) => (status === "rejected" ? [at] : []));
    expect(failed).toEqual([7]);
    expect(questions(0)).toContain("GET META user8");
    // The first of those that were asked again is the one over which the server dies.
    expect(questions(1)).toEqual(["GET META user7"]);
  });

  test("fail alone where an answer cannot be understood", async () => {
    const from = await open((line) =>
      line === "GET META user3" ? "* LSUB %[\r\n" : answerTo(line),
    );
    const found = await Promise.allSettled(USERS.map((userid) => subscribed(from, userid)));
    const failed = found.flatMap(({ status }, at) => (status === "rejected" ? [at] : []));
    expect(failed).toEqual([3]);
    expect(found[3]).toMatchObject({ reason: { code: "protocol" } });
  });
});
