/** What is an error of the machine, and what is a bug. */
import { describe, expect, test } from "bun:test";
import { AppError, systemError } from "../../src/core/errors.ts";

describe("systemError()", () => {
  test("makes an AppError of what the system or SQLite refuses, and of no bug", () => {
    const failed = (code: string) =>
      Object.assign(new Error(code), { code, syscall: "open", path: "/spool/x" });
    expect(systemError(failed("EMFILE"))).toMatchObject({
      ...{ code: "io", message: "Cannot open /spool/x: EMFILE", context: { path: "/spool/x" } },
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
