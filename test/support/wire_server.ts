/** A server that answers lines of backupcyrusd's protocol as a test tells it. */

import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { dial } from "../../src/net/dial.ts";
import { openBackupcyrusPlace } from "../../src/places/backupcyrus/backupcyrus_place.ts";
import type { Place } from "../../src/places/place.ts";
import { SYNC_PATIENCE } from "../../src/places/sync/sync_options.ts";
import { readCapture } from "./captures.ts";
import { fixturePath } from "./fixtures.ts";

/** What is answered to a line, in latin1; "close" ends the connection, undefined says nothing. */
export type WireAnswerer = (
  line: string,
  say: (text: string) => void,
) => string | "close" | undefined;

export interface WireServer {
  readonly port: number;
  /** The lines that have come. */
  readonly heard: readonly string[];
  stop(): Promise<void>;
}

export async function wireServer(answer: WireAnswerer): Promise<WireServer> {
  const heard: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    let rest = "";
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    socket.on("data", (chunk: Uint8Array) => {
      const lines = (rest + latin1(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        heard.push(line);
        const say = (text: string) => void (socket.destroyed || socket.write(fromLatin1(text)));
        const said = answer(line, say);
        if (said === "close") return void socket.destroy();
        if (said !== undefined) say(said);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    heard,
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A client of the server at this port of this machine, or at this path. */
export function backupClient(
  at: number | string,
  { slot, silenceMs }: { readonly slot?: string; readonly silenceMs?: number } = {},
): Place {
  const to = typeof at === "string" ? { path: at } : { host: "127.0.0.1", port: at };
  const patience = { ...SYNC_PATIENCE, stalledMs: SYNC_PATIENCE.silenceMs };
  return openBackupcyrusPlace({
    ...{ locator: `backupcyrus://${at}`, where: `${at}`, slot },
    connect: async () => ({ connection: await dial(to, { patience }) }),
    ...(silenceMs !== undefined && { silenceMs }),
  });
}

/** What upstream's server has said to each line that was captured, in latin1. */
export function capturedAnswers(): Map<string, string> {
  const text = readFileSync(fixturePath("backup/backupcyrusd.txt"), "latin1");
  const answers = new Map<string, string>();
  for (const { steps } of readCapture("backupcyrusd", text).connections) {
    let line = "";
    for (const { side, bytes } of steps) {
      const said = latin1(bytes);
      if (side === "C") line = said.replace(/\r?\n$/, "");
      answers.set(line, side === "C" ? "" : (answers.get(line) ?? "") + said);
    }
  }
  return answers;
}
