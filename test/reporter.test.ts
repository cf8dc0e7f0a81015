import { assert, describe, it } from "vitest"
import { Reporter } from "../src/runtime/internal/reporter.ts"

const ABOUT = { reason: "test" }

const reporter = () => {
  const clock = { ms: 1_000_000 }
  const lines: Array<string> = []
  return {
    clock,
    lines,
    it: new Reporter(
      (line) => lines.push(line),
      () => clock.ms
    )
  }
}

describe("lines for the operator", () => {
  it("come once for one cause, then once a minute with a count", () => {
    const { clock, lines, it } = reporter()
    for (let half = 0; half < 240; half++) {
      it.say(`link refused 127.0.0.1:${50_000 + half}: wrong_group: why`, ABOUT, "wrong_group: why")
      clock.ms += 500
    }
    assert.deepEqual(lines, [
      "link refused 127.0.0.1:50000: wrong_group: why",
      "link refused 127.0.0.1:50120: wrong_group: why (119 times more in the last 60 s)"
    ])
    it.say("another cause", ABOUT)
    assert.strictEqual(lines.at(-1), "another cause")
  })

  it("of different causes are at most 10 in 10 s, and the rest is counted", () => {
    const { clock, lines, it } = reporter()
    for (let i = 0; i < 100; i++) it.say(`cause ${i}`, ABOUT)
    assert.lengthOf(lines, 10)
    clock.ms += 10_000
    it.say("last", ABOUT)
    assert.deepEqual(lines.slice(10), ["last (90 more lines were not printed)"])
  })

  it("are one line each, whatever a peer put into them", () => {
    const { lines, it } = reporter()
    it.say("a\nnode 1: b\u2028c", ABOUT)
    assert.deepEqual(lines, ["a node 1: b c"])
  })
})
