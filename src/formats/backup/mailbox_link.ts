/**
 * The names of mailboxes in a backup: as a user of a Cyrus with dots between the parts and without
 * altnamespace sees them, `INBOX.Sub` and `DELETED.user.fred.Sub.5F3A2B1C` (backup-format.md 2).
 */
import { inboxOf, isBelow, type Owner, parseName } from "../../model/names.ts";

/** The name under which a mailbox of `owner` stands in the owner's backup. */
export function linkOf(internal: string, owner: Owner): string {
  const { domain, isDeleted } = parseName(internal);
  const plain = domain === undefined ? internal : internal.slice(domain.length + 1);
  if (owner.kind === "shared" || isDeleted) return plain;
  const [user = "", name = ""] = plain.split(".", 2);
  return `INBOX${plain.slice(`${user}.${name}`.length)}`;
}

/**
 * The internal name of a mailbox in the backup of `owner`. A server with other settings gave other
 * names (`Work/Sub`): they are taken for what they would be there.
 */
export function internalOfLink(link: string, owner: Owner): string {
  const inbox = owner.kind === "user" ? inboxOf(owner.userid, { virtualDomains: true }) : undefined;
  const { domain } = parseName(inbox ?? (owner.kind === "shared" ? owner.toplevel : ""));
  if (link.startsWith("DELETED.") || inbox === undefined) return withDomain(link, domain);
  if (/^INBOX$/i.test(link)) return inbox;
  if (isBelow(link, "INBOX")) return `${inbox}${link.slice("INBOX".length)}`;
  if (/^user\./.test(link)) return withDomain(link, domain);
  return `${inbox}.${link.replace(/[./]/g, (char) => (char === "/" ? "." : "^"))}`;
}

function withDomain(name: string, domain: string | undefined): string {
  return domain === undefined ? name : `${domain}!${name}`;
}
