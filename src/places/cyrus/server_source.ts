/**
 * A whole Cyrus server as the source of a place, found by its imapd.conf: the mailboxes, and
 * everything that the databases of the server hold.
 */
import { AppError, type ErrorCode, PERMISSION_HINT } from "../../core/errors.ts";
import { isStill, watched } from "../../core/file_stamp.ts";
import { type SieveScript, sieveFilesOf } from "../../formats/sieve/script_files.ts";
import type { ListedFacts } from "../../mailbox/mailbox_state.ts";
import type { FlawedSetting, UserMeta } from "../../model/mailbox.ts";
import { externalName, inboxOf, parseName, useridOf } from "../../model/names.ts";
import { type Outcome, ok, type RefusalReason, refused } from "../../model/outcome.ts";
import { ALL_HELD } from "../place.ts";
import { type Current, currentOf } from "./current.ts";
import type { CyrusSource, Flaws } from "./cyrus_source.ts";
import { lockFiles, sieveFolder, type UserPlace } from "./layout/server_paths.ts";
import {
  directoryOf,
  type ListedMailbox,
  type MailboxDirectory,
  pathsOf,
} from "./listed_mailboxes.ts";
import type { ImapdConf } from "./server/imapd_conf.ts";
import { readMailboxList } from "./server/mailbox_list.ts";
import { readQuotaLimits } from "./server/quota_roots.ts";
import {
  ownedBy,
  readServerAnnotations,
  type ServerAnnotations,
} from "./server/server_annotations.ts";
import { readScriptFolder, readScriptMailbox } from "./server/sieve_scripts.ts";
import {
  flawedOf,
  type OwnerModseqs,
  readOwnerModseqs,
  readSeen,
  readSubscriptions,
} from "./server/user_files.ts";

export interface ServerOptions {
  /** Mailboxes are read under Cyrus' own shared locks; without them, until two looks agree. */
  readonly lock?: boolean | undefined;
}

/** The server with this configuration. */
export function serverSource(conf: ImapdConf, { lock = false }: ServerOptions = {}): CyrusSource {
  const server = openServer(conf);
  return {
    locator: `cyrus:${conf.path}`,
    holds: ALL_HELD,
    directory: server.directory,
    ...(lock && {
      locksOf: ({ name, place }: ListedMailbox) =>
        place && lockFiles(place, useridOf(name) ?? "", conf),
    }),
    defaultDomain: conf.virtdomains ? conf.defaultdomain : undefined,
    facts: (mailbox) => factsOf(server, mailbox),
    meta: (userid) => metaOf(server, userid),
    annotations: (name) => annotationsOf(server, name),
    quota: (root) => readQuotaLimits(root, conf),
    sieveScript: async (userid, filename) => {
      const scripts = await scriptsOf(server, userid);
      if (scripts.kind === "refused") return scripts;
      for (const { name, content, bytecode } of scripts.value) {
        if (filename === `${name}.script`) return ok(content);
        if (filename === `${name}.bc` && bytecode !== undefined) return ok(bytecode.content);
      }
      return refused("nonexistent", `There is no sieve script ${filename} of ${userid}`);
    },
  };
}

interface Server {
  readonly conf: ImapdConf;
  readonly directory: Current<MailboxDirectory>;
  readonly annotations: Current<Outcome<ServerAnnotations>>;
  modseqs(userid: string | undefined): Promise<Outcome<OwnerModseqs>>;
}

function openServer(conf: ImapdConf): Server {
  const directory = currentFile(conf.mailboxesDb.path, async () => {
    const list = await readMailboxList(conf);
    if (list.kind === "ok") return directoryOf(list.value.mailboxes, list.value);
    throw new AppError(LIST_ERRORS[list.reason] ?? "io", list.text, {
      context: { path: conf.mailboxesDb.path },
      hint:
        list.reason === "permissionDenied"
          ? PERMISSION_HINT
          : "Without its list of mailboxes nothing of a server can be read; bobbin fsck says more",
    });
  });
  return {
    conf,
    directory,
    annotations: currentFile(conf.annotationsDb.path, () => readServerAnnotations(conf)),
    modseqs: modseqReader(conf, directory),
  };
}

const LIST_ERRORS: Readonly<Partial<Record<RefusalReason, ErrorCode>>> = {
  nonexistent: "not_found",
  damaged: "bad_data",
  notSupported: "config",
  busy: "busy",
  permissionDenied: "refused",
};

/** Keeps what was read from one file until the file changes. */
function currentFile<Value>(path: string, read: () => Promise<Value>): Current<Value> {
  const current = currentOf(
    async () => {
      const file = watched(path);
      return { file, value: await read() };
    },
    { isStill: ({ file }) => isStill(file) },
  );
  return {
    get: async () => (await current.get()).value,
    fresh: async () => (await current.fresh()).value,
  };
}

