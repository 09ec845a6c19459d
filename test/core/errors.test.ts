/** What is an error of the machine, and what is a bug. */
import { describe, expect, test } from "bun:test";
import { AppError, PERMISSION_HINT, systemError } from "../../src/core/errors.ts";
import { diskError } from "../../src/storage/disk.ts";

describe("AppError", () => {
  test("is refused where a right was missing, whoever throws it, and has the hint of that", () => {
    for (const errno of ["EACCES", "EPERM"]) {
      const cause = Object.assign(new Error(errno), { code: errno });
      for (const error of [
        new AppError("io", "Cannot open x", { cause }),
        new AppError("config", "Cannot read x", { context: { errno } }),
        diskError(cause, "look", "x"),
      ])
        expect(error).toMatchObject({ code: "refused", hint: PERMISSION_HINT });
      expect(new AppError("cannot_create", "Cannot make x", { cause }).code).toBe("cannot_create");
    }
    expect(new AppError("io", "Cannot open x", { context: { errno: "EIO" } }).code).toBe("io");
  });
});

describe("systemError()", () => {
  test("makes an AppError of what the system or SQLite refuses, and of no bug", () => {
    const failed = (code: string) =>
      Object.assign(new Error(code), { code, syscall: "open", path: "/spool/x" });
    expect(systemError(failed("EMFILE"))).toMatchObject({
      ...{ code: "io", context: { path: "/spool/x" } },
      message: "Cannot open /spool/x: EMFILE (too many files are open in this process)",
    });
    expect(systemError(failed("EACCES"))?.code).toBe("refused");
    expect(systemError(failed("SQLITE_IOERR_READ"))?.code).toBe("io");
    for (const bug of ["ERR_INVALID_ARG_TYPE", "SQLITE_MISUSE", "SQLITE_ERROR"]) {
      expect(systemError(failed(bug))).toBeUndefined();
    }
    expect(systemError(new TypeError("x is not a function"))).toBeUndefined();
    const known = new AppError("busy", "wait");
    expect(systemError(known)).toBe(known);
  });
});
