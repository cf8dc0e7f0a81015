/** One host's epochs: what its engines are told, and when. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import type { NodeId } from "../src/base/NodeId.ts"
import { type EpochPlan, Epochs } from "../src/link/epochs.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import type { EpochStanding, EpochState } from "../src/server/epoch.ts"

const planOf = (number: number, ...members: ReadonlyArray<NodeId>): EpochPlan => ({
  number,
  system: makeSystem(members, "byzantine"),
  description: Uint8Array.from([number, ...members])
})
const ONE = planOf(1, 1, 2, 3, 4)
const TWO = planOf(2, 2, 3, 4, 5)
const PLANS = [ONE, TWO, planOf(3, 1, 2, 3, 4)]
const LINGER = LIMITS.epochLingerMs

/** A host whose engines do at once what they are told. */
class Host {
  readonly told: Array<string> = []
  readonly up = new Set<string>()
  readonly epochs: Epochs
  nowMs = 1_000
  idle = true
  stuck = false

  constructor(self: NodeId, ended = 0) {
    this.epochs = new Epochs(
      self,
      LIMITS,
      {
        clock: { nowMs: () => this.nowMs },
        read: (text) => PLANS.find((plan) => plan.description.join() === text.join()),
        open: ({ number }) => this.told.push(`open ${number}`),
        advance: (number, to) => {
          this.told.push(`${number} ${to.state}`)
          if (!this.stuck) this.epochs.heard(number, self, to)
        },
        isUp: (number, member) => this.up.has(`${number} ${member}`),
        isIdle: () => this.idle,
        drop: (number) => this.told.push(`drop ${number}`),
        report: (what) => this.told.push(what)
      },
      ended
    )
  }

  links(number: number, ...members: ReadonlyArray<NodeId>): void {
    for (const member of members) this.up.add(`${number} ${member}`)
  }
  hear(number: number, state: EpochState, next: EpochPlan | undefined, ...of: Array<NodeId>): void {
    const standing: EpochStanding = {
      kind: "epoch",
      state,
      next: next?.description ?? new Uint8Array(0)
    }
    for (const node of of) this.epochs.heard(number, node, standing)
  }
  /** What its engines were told since the last time. */
  tick(laterMs = 0): ReadonlyArray<string> {
    this.nowMs += laterMs
    for (let i = 0; i < 3; i++) this.epochs.tick()
    return this.told.splice(0)
  }
}

const inTwo = (self: NodeId): Host => {
  const host = new Host(self)
  host.epochs.announce(ONE)
  host.epochs.announce(TWO)
  host.tick()
  return host
}

describe("an announced epoch", () => {
  it("becomes active where it is told to and linked to a quorum; the one before closes", () => {
    const host = inTwo(2)
    host.links(2, 3)
    host.epochs.activate(2)
    expect(host.tick()).toEqual([])
    host.links(2, 4)
    expect(host.tick()).toEqual(["2 active", "1 closing"])
    expect(host.tick(LINGER - 1)).toEqual([])
  })

  it("stays so without a word, and follows oneHonest members, not one", () => {
    const host = inTwo(2)
    host.links(2, 3, 4, 5)
    expect(host.tick()).toEqual([])
    host.hear(1, "closing", TWO, 3)
    host.hear(2, "active", undefined, 3)
    expect(host.tick()).toEqual([])
    host.hear(1, "closing", TWO, 4)
    expect(host.tick()).toEqual(["2 active", "1 closing"])
  })

  it("is learnt of from oneHonest members, who say the same", () => {
    const host = new Host(3)
    host.epochs.announce(ONE)
    host.links(2, 2, 4, 5)
    host.hear(1, "closing", TWO, 1)
    host.hear(1, "closing", PLANS[2], 2)
    expect(host.tick()).toEqual(["open 1"])
    host.hear(1, "over", TWO, 2)
    expect(host.tick()).toEqual(["open 2", "2 active", "1 closing"])
  })

  it("closes the one before at a member that leaves, too", () => {
    const host = inTwo(1)
    expect(host.epochs.numbers).toEqual([1])
    host.epochs.activate(2)
    expect(host.tick()).toEqual(["1 closing"])
  })

  it("is refused where it ended, where it is described otherwise, and beyond epochsMax", () => {
    const host = new Host(2, 1)
    host.epochs.announce(ONE)
    host.epochs.announce(TWO)
    host.epochs.announce({ ...planOf(2, 1, 2, 3, 5), system: TWO.system })
    host.epochs.activate(3)
    for (const number of [11, 12, 13, 14]) host.epochs.announce(planOf(number, 2, 3, 4, 5))
    expect(host.tick()).toEqual([
      "epoch 1 has ended here",
      "open 2",
      "epoch 2 is described in two ways: the first stands",
      "epoch 3 is not announced: nothing is activated",
      "open 11",
      "open 12",
      "open 13",
      "epoch 14 is one too many: 4 live"
    ])
  })
})

describe("a closing epoch", () => {
  const closing = (self: NodeId): Host => {
    const host = inTwo(self)
    host.links(2, 2, 3, 4, 5)
    host.epochs.activate(2)
    expect(host.tick().at(-1)).toBe("1 closing")
    return host
  }

  it("is over after a linger, and goes once all members are through", () => {
    const host = closing(2)
    host.hear(1, "over", TWO, 1, 3)
    expect(host.tick(LINGER)).toEqual(["1 over"])
    host.hear(1, "over", TWO, 4)
    host.idle = false
    expect(host.tick()).toEqual([])
    host.idle = true
    expect(host.tick()).toEqual(["drop 1"])
    expect(host.epochs.numbers).toEqual([2])
  })

  it("goes after two lingers without those who never say so, if a quorum of the next does", () => {
    const host = closing(2)
    expect(host.tick(LINGER)).toEqual(["1 over"])
    // Of the next epoch's four, this node and the new one.
    expect(host.tick(3 * LINGER)).toEqual([])
    host.idle = false
    host.epochs.gone(1, 3)
    expect(host.tick()).toEqual(["epoch 1 ends with work unfinished", "drop 1"])
  })

  it("goes on after a restart from what its engines have in their logs", () => {
    const host = new Host(2)
    host.epochs.announce(ONE)
    host.epochs.announce(TWO)
    host.hear(1, "over", TWO, 2)
    host.hear(2, "active", undefined, 2)
    expect(host.tick(2 * LINGER)).toEqual(["open 1", "open 2"])
    host.hear(1, "over", TWO, 1, 3, 4)
    expect(host.tick()).toEqual(["drop 1"])
  })

  it("is told to its engine once, however long that takes", () => {
    const host = inTwo(2)
    host.stuck = true
    host.links(2, 3, 4, 5)
    host.epochs.activate(2)
    expect([...host.tick(), ...host.tick(LINGER)]).toEqual(["2 active"])
  })
})

describe("a member that was away while its epoch ended", () => {
  it("says so to the operator", () => {
    const host = new Host(2)
    host.epochs.announce(ONE)
    host.epochs.gone(1, 3)
    host.epochs.gone(1, 4)
    expect(host.tick()).toEqual([
      "open 1",
      "epoch 1 has ended while this node was away: start this node with the newest group file"
    ])
  })
})
