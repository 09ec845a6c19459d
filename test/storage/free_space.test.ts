import { describe, expect, test } from "bun:test";
import { roomIn, roomOf } from "../../src/storage/free_space.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("roomIn()", () => {
  test("asks the disk now and then, and always before it refuses", () => {
    let [looks, nowMs, free] = [0, 0, 1000];
    const look = () => {
      looks++;
      return { bytes: free, files: 5000 };
    };
    const hasRoom = roomIn(look, { reserveBytes: 100, now: () => nowMs });
    expect([hasRoom(300), hasRoom(300), looks]).toEqual([true, true, 1]);
    free = 400; // what was granted has been written
    expect([hasRoom(301), looks]).toEqual([false, 2]);
    expect([hasRoom(300), looks]).toEqual([true, 2]);
    free = 1000;
    expect([hasRoom(1), looks]).toEqual([true, 3]);
    free = 50; // somebody else has filled the disk
    nowMs += 49;
    expect([hasRoom(1), looks]).toEqual([true, 3]);
    nowMs += 1;
    expect([hasRoom(1), looks]).toEqual([false, 4]);
  });

  test("refuses where the file system can make no more files", () => {
    const hasRoom = roomIn(() => ({ bytes: 1e9, files: 1001 }), { reserveBytes: 0, now: () => 0 });
    expect([hasRoom(1), hasRoom(1), hasRoom(1)]).toEqual([true, true, false]);
  });

  test("knows the file system of a folder", () => {
    const folder = tempDir("room");
    expect([roomOf(folder, 0)(1), roomOf(folder, 2 ** 53)(1)]).toEqual([true, false]);
  });
});
