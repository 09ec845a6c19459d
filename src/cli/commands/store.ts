/** `bobbin store init|info|rename|delete|undelete|gc|reconstruct` maintains Bobbin's own store. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { breathe } from "../../core/breathe.ts";
import { formatCount, plural } from "../../core/counts.ts";
import { AppError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { isUniqueid } from "../../model/mailbox.ts";
import {
  externalName,
  internalName,
  isBelow,
  isOwnedBy,
  type Owner,
  ownerOfKey,
  parseName,
} from "../../model/names.ts";
import { newStorePath, parseLocator } from "../../places/locator.ts";
import {
  allMailboxes,
  lastTombstone,
  tombstones,
} from "../../places/store/catalogue/mailbox_rows.ts";
import type { OwnerFolder } from "../../places/store/commit/owner_folder.ts";
import { renameMailboxesIn } from "../../places/store/commit/rename.ts";
import { deleteMailboxes, undeleteMailboxes } from "../../places/store/commit/trash.ts";
import { withReserve } from "../../places/store/reserve.ts";
import { Store } from "../../places/store/store.ts";
import { initStore } from "../../places/store/store_settings.ts";
import { collectOwner, collectStaging } from "../../places/store/upkeep/gc.ts";
import type { ReconstructNote } from "../../places/store/upkeep/mend_databases.ts";
import { reconstructStore } from "../../places/store/upkeep/reconstruct.ts";
import { whileBusy } from "../../storage/retry.ts";
import type { Access } from "../../storage/store_database.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { errorFacts } from "../hints.ts";
import type { Counts } from "../json/summaries.ts";
import {
  bytesOfArgument,
  nameFacts,
  nobody,
  ownerFacts,
  ownerLabel,
  ownerOfArgument,
  ownerWords,
  textOfName,
} from "../mailbox_names.ts";
import { choiceOption, countOption } from "../options.ts";
import { columns } from "../table.ts";
import { formatBytes } from "../text.ts";

export const registerStore: Register = (program, handle) => {
  const store = program.command("store").summary("make a store and look after it");
  store
    .command("init <folder>")
    .summary("make a store in an empty folder")
    .option("--flat", "no level of first letters above the folders of the users")
    .addOption(
      choiceOption(
        "--index-version <n>",
        "version of cyrus.index: 17 is that of Cyrus 3.6, 20 that of 3.12 (17)",
        ["17", "20"],
      ),
    )
    .option("--retention <days>", "how many days deleted mail is kept (7)", countOption)
    .action(handle(runInit));
  store
    .command("info <place> [user]")
    .summary("list the users of a store; with a user, the mailboxes and what can be undeleted")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .action(handle(runInfo));
  rename(store).action(handle(runRename));
  store
    .command("delete <place> <mailbox>")
    .summary("delete a mailbox; it can be undeleted until gc removes it")
    .option("--tree", "delete the folders below it too")
    .action(handle(runDelete));
  store
    .command("undelete <place> <mailbox>")
    .summary("bring back the mailbox that was deleted last under this name, or by uniqueid")
    .option("--tree", "bring back the folders below it too")
    .option("--as <mailbox>", "give it another name, of the same user")
    .action(handle(runUndelete));
  store
    .command("gc <place>")
    .summary("remove deleted mail whose time is up, and what stopped runs have left")
    .action(handle(runGc));
  store
    .command("reconstruct <place>")
    .summary("rebuild the databases of the store from the mailbox folders")
    .action(handle(runReconstruct));
};

function rename(store: Command): Command {
  return store
    .command("rename <place> <from> <to>")
    .summary("rename a folder and all folders below it, at once")
    .option("--single", "only this folder, not those below it")
    .option("--swap", "give each of the two the other's name");
}

/** Argument number `at` as text. */
function argument(args: Parameters<Handler>[0], at: number): string {
  const value = args[at];
  return typeof value === "string" ? value : "";
}

interface StoreChoice {
  readonly place: string;
  readonly env: Pick<CommandEnv, "output">;
  readonly access?: Access;
}

