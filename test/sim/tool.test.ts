/** `npm run sim` as a program: what it prints, what it exits with. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { ROOT } from "../support/repo.ts"

/** For machines that others share. */
const SLOW = { timeout: 120_000 }

const sim = async (...args: ReadonlyArray<string>) => {
  const command = ["--conditions=quorate-source", "tools/sim.ts", ...args]
  const run = promisify(execFile)(process.execPath, command, { cwd: ROOT })
  return run.then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed
  )
}
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

  it("says what a wrong option is, and exits with 2", SLOW, async () => {
    const { code, stderr } = await sim("--protocol", "paxos", "--workers", "many")
    expect([code, stderr]).toEqual([2, expect.stringContaining("--workers many")])
    expect((await sim("--protocol", "raft")).code).toBe(2)
  })
})
