/**
 * A client that tells a real Cyrus what a user does: one command after the other, each of which
 * must be granted.
 */
import { connect } from "node:net";

export interface ImapClient {
  /** Literals are given as `{{text}}`. Throws where the server does not say OK. */
  command(line: string): Promise<void>;
  close(): void;
}

/** Signs `user` in at a server of the lab. */
export async function imapClient(port: number, user: string): Promise<ImapClient> {
  const socket = connect({ host: "127.0.0.1", port });
  let text = "";
  let wake = Promise.withResolvers<void>();
  const notice = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  let isOver = false;
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
    notice();
  });
  socket.on("close", () => {
    isOver = true;
    notice();
  });
  const until = async (ending: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = ending.exec(text);
      if (found !== null) {
        text = text.slice(found.index + found[0].length);
        return found;
      }
      if (isOver) throw new Error(`IMAP: the server has gone, after ${text.slice(-200)}`);
      await wake.promise;
    }
  };
  let tag = 0;
  const command = async (line: string): Promise<void> => {
    tag += 1;
    const sent = line.replace(/\{\{(.*?)\}\}/gs, (_, inner: string) => {
      return `{${Buffer.byteLength(inner)}+}\r\n${inner}`;
    });
    socket.write(`t${tag} ${sent}\r\n`);
    const [answer, status] = await until(new RegExp(`^t${tag} (OK|NO|BAD).*\r\n`, "m"));
    if (status !== "OK") throw new Error(`IMAP: ${line} got ${answer.trim()}`);
  };
  await until(/^\* OK.*\r\n/m);
  await command(`LOGIN ${user} labpass`);
  return { command, close: () => socket.destroy() };
}