/** Opens the store that an argument names, does `work` with it, and closes it. */
async function withStore<T>(
  { place, env, access = "upgrade" }: StoreChoice,
  work: (store: Store) => T | Promise<T>,
): Promise<T> {
  const locator = parseLocator(place);
  if (locator.kind !== "store") {
    throw new AppError("usage", `Cannot use ${place}: it is no store`, {
      hint: "Make one with `bobbin store init FOLDER`.",
    });
  }
  const tell = (text: string): void => env.output.talk(text);
  const open = () => new Store(locator.path, { access, tell });
  const store = access === "read" ? open() : withReserve(resolve(locator.path), open);
  try {
    if (store.caveat !== undefined) tell(store.caveat);
    return await work(store);
  } finally {
    store.close();
  }
}

/** Reads and shows names as people write them, or in internal form with `--internal`. */
function namesOf(env: CommandEnv): {
  read: (text: string) => string;
  show: (name: string) => string;
} {
  if (env.internalNames)
    return { read: bytesOfArgument, show: (name) => escapeText(textOfName(name)) };
  return { read: internalName, show: (name) => escapeText(externalName(name)) };
}

function folderOf(store: Store, name: string): { folder: OwnerFolder; owner: Owner } {
  const { owner } = parseName(name);
  const folder = store.find(owner);
  if (folder !== undefined) return { folder, owner };
  throw new AppError(
    "not_found",
    `Cannot find ${externalName(name)}: the store has no ${ownerWords(owner)}`,
    owner.kind === "user" ? {} : { hint: "The folder of a user is named user/USER/FOLDER" },
  );
}

const runInit: Handler<"store init"> = async (args, options, env) => {
  const root = newStorePath(argument(args, 0));
  const { flat, indexVersion, retention } = options;
  const settings = initStore(root, {
    hash: flat !== true,
    ...(indexVersion === undefined ? {} : { indexVersion: indexVersion === "20" ? 20 : 17 }),
    ...(typeof retention === "number" ? { retentionDays: retention } : {}),
  });
  new Store(root).close(); // makes the registry, and proves that the store opens
  const how = settings.pool === "link" ? "hard links" : "copies, for want of hard links";
  env.output.total(
    `Made the store ${escapeText(root)} (index version ${settings.indexVersion}, ${how}).`,
  );
  return { exit: EXIT.ok, summary: { root, ...settings } };
};

const runInfo: Handler<"store info"> = (args, options, env) =>
  withStore({ place: argument(args, 0), env, access: "read" }, (store) => {
    if (typeof args[1] !== "string") return storeInfo(store, env);
    return ownerInfo(store, ownerOfArgument(args[1], options), env);
  });

async function storeInfo(
  store: Store,
  env: CommandEnv<"store info">,
): Promise<CommandResult<"store info">> {
  const { output } = env;
  const { settings, root } = store;
  const totals = { owners: 0, mailboxes: 0, pending: 0, failed: 0 };
  const rows: string[][] = [];
  const tell = env.soFar(() => {
    const { owners, mailboxes } = totals;
    for (const line of columns(rows, output)) output.line(line);
    const counts = [plural(owners, "owner"), plural(mailboxes, "mailbox", "mailboxes")];
    output.total(`${counts.join(", ")}, index version ${settings.indexVersion}`);
    return { root, ...settings, ...totals };
  });
  for (const owner of store.readableOwners()) {
    await breathe();
    totals.owners += 1;
    const word = ownerLabel(owner);
    try {
      const folder = store.find(owner);
      const count = folder?.read(allMailboxes).length ?? 0;
      const steps = folder?.pending().length ?? 0;
      totals.mailboxes += count;
      totals.pending += steps;
      output.object({ type: "owner", ...ownerFacts(owner), mailboxes: count, pending: steps });
      rows.push([escapeText(word), plural(count, "mailbox", "mailboxes")]);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      totals.failed += 1;
      output.error(`${word}: ${error.message}`, { ...ownerFacts(owner), ...errorFacts(error) });
    }
  }
  return { exit: totals.failed > 0 ? EXIT.partial : EXIT.ok, summary: tell() };
}

const LISTS_ALL = "`bobbin store info STORE` lists all that the store has";

