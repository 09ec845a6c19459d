/**
 * The form of mailbox names inside mailboxes.db and subscriptions since Cyrus 3.6 (spool-format
 * 7.1): 0x1F between levels, 0x1D behind the domain, and dots that are just dots. Everywhere else
 * Cyrus uses internal names: `domain!user.fred.A^b`, where `^` stands for a dot inside a level.
 * Both are strings of one character a byte.
 */

/** `user\x1Ffred\x1FA.b` becomes `user.fred.A^b`. */
export function internalOfDbName(dbName: string): string {
  if (!dbName.includes(".") && !dbName.includes("\x1d")) return dbName.replaceAll("\x1f", ".");
  const domainEnd = dbName.indexOf("\x1d");
  const local = dbName
    .slice(domainEnd + 1)
    .replaceAll(".", "^")
    .replaceAll("\x1f", ".");
  return domainEnd === -1 ? local : `${dbName.slice(0, domainEnd)}!${local}`;
}

/** `user.fred.A^b` becomes `user\x1Ffred\x1FA.b`. */
export function dbNameOfInternal(name: string): string {
  const domainEnd = name.indexOf("!");
  const local = name
    .slice(domainEnd + 1)
    .replaceAll(".", "\x1f")
    .replaceAll("^", ".");
  return domainEnd === -1 ? local : `${name.slice(0, domainEnd)}\x1d${local}`;
}
