/** A client whose group goes on to another epoch: where its calls go, and what moves. */
import { describe, expect, it } from "vitest"
import type { ErrorCode } from "../src/base/errorCode.ts"
import { LIMITS } from "../src/base/limits.ts"
import type { NodeId } from "../src/base/NodeId.ts"
import { CallCore, type CallResult } from "../src/link/callCore.ts"
import { ClientEpochs } from "../src/link/clientEpochs.ts"
import type { EpochPlan } from "../src/link/epochs.ts"
import { matching } from "../src/quorum/Policy.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { sessionKey } from "../src/server/laneKey.ts"
import type { Request } from "../src/server/Message.ts"
import { bytes, decode } from "./support/callWorld.ts"

const planOf = (number: number, ...members: ReadonlyArray<NodeId>): EpochPlan => ({
  number,
  system: makeSystem(members, "byzantine"),
  description: Uint8Array.from([number, ...members])
})
const ONE = planOf(1, 1, 2, 3, 4)
const TWO = planOf(2, 3, 4, 5, 6)

class Client {
  readonly cores = new Map<number, CallCore>()
  readonly asked: Array<{ readonly number: number; readonly to: NodeId; readonly it: Request }> = []
  readonly results: Array<CallResult<number>> = []
  readonly epochs: ClientEpochs
  nowMs = 1_700_000_000_000
  #nonce = 0

  constructor() {
    const clock = { nowMs: () => this.nowMs }
    this.epochs = new ClientEpochs(ONE, {
      clock,
      read: (text) => [ONE, TWO].find((plan) => plan.description.join() === text.join()),
      open: ({ number, system }) => {
        const core = new CallCore({
          system,
          limits: LIMITS,
          ports: {
            clock,
            sessionKey: (ms) => sessionKey(ms, new Uint8Array(16).fill(++this.#nonce)),
            send: (to, it) => {
              if (it.kind === "request") this.asked.push({ number, to, it })
              return true
            },
            random: () => 0,
            wake: () => {}
          }
        })
        this.cores.set(number, core)
        return core
      },
      close: (number) => this.cores.delete(number)
    })
    this.up(ONE)
  }

  up({ number, system }: EpochPlan): void {
    for (const node of system.members) this.cores.get(number)?.linkUp(node, 0)
  }
  call(deadlineMs = 5_000): () => void {
    return this.epochs.start<number, number>(({ system }) => ({
      method: 1,
      call: "multiparty",
      body: () => bytes(1),
      targets: system.members,
      decode,
      policy: matching((value: number) => value),
      deadlineMs,
      done: (result) => this.results.push(result)
    }))
  }
  /** What nodes answer to the newest copy that each was sent in an epoch. */
  reply(number: number, of: ReadonlyArray<NodeId>, code?: ErrorCode, body = bytes(7)): void {
    for (const node of of) {
      const { it } = this.asked.findLast((copy) => copy.number === number && copy.to === node)!
      const { session, index } = it
      const reply = { kind: "reply", session, index, body } as const
      this.epochs.onReply(number, node, code === undefined ? reply : { ...reply, code })
    }
  }
  get ends(): ReadonlyArray<string | number> {
    return this.results.map((result) => (result.ok ? result.answer : result.code))
  }
}

describe("a client of a closing epoch", () => {
  it("makes new calls in the next epoch once oneHonest nodes name it; open ones stay", () => {
    const client = new Client()
    client.call()
    client.reply(1, [1], "epoch_closing", TWO.description)
    client.reply(1, [2], "epoch_closing", bytes(9))
    expect(client.epochs.newest.number).toBe(1)
    client.reply(1, [2], "epoch_closing", TWO.description)
    expect(client.epochs.newest.number).toBe(2)
    client.up(TWO)
    client.call()
    expect(client.asked.map(({ number, to }) => `${number}:${to}`)).toEqual([
      "1:1",
      "1:2",
      "1:3",
      "1:4",
      "2:3",
      "2:4",
      "2:5",
      "2:6"
    ])
    client.reply(1, [3, 4])
    client.reply(2, [5, 6], undefined, bytes(8))
    expect(client.ends).toEqual([7, 8])
  })

  it("lets go of an epoch with its last call", () => {
    const client = new Client()
    client.call()
    client.reply(1, [1, 2], "epoch_closing", TWO.description)
    client.epochs.tick()
    expect(client.epochs.numbers).toEqual([1, 2])
    client.reply(1, [3, 4])
    client.epochs.tick()
    expect([...client.cores.keys()]).toEqual([2])
    client.reply(1, [1])
    expect(client.ends).toEqual([7])
  })
})

describe("a call whose epoch is over", () => {
  it("is made again in the next once a quorum never takes part in it, and ends once", () => {
    const client = new Client()
    client.call()
    client.reply(1, [1, 2], "epoch_ended", TWO.description)
    client.up(TWO)
    expect(client.results).toEqual([])
    client.reply(1, [3], "epoch_ended", TWO.description)
    client.reply(2, [3, 4])
    expect(client.ends).toEqual([7])
    const [first, again] = [client.asked[0]!.it, client.asked.at(-1)!.it]
    expect(again.session).not.toBe(first.session)
  })

  it("is not made again where fewer say so: nobody knows what came of it", () => {
    const client = new Client()
    client.call()
    client.reply(1, [1, 2], "epoch_ended", TWO.description)
    client.epochs.gone(1, 3)
    expect(client.ends).toEqual(["outcome_unknown"])
    client.up(TWO)
    expect(client.asked.every(({ number }) => number === 1)).toBe(true)
  })

  it("is not believed to be so from one node", () => {
    const client = new Client()
    client.call()
    client.epochs.gone(1, 1)
    client.reply(1, [2], "epoch_ended", TWO.description)
    client.reply(1, [3, 4])
    expect(client.ends).toEqual([7])
  })

  it("keeps its deadline, and can be cancelled where it is", () => {
    const client = new Client()
    client.call(5_000)
    const cancel = client.call(5_000)
    client.nowMs += 4_000
    for (const node of [1, 2, 3]) {
      for (const { it } of client.asked.filter(({ to }) => to === node)) {
        const { session, index } = it
        const reply = { kind: "reply", session, index, code: "epoch_ended" } as const
        client.epochs.onReply(1, node, { ...reply, body: TWO.description })
      }
    }
    client.up(TWO)
    expect(client.asked.filter(({ number }) => number === 2)).toHaveLength(8)
    expect(client.asked.at(-1)!.it.deadlineMs).toBe(1_000)
    cancel()
    client.nowMs += 1_000
    client.cores.get(2)!.tick()
    expect(client.ends).toEqual(["deadline_exceeded"])
    expect(client.cores.get(2)!.size()["calls"]).toBe(0)
  })
})