function ownerInfo(store: Store, owner: Owner, env: CommandEnv): CommandResult<"store info"> {
  const { output } = env;
  const { show } = namesOf(env);
  const folder = store.find(owner);
  if (folder === undefined) {
    const isShared = owner.kind === "shared";
    const hint = isShared ? LISTS_ALL : "What belongs to no user is named with --shared";
    throw nobody(owner, hint);
  }
  const rows: string[][] = [];
  const mailboxes = folder.read(allMailboxes);
  for (const { name, uniqueid } of mailboxes) {
    output.object({ type: "mailbox", ...ownerFacts(owner), ...nameFacts(name), uniqueid });
    rows.push([show(name), uniqueid]);
  }
  const graves = folder.read(tombstones);
  for (const { name, uniqueid, deleted } of graves) {
    const time = new Date(deleted * 1000).toISOString();
    const facts = { ...ownerFacts(owner), ...nameFacts(name), uniqueid };
    output.object({ type: "deleted", ...facts, deleted: time });
    rows.push([show(name), uniqueid, `deleted ${time}`]);
  }
  for (const line of columns(rows, output)) output.line(line);
  const counts = { mailboxes: mailboxes.length, deleted: graves.length };
  return { exit: EXIT.ok, summary: { ...ownerFacts(owner), ...counts } };
}

const runRename: Handler<"store rename"> = (args, options, env) =>
  withStore({ place: argument(args, 0), env }, async (store) => {
    const { read, show } = namesOf(env);
    const [from, to] = [read(argument(args, 1)), read(argument(args, 2))];
    const { folder, owner } = folderOf(store, from);
    const tree = options["single"] !== true;
    const requests = [{ from, to, tree }];
    if (options["swap"] === true) requests.push({ from: to, to: from, tree });
    const isOwn = (name: string): boolean => isOwnedBy(name, owner);
    const done = await whileBusy(() =>
      renameMailboxesIn(folder, { requests, isOwn, now: store.now(), isLocal: true }),
    );
    for (const { row, to: name } of done) {
      env.output.object({
        type: "step",
        step: "rename",
        ...nameFacts(name),
        from: nameFacts(row.name),
        uniqueid: row.uniqueid,
      });
      env.output.step(`${show(row.name)} -> ${show(name)}`);
    }
    return { exit: EXIT.ok, summary: { renamed: done.length } };
  });

const runDelete: Handler<"store delete"> = (args, options, env) =>
  withStore({ place: argument(args, 0), env }, async (store) => {
    const { read, show } = namesOf(env);
    const name = read(argument(args, 1));
    const { folder } = withReserve(store.root, () => folderOf(store, name));
    const remove = () =>
      folder.write((transaction) => {
        const all = allMailboxes(transaction.database);
        const wanted = all.filter((row) => row.name === name);
        const below = all.filter((row) => isBelow(row.name, name));
        if (wanted.length === 0)
          throw new AppError("not_found", `Cannot delete ${externalName(name)}: no such mailbox`);
        const found = options["tree"] === true ? [...wanted, ...below] : wanted;
        deleteMailboxes(transaction, found, store.now());
        return found;
      });
    const rows = await whileBusy(() => withReserve(store.root, remove));
    for (const row of rows) {
      env.output.object({
        type: "step",
        step: "delete",
        ...nameFacts(row.name),
        uniqueid: row.uniqueid,
      });
      env.output.step(`deleted ${show(row.name)}`);
    }
    return { exit: EXIT.ok, summary: { deleted: rows.length } };
  });

const runUndelete: Handler<"store undelete"> = (args, options, env) =>
  withStore({ place: argument(args, 0), env }, async (store) => {
    const { read, show } = namesOf(env);
    const { as: text } = options;
    const as = typeof text === "string" ? { name: read(text), now: store.now() } : undefined;
    const { folder, owner, which } = findGrave(store, argument(args, 1), read);
    const claim = (uniqueid: string): string | undefined => {
      const holder = store.claim(uniqueid, owner);
      return holder === undefined ? undefined : ownerLabel(holder);
    };
    const request = { which, as, tree: options["tree"] === true };
    const found = await whileBusy(() => undeleteMailboxes(folder, request, claim));
    for (const { name, uniqueid } of found) {
      env.output.object({ type: "step", step: "undelete", ...nameFacts(name), uniqueid });
      env.output.step(`brought back ${show(name)}`);
    }
    return { exit: EXIT.ok, summary: { undeleted: found.length } };
  });

