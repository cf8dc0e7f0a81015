/** `npm run sim` and `sim:crashes` as programs: what they print, what they exit with. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { ROOT } from "../support/repo.ts"

/** For machines that others share. */
const SLOW = { timeout: 120_000 }

const ran = async (program: string, args: ReadonlyArray<string>) => {
  const command = ["--conditions=quorate-source", program, ...args]
  const run = promisify(execFile)(process.execPath, command, { cwd: ROOT })
  return run.then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed
  )
}
const sim = (...args: ReadonlyArray<string>) => ran("tools/sim.ts", args)
const crashes = (...args: ReadonlyArray<string>) => ran("tools/crashes.ts", args)
const json = async (...args: ReadonlyArray<string>) => {
  const { stdout } = await sim("--json", ...args)
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const { seconds: _, stepsPerSec: __, ...same } = JSON.parse(line)
      return same
    })
}

describe("npm run sim", () => {
  it("gives the same in threads as alone, line by line", SLOW, async () => {
    const args = ["--protocol", "all", "--runs", "5", "--faults", "all"]
    const alone = await json(...args)
    expect(alone.map(({ protocol }) => protocol)).toEqual([
      "reliable-broadcast",
      "counter",
      "sum",
      "meet",
      "paxos"
    ])
    for (const { runs, failures, decided, steps, virtualSeconds, traffic } of alone) {
      expect([runs, failures]).toEqual([5, 0])
      expect(Math.min(decided, steps, virtualSeconds)).toBeGreaterThan(10)
      expect(traffic.word.messages).toBeGreaterThan(400)
      expect(traffic.word.bytes).toBeGreaterThan(10 * traffic.word.messages)
    }
    expect(await json(...args, "--workers", "2")).toEqual(alone)
  })

  it("runs over both networks, one after the other", SLOW, async () => {
    const args = ["--protocol", "counter", "--runs", "2", "--network", "both", "--faults", "all"]
    const lines = await json(...args)
    expect(lines.map(({ network, failures }) => [network, failures])).toEqual([
      ["envelopes", 0],
      ["links", 0]
    ])
    expect(lines[0].logHash).not.toBe(lines[1].logHash)
    expect(await json(...args, "--workers", "2")).toEqual(lines)
  })

  it("says what a wrong option is, and exits with 2", SLOW, async () => {
    const { code, stderr } = await sim("--protocol", "paxos", "--workers", "many")
    expect([code, stderr]).toEqual([2, expect.stringContaining("--workers many")])
    expect((await sim("--protocol", "raft")).code).toBe(2)
    expect((await sim("--protocol", "sum", "--network", "post")).code).toBe(2)
  })
})

describe("npm run sim:crashes", () => {
  it("tries every K-th crash point, from the I-th on", SLOW, async () => {
    const { code, stdout } = await crashes("--scenario", "sum", "--every", "100", "--first", "150")
    const [, tried, all] = stdout.match(/^sum: (\d+) of (\d+) crash points, .*\n0 failures\n$/)!
    expect([code, Number(tried)]).toEqual([0, Math.ceil((Number(all) - 150) / 100)])
    expect(Number(tried)).toBeGreaterThan(0)
  })

  it.each([
    [["--scenario", "raft"], "--scenario raft is none of reliable-broadcast, counter, "],
    [["--seed", "x"], "--seed x is no whole number from 0 "],
    [["--every", "0"], "--every 0 is no whole number from 1 "],
    [["--bogus"], "Unknown option '--bogus'"],
    [["--scenario", "sum", "--first", "99999"], "--first 99999 is behind the last crash point"]
  ])("never passes for having tried nothing: %j", SLOW, async (args, what) => {
    const { code, stderr } = await crashes(...args)
    expect([code, stderr.slice(0, 13 + what.length)]).toEqual([2, `sim:crashes: ${what}`])
    expect(stderr.trimEnd().split("\n")).toHaveLength(1)
  })
})
