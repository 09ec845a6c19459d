/**
 * A sync server that stands in for one of a version of Cyrus. `told` = it answers each GET with the
 * bytes with which that version's own server has answered it; else it begins with nothing and keeps
 * what is sent, with the ways of its version (version_state.ts).
 */
import { createServer, type Socket } from "node:net";
import { concat, fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { printLine } from "../../src/formats/dlist/print.ts";
import { DlistReader, type ReaderEvent } from "../../src/formats/dlist/reader.ts";
import { parseGet } from "../../src/formats/sync/get_command.ts";
import { expectCommand } from "./captures.ts";
import { answersOf, type FixtureVersion, messagesOf, type Said } from "./version_answers.ts";
import { Death, VersionState } from "./version_state.ts";

export interface VersionPeer {
  readonly port: number;
  /** All that was asked, `GET USER ann`, without the bytes of messages. */
  readonly commands: readonly string[];
  /** Of what its server would have died; the connection was closed. */
  readonly deaths: readonly string[];
  stop(): Promise<void>;
}

/** Starts a server of `version` that tells what its transcript does, or that has nothing yet. */
export async function versionPeer(
  version: FixtureVersion,
  { told }: { readonly told: boolean },
): Promise<VersionPeer> {
  const { banner, connections } = answersOf(version);
  const messages = told ? messagesOf(version) : new Map<string, Uint8Array>();
  const shared: Shared = {
    ...{ commands: [], deaths: [], state: new VersionState(version, messages) },
    transcript: told ? transcriptOf(connections.flat()) : undefined,
  };
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    // COMPRESS is offered on other machines only, and nobody asks for it here.
    socket.write(fromLatin1(banner));
    new Session(socket, shared);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    ...{ port: address.port, commands: shared.commands, deaths: shared.deaths },
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What was said to a command, and each line of a mailbox by its name. */
interface Transcript {
  readonly answers: ReadonlyMap<string, Said>;
  readonly mailboxes: ReadonlyMap<string, string>;
}

function transcriptOf(said: readonly Said[]): Transcript {
  const named = said.flatMap(({ data }) => data).filter((line) => line.startsWith("* MAILBOX"));
  const mailboxes = named.map((line): [string, string] => {
    const [, quoted, bare = ""] = / MBOXNAME (?:"([^"]*)"|(\S+))/.exec(line) ?? [];
    return [quoted ?? bare, line.replace(/ RECORD \(.*\)\)\r\n$/s, ")\r\n")];
  });
  const answers = new Map(said.map((one) => [one.command.replaceAll('"', ""), one]));
  return { answers, mailboxes: new Map(mailboxes) };
}

interface Shared {
  readonly commands: string[];
  readonly deaths: string[];
  readonly state: VersionState;
  readonly transcript: Transcript | undefined;
}

type Line = Extract<ReaderEvent, { kind: "text" | "dlist" | "malformed" }>;

class Session {
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #reader = new DlistReader({ limits: DEFAULT_LIMITS, expect: expectCommand });
  #isSignedIn = false;
  #hidesFiles = false;
  #file: { readonly guid: string; readonly parts: Uint8Array[] } | undefined;

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    socket.on("data", (chunk: Uint8Array) => {
      for (const event of this.#reader.feed(new Uint8Array(chunk))) this.#take(event);
    });
  }

  #take(event: ReaderEvent): void {
    switch (event.kind) {
      case "fileStart":
        this.#file = { guid: event.guid, parts: [] };
        return;
      case "fileData":
        this.#file?.parts.push(event.bytes.slice());
        return;
      case "fileEnd":
        if (this.#file !== undefined) {
          this.#shared.state.take(this.#file.guid, concat(this.#file.parts));
        }
        return;
      case "item":
        return;
      default:
        this.#answer(event);
    }
  }

  #answer(line: Line): void {
    try {
      const lines = this.#answerTo(line);
      if (this.#socket.destroyed) return;
      const status = lines.at(-1) ?? "";
      this.#socket.write(fromLatin1(`${lines.slice(0, -1).join("")}${status}\r\n`));
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.#shared.deaths.push(error.message);
      if (error.lastWords === undefined) this.#socket.destroy();
      else this.#socket.end(`${error.lastWords}\r\n`);
    }
  }

  #answerTo(line: Line): readonly string[] {
    const verb = line.words[0]?.toUpperCase() ?? "";
    if (line.kind === "malformed") return [`BAD ${line.error.message}`];
    if (line.kind === "text") return [this.#plain(verb, latin1(line.text))];
    const { name, value } = line;
    const { commands, state } = this.#shared;
    const argument = name === "MESSAGE" ? "" : latin1(printLine(name, value, { from: "client" }));
    commands.push(`${verb} ${argument || name}`);
    if (!this.#isSignedIn) return ["NO Please authenticate first"];
    if (verb === "APPLY") {
      const isAsked = name === "CAPABILITIES" && argument.includes("SIEVE-MAILBOX");
      const lines = state.apply(name, value);
      if (isAsked && lines.at(-1)?.startsWith("OK") === true) this.#hidesFiles = true;
      return lines;
    }
    return this.#told(line) ?? state.get(name, value, this.#hidesFiles);
  }

  #plain(verb: string, text: string): string {
    switch (verb) {
      case "AUTHENTICATE":
        this.#isSignedIn = atob(text.split(" ").at(-1) ?? "").endsWith("\0labpass");
        return this.#isSignedIn ? "OK Success (no protection)" : "NO authentication failure";
      case "RESTART":
        return "OK Restarting";
      case "NOOP":
        return "OK Noop completed";
      case "EXIT":
        this.#socket.end("OK Finished\r\n");
        return "";
      default:
        return "BAD IMAP_PROTOCOL_ERROR Unrecognized command";
    }
  }

  /** What the transcript has for it; undefined where nothing was asked of that kind. */
  #told(line: Extract<Line, { kind: "dlist" }>): readonly string[] | undefined {
    const { transcript } = this.#shared;
    if (transcript === undefined) return undefined;
    const { name, value } = line;
    const command = parseGet(name, value);
    if (command?.kind === "fetch") return undefined;
    const key = `GET ${latin1(printLine(name, value, { from: "client" }))}`.replaceAll('"', "");
    const said = transcript.answers.get(key);
    if (command?.kind === "mailboxes" && said === undefined) {
      const lines = command.names.map((one) => transcript.mailboxes.get(one) ?? "");
      return [...lines, "OK success"];
    }
    if (said === undefined) {
      // Up to 3.4 a place in the tree is listed, and not there when it is asked for.
      const isThere = command?.kind !== "fullmailbox";
      return [isThere ? "NO not in the transcript" : "NO IMAP_MAILBOX_NONEXISTENT"];
    }
    if (said.status === undefined) throw new Death(key);
    if (!this.#hidesFiles) return [...said.data, said.status];
    // The session of the transcript has not enabled the mailbox of the scripts, so it saw files.
    const sieve = transcript.mailboxes.get(`user.${key.split(" ").at(-1)}.#sieve`);
    const scripts = command?.kind === "user" && sieve !== undefined ? [sieve] : [];
    const others = said.data.filter((one) => !/^\* SIEVE /.test(one));
    return [...scripts, ...others, said.status];
  }
}