/** Finds whose trash has a mailbox, by name or uniqueid, which nobody claims meanwhile. */
function findGrave(
  store: Store,
  text: string,
  read: (text: string) => string,
): ReturnType<typeof folderOf> & { which: string } {
  for (const owner of isUniqueid(text) ? store.owners() : []) {
    try {
      const folder = store.find(owner);
      const grave = folder?.read((database) => lastTombstone(database, text));
      if (folder !== undefined && grave?.uniqueid === text) return { folder, owner, which: text };
    } catch (error) {
      if (!(error instanceof AppError)) throw error; // it is another owner's, as far as is known
    }
  }
  const name = read(text);
  return { ...folderOf(store, name), which: name };
}

const DAY_SECONDS = 24 * 60 * 60;

const runGc: Handler<"store gc"> = (args, _, env) =>
  withStore({ place: argument(args, 0), env }, async (store) => {
    const totals = { unlinked: 0, poolFiles: 0, poolBytes: 0, trash: 0, leftovers: 0, failed: 0 };
    const tell = env.soFar(() => {
      const { poolFiles, poolBytes, unlinked, trash, leftovers } = totals;
      const mailboxes = plural(trash, "deleted mailbox", "deleted mailboxes");
      env.output.total(
        `${plural(poolFiles, "message")} (${formatBytes(poolBytes)}), ${formatCount(unlinked)} ` +
          `expunged, ${mailboxes} and ${plural(leftovers, "leftover")} removed`,
      );
      return totals;
    });
    const options = {
      now: store.now(),
      retentionSeconds: store.settings.retentionDays * DAY_SECONDS,
    };
    for (const owner of store.owners()) {
      const word = ownerLabel(owner);
      await breathe();
      try {
        const folder = withReserve(store.root, () => store.find(owner));
        if (folder === undefined) continue;
        const collect = () => withReserve(store.root, () => collectOwner(folder, options));
        const { skipped, ...done } = await whileBusy(collect);
        for (const [key, count] of Object.entries(done)) totals[key as keyof typeof done] += count;
        for (const reason of skipped) {
          totals.failed++;
          env.output.error(`The pool of ${word} was left alone: ${reason}`, {
            ...{ ...ownerFacts(owner), code: "bad_data" },
          });
        }
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        totals.failed++;
        env.output.error(`${word}: ${error.message}`, {
          ...ownerFacts(owner),
          ...errorFacts(error),
        });
      }
    }
    totals.leftovers += collectStaging(store.root);
    return { exit: totals.failed > 0 ? EXIT.partial : EXIT.ok, summary: tell() };
  });

const runReconstruct: Handler<"store reconstruct"> = (args, _, env) =>
  withStore({ place: argument(args, 0), env }, async (store) => {
    const notes: ReconstructNote[] = [];
    const tell = env.soFar(() => tellNotes(notes, env));
    await reconstructStore(store, notes);
    const summary = tell();
    return { exit: summary.left > 0 ? EXIT.damage : EXIT.ok, summary };
  });

/** What is lost, and not only put right. */
const LOSSES: ReadonlySet<string> = new Set([
  ...["folder left out", "mailbox without a folder", "changes dropped", "claims dropped"],
]);

function tellNotes(
  notes: readonly ReconstructNote[],
  { output }: CommandEnv,
): Counts<"store reconstruct"> {
  for (const { what, owner, name, reason: text } of notes) {
    output.object({ type: "step", step: what, owner: textOfName(owner), name, text });
    const reason = text === undefined ? "" : ` (${text})`;
    const known = ownerOfKey(owner);
    const whose = known === undefined ? textOfName(owner) : ownerLabel(known);
    output.line(escapeText(`${whose}: ${what}: ${name}${reason}`));
  }
  return { changed: notes.length, left: notes.filter(({ what }) => LOSSES.has(what)).length };
}
