/** The client of a session: the lines that come from it, and the lines that it is told. */
import { utf8 } from "../../core/bytes.ts";
import type { Log } from "../../core/log.ts";
import { printLine } from "../../formats/dlist/print.ts";
import type { DlistReader } from "../../formats/dlist/reader.ts";
import { printAnswer } from "../../formats/sync/answer.ts";
import type { Connection } from "../../net/connection.ts";
import type { Answers, PutBytes } from "./context.ts";

const STAR = utf8("* ");
const CRLF = utf8("\r\n");

/** Thrown when an answer broke off: the client cannot know where it ends, so all must end. */
export class BrokenAnswer extends Error {
  override readonly name = "BrokenAnswer";
}

export class Client {
  readonly connection: Connection;
  readonly reader: DlistReader;
  /** Names the client and, once it has signed in, its account. */
  log: Log;
  /** True when nothing more is to be read from it. */
  isOver = false;

  constructor(
    connection: Connection,
    options: { readonly reader: DlistReader; readonly log: Log },
  ) {
    this.connection = connection;
    this.reader = options.reader;
    this.log = options.log;
  }

  /** Queues a status line, or one of the banner. */
  reply(line: string): void {
    // Such lines are few and short; the next flush waits for what the client has not taken.
    this.connection.write(utf8(`${line}\r\n`));
  }

  /** Queues the last line. */
  end(line: string): void {
    this.reply(line);
    this.isOver = true;
  }

  /**
   * Ends the session if more bytes have come together with `command`, which changes who can have
   * written what follows. An attacker in the middle can add such bytes, so they are dropped. True
   * if there were any.
   */
  dropsPipelined(command: string): boolean {
    const rest = this.reader.rest();
    if (rest.length === 0 && !this.connection.hasMore) return false;
    this.log.write("warning", `Bytes sent right after ${command}: the session is ended`);
    this.end(`* Fatal error: bytes after ${command}`);
    return true;
  }

  readonly answers: Answers = {
    send: (answer) => {
      const { name, value } = printAnswer(answer);
      return this.connection.write(STAR, printLine(name, value, { from: "server" }), CRLF);
    },
    sendPieces: (write) => this.#sendPieces(write),
  };

  async #sendPieces(write: (put: PutBytes) => Promise<void>): Promise<void> {
    const { connection } = this;
    await connection.write(STAR);
    try {
      await write((bytes) => connection.write(bytes));
    } catch (error) {
      this.log.write("error", "Cannot finish an answer, the client is cut off", {
        why: error instanceof Error ? error.message : String(error),
      });
      throw new BrokenAnswer("an answer was broken off", { cause: error });
    }
    await connection.write(CRLF);
  }
}
