/**
 * Reads the entries of a server's database for a place, either all or none: entries that are
 * missing from a damaged file would look as if they had been deleted. (fsck reads the same files,
 * and tells what can still be read.)
 */
import { FormatError } from "../../../core/errors.ts";
import type { DatabaseEntry } from "../../../formats/cyrus/databases/database_contents.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { accessRefusal } from "../refused_access.ts";
import type { DatabaseReading } from "./database_file.ts";

/** The entries of a database. There are none where there is no such file. */
export function entriesOf(reading: DatabaseReading): Outcome<readonly DatabaseEntry[]> {
  const { path } = reading;
  switch (reading.state) {
    case "missing":
      return ok([]);
    case "unreadable":
      return accessRefusal("the server", { path, errno: reading.errno });
    case "not_regular":
      return refused("damaged", `Cannot read ${path}: it is not a regular file`);
    case "too_large":
      return refused("notSupported", `Cannot read ${path}: it has ${reading.size} bytes`);
    case "read":
      break;
  }
  const { database, stable } = reading;
  if (database.kind === "unsupported") {
    return refused("notSupported", `Cannot read ${path}: a ${database.format} database`);
  }
  const [problem] = database.problems;
  if (problem === undefined) return ok(database.entries);
  const { what, expected, found, offset } = problem;
  const text = `Cannot read ${path}: ${what} at byte ${offset} is ${found}, not ${expected}`;
  return refused(stable ? "damaged" : "busy", text);
}

/** What `parse` returns. Refused as `damaged` where it throws a FormatError. */
export function parsed<Value>(path: string, parse: () => Value): Outcome<Value> {
  try {
    return ok(parse());
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refused("damaged", `Cannot read ${path}: ${error.message}`);
  }
}
