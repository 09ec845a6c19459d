/** Which exit code a run over many users comes to: the first of 70, 74, 77, 2, 1, 0. */
import { describe, expect, test } from "bun:test";
import { exitFor } from "../../src/cli/commands/replicate_run.ts";
import { refusalError } from "../../src/cli/refusal_error.ts";
import { AppError, type ErrorCode } from "../../src/core/errors.ts";
import { accessRefusal } from "../../src/places/cyrus/refused_access.ts";

const NONE = {
  ...{ steps: 0, differences: 0, messages: 0, bytes: 0, failures: 0, bugs: 0 },
  ...{ leftUsers: 0, braked: 0, left: 0 },
};

describe("exitFor()", () => {
  test("gives the worst of what was told of many users, and one user's own code", () => {
    const error = (code: ErrorCode): AppError => new AppError(code, "no");
    const eio = accessRefusal("user.ann", { path: "cyrus.index", errno: "EIO" });
    const table = [
      [{ users: 9 }, [], [], 0],
      [{ users: 9, differences: 1 }, [], [], 1],
      [{ users: 9, differences: 1, failures: 1 }, [], ["bad_data"], 2],
      [{ users: 9, failures: 2 }, [], ["bad_data", refusalError(eio).code], 74],
      [{ users: 9 }, [error("io"), error("refused")], [], 74],
      [{ users: 9 }, [error("busy"), error("refused")], [], 2],
      [{ users: 9, bugs: 1 }, [error("io")], [], 70],
      [{ users: 1 }, [error("busy")], [], 75],
      [{ users: 9, braked: 1, differences: 1 }, [error("refused")], [], 77],
      [{ users: 9, braked: 1 }, [error("refused"), error("busy")], ["bad_data"], 77],
      [{ users: 9, braked: 1 }, [error("refused"), error("io")], [], 74],
    ] as const;
    for (const [totals, refusals, failed, exit] of table) {
      const all = { ...NONE, failedUsers: refusals.length, ...totals };
      const ended = { refusals, failed: new Set(failed), isCut: false, isCheck: false };
      expect([totals, exitFor(all, ended)]).toEqual([totals, exit]);
    }
  });
});
