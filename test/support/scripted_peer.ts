/** A server that says what a script tells it to, and notes what it hears. */
import { createServer, type Socket } from "node:net";
import { fromLatin1, latin1 } from "../../src/core/bytes.ts";

export interface ScriptedPeer {
  readonly port: number;
  /** What clients have sent, a connection after the other, in latin1. */
  readonly heard: readonly string[];
  /** Says something more, in latin1, on a connection. */
  say(connection: number, text: string): void;
  stop(): Promise<void>;
}

/**
 * What is answered, in latin1, to a line; "close" ends the connection, undefined waits for more.
 */
export type Answerer = (line: string, connection: number) => string | "close" | undefined;

/** Sends `greeting`, then answers line by line. */
export async function scriptedPeer(greeting: string, answer: Answerer): Promise<ScriptedPeer> {
  const heard: string[] = [];
  const open = new Set<Socket>();
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const connection = heard.push("") - 1;
    let rest = "";
    open.add(socket);
    sockets[connection] = socket;
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    socket.write(fromLatin1(greeting));
    socket.on("data", (chunk: Uint8Array) => {
      heard[connection] += latin1(chunk);
      const lines = (rest + latin1(chunk)).split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const said = answer(line, connection);
        if (said === "close") {
          socket.destroy();
          return;
        }
        if (said !== undefined) socket.write(fromLatin1(said));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    heard,
    say: (connection, text) => void sockets[connection]?.write(fromLatin1(text)),
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
