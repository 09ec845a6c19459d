/** What a real sync_server answers to GET, as values. */

import { fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { printLine } from "../../src/formats/dlist/print.ts";
import { type Answer, parseAnswer } from "../../src/formats/sync/answer.ts";
import { type GetCommand, printGet } from "../../src/formats/sync/get_command.ts";
import type { Csync } from "./csync.ts";
import { parseLine } from "./dlist_line.ts";

/** The data lines that answer a GET; throws with the status when that is not OK. */
export async function getAnswers(client: Csync, command: GetCommand): Promise<Answer[]> {
  const { name, value } = printGet(command);
  const line = latin1(printLine(name, value, { from: "client" })).trimEnd();
  const { data, status } = await client.command(`GET ${line}`);
  if (!status.startsWith("OK")) throw new Error(`GET ${line}: ${status}`);
  return data.map((text) => {
    const entry = parseLine(fromLatin1(text));
    const answer = parseAnswer(entry.name, entry.value);
    if (answer === undefined) throw new Error(`GET ${line}: unknown answer ${text}`);
    return answer;
  });
}

/** The answers of one kind. */
export function answersOf<Kind extends Answer["kind"]>(
  answers: readonly Answer[],
  kind: Kind,
): Extract<Answer, { kind: Kind }>[] {
  return answers.filter((one): one is Extract<Answer, { kind: Kind }> => one.kind === kind);
}
