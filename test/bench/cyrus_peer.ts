/**
 * The real Cyrus beside a spool made up here: an imapd.conf of its own and a mailboxes.db, so that
 * `reconstruct` of an installed Cyrus can be run on it. Cyrus 3.6 refuses to run as root, so root
 * becomes `cyrus`, whose the spool must be.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../src/core/bytes.ts";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import { type MailboxIdentity, OWNER_RIGHTS } from "../support/spool/write_mailbox.ts";

const TOOL_FOLDERS = ["/usr/lib/cyrus/bin", "/usr/cyrus/bin", "/usr/libexec/cyrus-imapd"];

/** Writes what Cyrus needs to know about the spool at `partition` into `folder`. */
export function writeCyrusConfig(
  folder: string,
  partition: string,
  mailboxes: readonly MailboxIdentity[],
): void {
  for (const name of ["conf/db", "conf/user", "lock", "proc"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  const settings = [
    "servername: bench",
    `configdirectory: ${folder}/conf`,
    "defaultpartition: default",
    `partition-default: ${partition}`,
    `mboxname_lockpath: ${folder}/lock`,
    `proc_path: ${folder}/proc`,
    "unixhierarchysep: yes",
    "virtdomains: off",
    "conversations: no",
  ];
  writeFileSync(join(folder, "imapd.conf"), `${settings.join("\n")}\n`);
  writeFileSync(
    join(folder, "conf/mailboxes.db"),
    writeTwoskip(mailboxes.flatMap(databaseEntries)),
  );
  if (process.getuid?.() === 0) Bun.spawnSync(["chown", "-R", "cyrus:mail", folder, partition]);
}

/** The N and the I record of a mailbox (spool-format 7.1). */
function databaseEntries(mailbox: MailboxIdentity) {
  const { user, uniqueid, uidvalidity } = mailbox;
  const name = mailbox.name.replaceAll(".", "\x1f");
  const rest =
    `T e V ${uidvalidity} P default A %(${user} ${OWNER_RIGHTS}) C 1 F 1 M ` + `${uidvalidity}`;
  return [
    { key: utf8(`N${name}`), value: utf8(`%(I ${uniqueid} ${rest})`) },
    { key: utf8(`I${uniqueid}`), value: utf8(`%(N ${name} ${rest})`) },
  ];
}

/**
 * The command that runs `reconstruct -n -G` over all mailboxes of `folder`, or why there is none.
 * Dates are taken as UTC, as the spool has them.
 */
export function reconstructCommand(folder: string): readonly string[] | string {
  const tool = TOOL_FOLDERS.map((at) => join(at, "reconstruct")).find((path) => existsSync(path));
  if (tool === undefined) return "no Cyrus is installed";
  const isRoot = process.getuid?.() === 0;
  const become = ["setpriv", "--reuid=cyrus", "--regid=mail", "--init-groups"];
  const conf = join(folder, "imapd.conf");
  const readable = Bun.spawnSync([...(isRoot ? become : []), "test", "-r", conf]);
  if (!readable.success) return `the user cyrus cannot read ${conf}: use another --dir`;
  return [
    ...(isRoot ? become : []),
    ...["env", "HOME=/", "TZ=UTC", "LC_ALL=C"],
    ...[tool, "-C", conf, "-n", "-G"],
  ];
}
