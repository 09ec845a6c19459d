/**
 * One client's session of backupcyrusd's protocol (backup-format.md 10): requests one after the
 * other, which only read. Who the client is has been settled before: by the rights of the socket,
 * or by a sign-in (`start_server.ts`).
 */
import type { Scope } from "../../accounts/scope.ts";
import { fromLatin1, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { InTurn } from "../../core/in_turns.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { Log } from "../../core/log.ts";
import { encodeWord, parseWords } from "../../formats/backup/wire.ts";
import type { Connection } from "../../net/connection.ts";
import { LineReader } from "../../net/line_reader.ts";
import { logFailure } from "../session/replies.ts";
import { ANSWERS, type Answering, type ServedPlace } from "./answers.ts";

export interface BackupServing {
  readonly place: ServedPlace;
  /** The server's name, which clients have to know. */
  readonly slot: string;
  /** Milliseconds after which a client that says nothing is disconnected. */
  readonly idleMs: number;
  /** Lets so many answers at a time be in memory. */
  readonly inTurn: InTurn;
}

export interface BackupClient {
  readonly connection: Connection;
  /** What has come on the connection and was not read. */
  readonly rest?: Uint8Array;
  readonly scope: Scope;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

/** Serves a client until it or the server has had enough. The caller closes the connection. */
export async function serveBackup(client: BackupClient, serving: BackupServing): Promise<void> {
  const { connection, rest, log, stopping } = client;
  const reader = new LineReader(connection, {
    lineBytes: DEFAULT_LIMITS.wireLineBytes,
    ...(rest && { rest }),
  });
  const answering = answeringFor(client, serving);
  let requests = 0;
  try {
    while (!stopping.aborted && connection.loss === undefined) {
      const got = await reader.line(() => serving.idleMs);
      if (got === "end" || got === "timeout") break;
      requests++;
      const isLast = got === "tooLong" || !(await answer(latin1(got), answering, serving));
      if (got === "tooLong") await answering.say("NO bad command");
      await connection.flush();
      if (isLast) break;
    }
  } catch (error) {
    // The client cannot tell where a broken answer ends: the connection does.
    logFailure(log, error, { what: "the session broke off" });
  }
  const { bytesOut } = connection;
  log.write("info", "Session for backups has ended", { requests, bytesOut });
}

function answeringFor({ connection, scope }: BackupClient, serving: BackupServing): Answering {
  return {
    ...{ scope, place: serving.place },
    say: async (line) => {
      await connection.write(fromLatin1(`${line}\n`));
    },
    send: async (bytes) => {
      await connection.write(bytes);
    },
  };
}

/** Answers one line. False where the session ends with that. */
async function answer(
  line: string,
  answering: Answering,
  { slot, inTurn }: BackupServing,
): Promise<boolean> {
  const { say } = answering;
  const words = wordsIn(line);
  const [word = "", named, ...args] = words ?? [];
  const verb = word.toUpperCase();
  if (words === undefined) await say("NO bad command");
  else if (verb === "QUIT") await say("OK");
  else if (verb === "PING") await say("OK\nDONE PING");
  else if (named === undefined) await say("NO bad command");
  else if (!Object.hasOwn(ANSWERS, verb)) await say(`NO unknown command ${encodeWord(word)}`);
  else if (named !== slot) await say(`NO iam ${slot}`);
  else {
    const refusal = await inTurn(async () => ANSWERS[verb]?.(args, answering));
    if (refusal !== undefined) await say(`NO ${refusal.replace(/[\r\n]+/g, " ")}`);
  }
  return verb !== "QUIT";
}

function wordsIn(line: string): readonly string[] | undefined {
  try {
    return parseWords(line);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