/**
 * Keeps the modseqs of the owner who was asked for last: mailboxes are mostly read owner by owner.
 */
function modseqReader(conf: ImapdConf, directory: Current<MailboxDirectory>): Server["modseqs"] {
  let last:
    | {
        readonly userid: string | undefined;
        readonly current: Current<Outcome<OwnerModseqs>>;
      }
    | undefined;
  const currentOwner = (userid: string | undefined) =>
    currentOf(
      async () => {
        const user =
          userid === undefined ? undefined : await userPlace({ conf, directory }, userid);
        return readOwnerModseqs(user, conf);
      },
      { isStill: (outcome) => outcome.kind === "ok" && outcome.value.files.every(isStill) },
    );
  return (userid) => {
    if (last === undefined || last.userid !== userid)
      last = { userid, current: currentOwner(userid) };
    return last.current.get();
  };
}

async function userPlace(
  { conf, directory }: Pick<Server, "conf" | "directory">,
  userid: string,
): Promise<UserPlace> {
  const list = await directory.get();
  const inbox = list.named(inboxOf(userid, { virtualDomains: conf.virtdomains }));
  return { userid, inbox: inbox?.place };
}

/** What the databases of the server say of a mailbox, in addition to mailboxes.db. */
async function factsOf(server: Server, mailbox: ListedMailbox): Promise<Outcome<ListedFacts>> {
  const { name, facts } = mailbox;
  const { uniqueid = "" } = facts;
  const annotations = await server.annotations.get();
  if (annotations.kind === "refused" && annotations.reason === "busy") return annotations;
  const modseqs = await server.modseqs(useridOf(name));
  if (modseqs.kind === "refused") return modseqs;
  const { raclmodseq, conversations } = modseqs.value;
  const flawed: FlawedSetting[] = [...modseqs.value.flawed];
  if (annotations.kind === "refused") flawed.push({ setting: "annotations", refusal: annotations });
  // A deleted mailbox belongs to no conversation any more, though the database still lists it.
  const { isDeleted } = parseName(name);
  const xconvmodseq = isDeleted
    ? undefined
    : (conversations.get(uniqueid) ?? conversations.get(name));
  return ok({
    ...facts,
    annotations: annotations.kind === "ok" ? mailboxAnnotations(annotations.value, mailbox) : [],
    ...(flawed.length > 0 && { flawed }),
    ...(raclmodseq !== undefined && raclmodseq !== 0n && { raclmodseq }),
    ...(xconvmodseq !== undefined && { xconvmodseq }),
  });
}

function mailboxAnnotations(all: ServerAnnotations, { name, facts }: ListedMailbox) {
  const own = all.get(facts.uniqueid ?? "") ?? all.get(name) ?? [];
  return ownedBy(useridOf(name) ?? "", own);
}

async function annotationsOf(server: Server, name: string) {
  const annotations = await server.annotations.get();
  if (annotations.kind === "refused") return annotations;
  if (name === "") return ok(annotations.value.get("") ?? []);
  const mailbox = (await server.directory.get()).named(name);
  if (mailbox === undefined) return refused("nonexistent", `There is no ${externalName(name)}`);
  return ok(mailboxAnnotations(annotations.value, mailbox));
}

async function metaOf(server: Server, userid: string): Promise<Outcome<UserMeta & Flaws>> {
  const user = await userPlace(server, userid);
  const seen = await readSeen(user, server.conf);
  const subscriptions = await readSubscriptions(user, server.conf);
  const scripts = await scriptsOf(server, userid);
  const flawed = flawedOf({ "seen state": seen, subscriptions, scripts });
  if (flawed.kind === "refused") return flawed;
  return ok({
    seen: seen.kind === "ok" ? seen.value : [],
    subscriptions: subscriptions.kind === "ok" ? subscriptions.value : [],
    sieve: scripts.kind === "ok" ? sieveFilesOf(scripts.value) : [],
    ...(flawed.value.length > 0 && { flawed: flawed.value }),
  });
}

/** A user's scripts: from the mailbox `#sieve` if there is one, else from the sieve folder. */
async function scriptsOf(server: Server, userid: string): Promise<Outcome<readonly SieveScript[]>> {
  const { conf } = server;
  const inbox = inboxOf(userid, { virtualDomains: conf.virtdomains });
  const mailbox = (await server.directory.get()).named(`${inbox}.#sieve`);
  const paths = mailbox && pathsOf(mailbox);
  if (paths !== undefined) return readScriptMailbox({ name: `${inbox}.#sieve`, paths });
  const folder = sieveFolder(await userPlace(server, userid), conf);
  return folder === undefined ? ok([]) : readScriptFolder(folder);
}
