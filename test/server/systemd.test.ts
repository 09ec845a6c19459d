import { describe, expect, test } from "bun:test";
import { inheritedSockets, notifyManager } from "../../src/server/systemd.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("systemd", () => {
  test("inheritedSockets() takes those that are meant for this process", () => {
    const env = { LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "csync:tls" };
    expect(inheritedSockets(env, 7)).toEqual([
      { fd: 3, name: "csync" },
      { fd: 4, name: "tls" },
    ]);
    expect(inheritedSockets(env, 8)).toEqual([]);
    expect(inheritedSockets({ LISTEN_PID: "7", LISTEN_FDS: "x" }, 7)).toEqual([]);
    expect(inheritedSockets({ LISTEN_PID: "7", LISTEN_FDS: "1" }, 7)).toEqual([
      { fd: 3, name: "unknown" },
    ]);
  });

  test("notifyManager() says nothing where nobody listens", () => {
    expect(notifyManager({}, "READY=1")).toBe(false);
    expect(notifyManager({ NOTIFY_SOCKET: "relative" }, "READY=1")).toBe(false);
    expect(notifyManager({ NOTIFY_SOCKET: `/${"x".repeat(200)}` }, "READY=1")).toBe(false);
    expect(notifyManager({ NOTIFY_SOCKET: `${tempDir("notify")}/none` }, "READY=1")).toBe(false);
  });
});
