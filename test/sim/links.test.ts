/**
 * The simulator over the links of production: all faults, and bugs planted in links, each of which
 * must be found. `npm run sim -- --network links` has the long runs.
 */
import { afterEach, describe, expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import { recordMarks } from "../../src/base/mark.ts"
import { Channel } from "../../src/link/channel.ts"
import { decodeFrame } from "../../src/link/frame.ts"
import { LinkCore } from "../../src/link/linkCore.ts"
import { Outbox } from "../../src/link/outbox.ts"
import { Pulse } from "../../src/link/pulse.ts"
import type { Cipher } from "../../src/link/ports.ts"
import { StreamLink } from "../../src/link/streamLink.ts"
import { choicesOf, type SimulateOptions, shrink, simulate } from "../../src/testing/index.ts"
import { SimCrypto } from "../../src/testing/simCrypto.ts"
import { PROTOCOLS } from "../../tools/protocols.ts"
import { firstFailure } from "./support.ts"

/** For machines that others share. */
const SLOW = { timeout: 240_000 }
const TIMES = Number(process.env.SEEDS_TIMES ?? 1)

const runsOf = (name: string): Omit<SimulateOptions, "seed"> => {
  const { spec, model, nodes, calls, leader, promises } = PROTOCOLS[name]!
  const byzantine = model === "byzantine" ? Math.floor((nodes - 1) / 3) : 0
  const faults = { byzantine, faults: "all", crash: true, network: "links" } as const
  return { spec, model, nodes, leader, choices: choicesOf(spec, calls), promises, ...faults }
}
const RB = runsOf("reliable-broadcast")
const CALM = { ...RB, byzantine: 0, faults: "none", crash: false } as const

describe("over links", () => {
  it.each(["reliable-broadcast", "counter", "paxos"])("%s keeps its promises", SLOW, (name) => {
    const failed = firstFailure(runsOf(name), 6 * TIMES)
    expect(failed?.failure, `seed ${failed?.seed}`).toBeUndefined()
  })

  it("a run is a function of its seed (P13)", SLOW, () => {
    for (const seed of [1, 2, 3]) {
      const [one, two] = [1, 2].map(() => simulate({ ...RB, seed }))
      expect([two!.hash, two!.steps]).toEqual([one!.hash, one!.steps])
      expect(simulate({ ...RB, seed, network: "envelopes" }).hash).not.toBe(one!.hash)
    }
  })

  it("links are cut short, meddled with, go silent, wear out, and wait for credit", SLOW, () => {
    const marks = recordMarks(() => {
      for (let seed = 1; seed <= 12; seed++) simulate({ ...RB, seed })
    })
    const hit = ["link: forged", "link: gap", "link: silent", "links: handed over"]
    expect(hit.filter((name) => !marks.has(name))).toEqual([])
  })

  it("links that wear out all the time lose nobody for long", SLOW, () => {
    for (let seed = 1; seed <= 3; seed++) {
      const run = simulate({ ...CALM, seed, limits: { linkAgeMsMax: 300 } })
      expect([run.failure, run.breaks > 0]).toEqual([undefined, true])
    }
    const { linkAgeMsMax, streamBytesMax } = LIMITS
    const run = simulate({ ...CALM, seed: 1, limits: { linkAgeMsMax, streamBytesMax } })
    expect(run.breaks, "none wears out").toBe(0)
  })
})

/** How long answers take, in virtual milliseconds. */
const waits = (options: Partial<SimulateOptions>): { mean: number; max: number } => {
  const { linkAgeMsMax, streamBytesMax } = LIMITS
  const limits = { linkAgeMsMax, streamBytesMax }
  const all = [1, 2, 3].flatMap((seed) => {
    const run = simulate({ ...CALM, limits, seed, ...options })
    expect(run.failure).toBeUndefined()
    return run.checkers.calls.map(({ calledMs, endedMs }) => endedMs - calledMs)
  })
  return { mean: all.reduce((sum, ms) => sum + ms, 0) / all.length, max: Math.max(...all) }
}

describe("without faults", () => {
  it("calls take as long as over messages alone", SLOW, () => {
    const [links, envelopes] = [waits({}), waits({ network: "envelopes", limits: {} })]
    expect(links.mean).toBeLessThan(1.5 * envelopes.mean)
    expect(links.max).toBeLessThan(3 * envelopes.max)
  })

  it("a group that floods the same links and works nothing off delays no other (P14)", SLOW, () => {
    const release = Channel.prototype.release
    Channel.prototype.release = function () {
      if (this.port.hello().group !== "noise") release.call(this)
    }
    try {
      const quiet = { strength: "plaintext", bytesPerMs: 100_000, noise: false } as const
      const [alone, beside] = [quiet, { ...quiet, noise: true }].map((links) => waits({ links }))
      expect(beside!.mean).toBeLessThan(1.5 * alone!.mean)
    } finally {
      Channel.prototype.release = release
    }
  })
})

describe("bugs planted in links", () => {
  let undo: Array<() => void> = []
  afterEach(() => {
    for (const restore of undo.splice(0)) restore()
  })

  /** Puts another method in the place of one, until the test ends. */
  const plant = <T extends object>(of: T, name: string, make: (old: any) => unknown): void => {
    const whole = of as any
    const old = whole[name]
    whole[name] = make(old)
    undo = [...undo, () => void (whole[name] = old)]
  }
  /** @param first near one that finds it, to save time */
  const found = (seeds: number, options: Partial<SimulateOptions> = {}, first = 1): string =>
    firstFailure({ ...RB, ...options }, seeds, first)?.failure ?? "nothing was found"

  it("credit that the sender does not look at", SLOW, () => {
    plant(Outbox.prototype, "fits", () => () => true)
    const links = { strength: "plaintext", noise: true } as const
    expect(found(60, { links })).toMatch(/credit: \d+ bytes on channel/)
  })

  it("credit that is never given back", SLOW, () => {
    plant(Channel.prototype, "release", () => () => {})
    const sizes = { bodyBytesMax: 100, fragmentBytes: 64, batchBytesTarget: 200 }
    const limits = { ...sizes, creditBytes: 1600 }
    expect(found(60, { limits })).toMatch(/no answer|said|have no/)
  })

  it("frames behind a gap, and frames twice", SLOW, () => {
    plant(
      LinkCore.prototype,
      "take",
      (old) =>
        function (this: any, packet: any) {
          const frame = decodeFrame(packet.frame)
          if (frame !== undefined && this.session?.strength === "plaintext")
            this.received = frame.sequence - 1
          return old.call(this, packet)
        }
    )
    expect(found(100, { links: { strength: "plaintext", noise: true } })).toMatch(/FIFO/)
  })

  it("fragments of which one is dropped", SLOW, () => {
    plant(
      Channel.prototype,
      "onFragment",
      (old) =>
        function (this: any, bytes: Uint8Array, left: number, size: number) {
          return left % 7 === 3 ? undefined : old.call(this, bytes, left, size)
        }
    )
    expect(found(100, { limits: { fragmentBytes: 24 } })).toMatch(
      /a fragment that leaves|of no envelope|FIFO/
    )
  })

  it("silence that nobody notices", SLOW, () => {
    plant(Pulse.prototype, "tick", () => () => "alive")
    expect(found(100)).toMatch(/no link for|no answer|nobody has had/)
  })

  it("a process that stood still and looks at its clock alone", SLOW, () => {
    plant(
      Pulse.prototype,
      "tick",
      (old) =>
        function (this: any, nowMs: number) {
          this.overdue = true
          return old.call(this, nowMs)
        }
    )
    expect(found(100)).toMatch(/taken for dead while what came waits/)
  })

  it("tags that nobody checks", SLOW, () => {
    const unchecked = (cipher: Cipher): Cipher => ({
      tag: (nonce, bytes) => cipher.tag(nonce, bytes),
      tagFits: () => true,
      encrypt: (nonce, bytes) => cipher.encrypt(nonce, bytes),
      decrypt: (nonce, { frame }) => cipher.decrypt(nonce, { frame, tag: cipher.tag(nonce, frame) })
    })
    plant(
      SimCrypto.prototype,
      "cipher",
      (old) =>
        function (this: any, key: Uint8Array) {
          return unchecked(old.call(this, key))
        }
    )
    const links = { strength: "authenticated", noise: true } as const
    expect(found(150, { links }, 30)).toMatch(/FIFO|sent what no/)
  })

  it("old links that live on beside the new one", SLOW, () => {
    plant(
      Channel.prototype,
      "close",
      (old) =>
        function (this: any, goodbye: any) {
          if (goodbye.code !== "replaced") old.call(this, goodbye)
        }
    )
    expect(found(100, { limits: { linkAgeMsMax: 500 } })).toMatch(/old links of|P6/)
  })

  it("links that nobody uses and nobody ends", SLOW, () => {
    plant(StreamLink.prototype, "close", () => () => {})
    expect(found(100, { limits: { linkAgeMsMax: 500 } })).toMatch(/nobody has had a channel/)
  })

  it("acknowledgements that are never given", SLOW, () => {
    plant(LinkCore.prototype, "onAcknowledged", () => () => {})
    const limits = { bodyBytesMax: 1024, batchBytesMax: 2100, batchBytesTarget: 1024 }
    const more = { fragmentBytes: 64, creditBytes: 4352, cursorBytesMax: 1024, linkBytes: 9728 }
    const links = { strength: "plaintext", noise: true } as const
    expect(found(60, { limits: { ...limits, ...more }, links })).toMatch(/no answer|said|no link/)
  })

  it("is shrunk to the faults that it takes", SLOW, () => {
    plant(Pulse.prototype, "tick", () => () => "alive")
    const seed = firstFailure(RB, 100)!.seed
    const { run, drop } = shrink({ ...RB, seed })!
    expect(run.failure).toBeDefined()
    expect(run.faults.length - drop.size).toBeLessThan(6)
  })
})
