/** `bobbin dlist talk PLACE`: a session with a sync server, signed in, whose commands are typed. */
import { latin1, utf8 } from "../../core/bytes.ts";
import { AppError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import type { ReaderEvent } from "../../formats/dlist/reader.ts";
import { maskSecrets } from "../../formats/sync/masking.ts";
import { parsePlace } from "../../places/locator.ts";
import { type Link, openLink } from "../../places/sync/sign_in.ts";
import type { CommandEnv, CommandResult, Handler } from "../command.ts";
import { EXIT } from "../exit.ts";
import { type PlaceOptions, syncOptionsOf } from "../open_place.ts";
import type { Output } from "../output.ts";
import { dlistJson, dlistLines } from "./dlist_text.ts";

/** Sends each line of stdin as a command and prints the answers, until either end. */
export const runTalk: Handler<"dlist talk"> = async ([text = ""], options, env) => {
  const locator = parsePlace(String(text));
  if (locator.kind !== "sync") {
    throw new AppError("usage", `Cannot talk to ${text}: it is no sync server`);
  }
  const flags = options as PlaceOptions; // as commander was told
  const link = await openLink(syncOptionsOf(locator.address, flags), "write");
  const { peer, caveat } = link;
  if (caveat !== undefined) env.output.talk(caveat);
  env.output.talk(`Signed in to ${peer.name || text}, ${peer.software} ${peer.version?.join(".")}`);
  try {
    return await talk(link, env);
  } finally {
    await link.dialogue.connection.close();
  }
};

async function talk(
  { dialogue }: Link,
  env: CommandEnv<"dlist talk">,
): Promise<CommandResult<"dlist talk">> {
  const { output } = env;
  let commands = 0;
  env.soFar(() => ({ commands }));
  for await (const line of linesOfStdin()) {
    if (line.trim() === "") continue;
    commands += 1;
    output.line(`C ${escapeText(maskSecrets(line))}`);
    const isLast = /^(EXIT|LOGOUT)\b/i.test(line);
    try {
      for await (const event of dialogue.typed(typedBytes(line))) show(event, output);
    } catch (error) {
      // A server of IMAP sends BYE before its OK, and the connection may end with it.
      if (!isLast || !(error instanceof AppError) || error.code !== "unreachable") throw error;
    }
    output.flush();
    if (isLast) break;
  }
  return { exit: EXIT.ok, summary: { commands } };
}

function show(event: ReaderEvent, output: Output): void {
  if (event.kind === "text") {
    const said = [...event.words, latin1(event.text)].join(" ").trimEnd();
    output.line(`S ${escapeText(said)}`);
    output.object({ type: "line", text: said });
  } else if (event.kind === "item") {
    for (const line of dlistLines(`  ${event.key}`, event.value)) output.line(line);
    output.object({ type: "item", key: event.key, value: dlistJson(event.value) });
  } else if (event.kind === "dlist") {
    const [first = "", ...others] = dlistLines(`* ${event.name}`, event.value);
    output.line(`S ${first}`);
    for (const line of others) output.line(line);
    output.object({ type: "line", name: event.name, value: dlistJson(event.value) });
  }
}

/** The bytes of a typed line, in which `{{text}}` is a literal. */
function typedBytes(line: string): Uint8Array {
  return utf8(
    line.replace(/\{\{(.*?)\}\}/g, (_, text: string) => `{${utf8(text).length}+}\r\n${text}`),
  );
}

async function* linesOfStdin(): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of process.stdin) {
    const lines = (rest + String(chunk)).split(/\r?\n/);
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}
