/**
 * A server that means harm: what it sends is bounded before it is kept, in every command that reads
 * from a server, and the memory of the process stays small.
 */
import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { createDeflateRaw } from "node:zlib";
import { fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { bobbin } from "../support/cli.ts";
import { tempDir } from "../support/temp_dir.ts";

const PEAK_BYTES = 400 * 1024 * 1024;
const GUID = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33";

/** Pieces of latin1 text that answer a line. */
type Answer = Iterable<string>;

let server: Server | undefined;
let sentBytes = 0;
let store = "";

beforeAll(async () => {
  store = `${tempDir("hostile")}/store`;
  expect((await bobbin(["store", "init", store])).exit).toBe(0);
});

afterEach(() => {
  server?.close();
});

/** Says as much as the client takes; gives the locator. */
async function evilServer(answer: (line: string) => Answer, banner = ""): Promise<string> {
  sentBytes = 0;
  server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    const said = talk(socket, answer);
    said.catch(() => socket.destroy()); // the client has gone, as it should
    socket.write(`* SASL PLAIN\r\n${banner}* OK evil Cyrus sync server 3.6.1\r\n`);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `sync://admin@127.0.0.1:${address.port}`;
}

async function talk(socket: Socket, answer: (line: string) => Answer): Promise<void> {
  let rest = "";
  let out: NodeJS.WritableStream = socket;
  for await (const chunk of socket) {
    const lines = (rest + latin1(chunk)).split("\r\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const isGet = /^GET /.test(line);
      for (const piece of isGet ? answer(line) : ["OK done\r\n"]) {
        if (socket.destroyed) return;
        sentBytes += piece.length;
        const isRoom = out.write(fromLatin1(piece));
        if (!isRoom) await new Promise((resolve) => out.once("drain", resolve));
      }
      if (!line.startsWith("COMPRESS")) continue;
      const deflate = createDeflateRaw({ level: 9 });
      deflate.pipe(socket);
      out = deflate;
      // What the client compresses is not understood here: it is answered without end.
      for (const piece of answer("GET USER ann")) {
        if (socket.destroyed) return;
        sentBytes += piece.length;
        if (!deflate.write(fromLatin1(piece))) {
          await new Promise((resolve) => deflate.once("drain", resolve));
        }
      }
    }
  }
}

const FIELDS =
  "SYNC_CRC 0 LAST_UID 90 HIGHESTMODSEQ 4 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 " +
  "POP3_LAST_LOGIN 0 UIDVALIDITY 1 PARTITION default OPTIONS P";
const SOUND = `* MAILBOX %(UNIQUEID id1 MBOXNAME user.ann ${FIELDS} ACL ""`;

function* forever(piece: (number: number) => string, opening = ""): Answer {
  yield opening;
  let text = "";
  for (let number = 0; text.length < 64 * 1024; number++) text += piece(number);
  for (;;) yield text;
}

const record = (number: number, more = "") =>
  `%(UID ${number + 1} MODSEQ 2 LAST_UPDATED 3 FLAGS (\\Seen $a${number % 99}) INTERNALDATE 4 ` +
  `SIZE 5 GUID ${GUID}${more}) `;
const annotation = (number: number) =>
  `%(ENTRY /vendor/x/${number} USERID "" MODSEQ 1 VALUE ${"v".repeat(20)}) `;

interface Flood {
  readonly name: string;
  /** The answer to GET FULLMAILBOX; without it, to GET USER. */
  readonly isFull?: true;
  readonly answer: () => Answer;
  /** What must have been sent for the flood to be one. */
  readonly leastBytes: number;
}

const SOUND_USER = `${SOUND})\r\nOK done\r\n`;
const LITERAL = 7 * 1024 * 1024;
const MIB = 1024 * 1024;

const FLOODS: readonly Flood[] = [
  {
    name: "a literal of 60 MB",
    answer: () => forever(() => "z".repeat(65536), `${SOUND} QUOTAROOT {60000000}\r\n`),
    leastBytes: 65536,
  },
  {
    name: "literals just small enough",
    answer: () => forever(() => `${SOUND} QUOTAROOT {${LITERAL}}\r\n${"z".repeat(LITERAL)})\r\n`),
    leastBytes: 100 * MIB,
  },
  {
    name: "mailboxes",
    answer: () => forever((n) => `${SOUND.replace("user.ann", `user.ann.m${n}`)})\r\n`),
    leastBytes: 30 * MIB,
  },
  {
    name: "annotations of a mailbox",
    answer: () => forever(annotation, `${SOUND} ANNOTATIONS (`),
    leastBytes: 1 * MIB,
  },
  { name: "subscriptions", answer: () => forever((n) => `u.${n} `, "* LSUB ("), leastBytes: MIB },
  { name: "empty lists", answer: () => forever(() => "() ", "* LSUB ("), leastBytes: MIB / 2 },
  {
    name: "seen states",
    answer: () =>
      forever((n) => `* SEEN %(UNIQUEID a${n} LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS 1)\r\n`),
    leastBytes: 10 * MIB,
  },
  { name: "a line without end", answer: () => forever(() => "x".repeat(4096)), leastBytes: 65536 },
  { name: "one list in another", answer: () => forever(() => "(", "* LSUB "), leastBytes: 100 },
  {
    name: "records",
    isFull: true,
    answer: () => forever((n) => record(n), `${SOUND} RECORD (`),
    leastBytes: 30 * MIB,
  },
  {
    name: "records with annotations",
    isFull: true,
    answer: () =>
      forever(
        (n) => record(n, ` ANNOTATIONS (${annotation(n)}${annotation(n + 1)})`),
        `${SOUND} RECORD (`,
      ),
    leastBytes: 30 * MIB,
  },
];

describe("a hostile server", () => {
  for (const { name, answer, isFull, leastBytes } of FLOODS) {
    for (const command of ["replicate", ...(name.startsWith("a literal") ? ["ls"] : [])]) {
      test(`that sends ${name} without end does not take the memory of ${command}`, async () => {
        const from = await evilServer((line) => {
          if (line.startsWith("GET FULLMAILBOX")) return answer();
          return isFull === true || line.startsWith("GET META") ? [SOUND_USER] : answer();
        });
        const args =
          command === "ls"
            ? ["ls", from, "ann"]
            : ["replicate", "ann", "--from", from, "--to", store];
        await endsWell(args, from, leastBytes);
      });
    }
  }

  test("that inflates to gigabytes does not take the memory of replicate", async () => {
    const answer = () =>
      forever(() => `${SOUND} QUOTAROOT {${LITERAL}}\r\n${"z".repeat(LITERAL)})\r\n`);
    const from = await evilServer(answer, "* COMPRESS DEFLATE\r\n");
    const args = ["replicate", "ann", "--compress", "--from", from, "--to", store];
    await endsWell(args, from, 16 * MIB);
  });

  test("that lies about the size of messages is not read ahead into memory", async () => {
    const guidOf = (n: number) => String(n).padStart(40, "a");
    const texts = Array.from({ length: 60 }, (_, n) => record(n).replace(GUID, guidOf(n)));
    const records = texts.join("").trimEnd();
    const body = "m".repeat(MIB);
    function* message(guid: string): Answer {
      yield `* MESSAGE %{default ${guid} ${8 * MIB - 1}}\r\n${body.slice(1)}`;
      for (let count = 1; count < 8; count++) yield body;
      yield "\r\nOK done\r\n";
    }
    const from = await evilServer((line) => {
      if (line.startsWith("GET FETCH")) return message(/GUID (\w+)/.exec(line)?.[1] ?? "");
      return line.startsWith("GET FULL")
        ? [`${SOUND} RECORD (${records}))\r\nOK done\r\n`]
        : [SOUND_USER];
    });
    await endsWell(["replicate", "ann", "--from", from, "--to", store], "message", 100 * MIB);
  });

  async function endsWell(args: readonly string[], named: string, leastBytes: number) {
    const env = { BOBBIN_PASSWORD: "labpass", TMPDIR: tempDir("hostile") };
    const { exit, stderr, peakBytes } = await bobbin(args, { env });
    expect([2, 65, 76], stderr).toContain(exit);
    expect(stderr).toContain(named.replace(/.*@/, ""));
    expect(stderr).not.toContain("this is a bug");
    expect(sentBytes).toBeGreaterThan(leastBytes);
    expect(peakBytes).toBeLessThan(PEAK_BYTES);
  }
});
