/** Backups as places that are written like any other. */
import { openBackupRoot } from "../../../../src/places/backup/write/backup_root.ts";
import { WRITING } from "../../../support/backup.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { conforms } from "../../conformance.ts";

let root = "";
const open = async () => openBackupRoot(root, WRITING);

conforms("a folder of backups", {
  open: () => {
    root = tempDir("backups");
    return open();
  },
  reopen: open,
  refusesNames: true,
  isApart: true,
});
