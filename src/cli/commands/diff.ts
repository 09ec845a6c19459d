/** `bobbin diff A B [USER…]` compares two places and changes neither. */

import { plural } from "../../core/counts.ts";
import { AppError, type ErrorCode, systemError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { type Difference, type DiffResult, diffOwner } from "../../replicate/diff.ts";
import { notCompared } from "../../replicate/plan/holds.ts";
import {
  chosenOwners,
  listOwners,
  namedUsers,
  requireSomebody,
  usersFromOption,
} from "../chosen_owners.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT, type ExitCode, exitOf, worstExit } from "../exit.ts";
import { errorFacts } from "../hints.ts";
import type { Counts } from "../json/summaries.ts";
import { displayName, nameFacts, ownerFacts, textOfName } from "../mailbox_names.ts";
import { addPlaceOptions, openPlace, optionsOfSide, type PlaceOptions } from "../open_place.ts";
import type { Output } from "../output.ts";
import { startOwnersProgress } from "../progress/owners_progress.ts";
import { refusalError } from "../refusal_error.ts";
import { ownerHint } from "../similar_names.ts";
import { tellFailure } from "./replicate_report.ts";

export const registerDiff: Register = (program, handle) => {
  const command = program
    .command("diff")
    .summary("compare two places")
    .description(
      "Compares state and sync CRC of each mailbox, then the records of those that differ. " +
        "Nothing is changed. Exit code 1 says that there are differences.",
    )
    .argument("<a>", "place A")
    .argument("<b>", "place B")
    .argument("[user...]", "only these users; without one, all users that the places can list")
    .option("--deep", "compare every record, and read every message at both places")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes");
  addPlaceOptions(usersFromOption(command), ["a", "b"]).action(handle(runDiff));
};

interface DiffFlags extends PlaceOptions {
  readonly aPasswordFile?: string;
  readonly bPasswordFile?: string;
  readonly deep?: boolean;
  readonly shared?: boolean;
}

const runDiff: Handler<"diff"> = async (args, options, env) => {
  const flags = options as unknown as DiffFlags; // as commander was told above
  const [a = "", b = "", given = []] = args as readonly [string, string, (readonly string[])?];
  const users = await namedUsers(given, options);
  const source = await openPlace(a, env, optionsOfSide(flags, flags.aPasswordFile));
  try {
    const target = await openPlace(b, env, optionsOfSide(flags, flags.bPasswordFile));
    try {
      if (users.length === 0) await requireSomebody(source);
      const listing = [source, target].filter(({ holds }) => holds.userList);
      const owners = chosenOwners({ users, shared: flags.shared === true }, listing);
      const run = { source, target, deep: flags.deep === true, env };
      return await diffAll(owners, { ...run, isListed: users.length === 0 });
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
};

interface Run {
  readonly source: Place;
  readonly target: Place;
  readonly deep: boolean;
  /** The owners come from a list, so one who has nothing at either place any more is no failure. */
  readonly isListed: boolean;
  readonly env: CommandEnv<"diff">;
}

async function diffAll(
  owners: AsyncGenerator<Owner, void>,
  run: Run,
): Promise<CommandResult<"diff">> {
  const { source, target, deep, isListed, env } = run;
  const { output } = env;
  const totals = { users: 0, mailboxes: 0, messages: 0, differences: 0, failures: 0 };
  const codes = new Set<ExitCode>();
  const [failedAs, told] = [new Set<ErrorCode>(), new Set<string>()];
  const conclude = env.soFar((): Counts<"diff"> => {
    const unheld = notCompared(source, target);
    if (unheld.length > 0) output.talk(`Not held by both places: ${unheld.join(", ")}`);
    tellTotals(totals, output);
    return { ...totals, notCompared: unheld };
  });
  const listed = await listOwners(owners);
  const progress = startOwnersProgress(output, listed.owners.length);
  for (const owner of listed.owners) {
    totals.users += 1;
    const user = textOfName(ownerName(owner));
    const result = await diffOne(
      owner,
      { source, target },
      {
        deep,
        difference: (difference) => {
          totals.differences += 1;
          tell(difference, owner, env);
        },
        failed: (name, refusal, kind = "mailbox") => {
          totals.failures += 1;
          failedAs.add(tellFailure(name, refusal, { owner, env, kind, told }));
        },
        part: (done, of) => progress.part(owner, done, of),
      },
    );
    progress.done(owner);
    if (result instanceof AppError || result.kind === "refused") {
      if (isListed && "reason" in result && result.reason === "nonexistent") continue;
      const error = result instanceof AppError ? result : refusalError(result);
      codes.add(exitOf(error.code));
      failedAs.add(error.code);
      totals.failures += 1;
      const similar = error.code === "not_found" ? await ownerHint(owner, source) : undefined;
      const { hint = similar, ...facts } = errorFacts(error);
      output.error(`User ${user}: ${error.message}`, { ...ownerFacts(owner), ...facts, hint });
    } else {
      totals.mailboxes += result.value.mailboxes;
      totals.messages += result.value.messages;
    }
  }
  progress.stop();
  if (listed.broken !== undefined) throw listed.broken;
  const summary = conclude();
  const { users, differences, failures } = totals;
  const [code] = codes;
  const alone = users === 1 && code !== undefined ? code : undefined;
  return {
    exit:
      alone ??
      worstExit([
        failedAs.has("io") ? EXIT.io : EXIT.ok,
        failures > 0 ? EXIT.partial : EXIT.ok,
        differences > 0 ? EXIT.damage : EXIT.ok,
      ]),
    summary,
  };
}

function tellTotals(totals: Omit<Counts<"diff">, "notCompared">, output: Output): void {
  const { users, mailboxes, differences, failures } = totals;
  const counts = [plural(users, "user"), plural(mailboxes, "mailbox", "mailboxes")];
  const failed = failures > 0 ? `, ${failures} failed` : "";
  output.total(`${counts.join(", ")}: ${plural(differences, "difference")}${failed}`);
}

/** Compares one owner. What a place throws is reported for this owner, and the others go on. */
async function diffOne(
  ...args: Parameters<typeof diffOwner>
): Promise<Outcome<DiffResult> | AppError> {
  try {
    return await diffOwner(...args);
  } catch (error) {
    const known = systemError(error);
    if (known !== undefined) return known;
    throw error;
  }
}

function tell({ kind, name, uid, text }: Difference, owner: Owner, env: CommandEnv): void {
  const { output, internalNames: internal } = env;
  const isName = kind === "setting" || kind === "user";
  const facts = isName ? { name: textOfName(name) } : nameFacts(name);
  output.object({ type: "difference", ...ownerFacts(owner), kind, ...facts, uid, text });
  const shown = isName ? textOfName(name) : displayName(name, { internal });
  const at = uid === undefined ? "" : ` uid ${uid}`;
  const user = escapeText(textOfName(ownerName(owner)));
  output.line(`${user}: ${kind} ${escapeText(shown)}${at}: ${escapeText(text)}`);
}
