/** How calls wait for their names: windows, queues, bytes. Sessions: clientSession.test.ts. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { all, first } from "../src/quorum/Policy.ts"
import type { CallKind } from "../src/server/Protocol.ts"
import {
  type Asked,
  bytes,
  type Caller,
  CallWorld,
  group,
  indexesOf,
  rpc,
  textOf
} from "./support/callWorld.ts"

describe("windows", () => {
  const small = { windowCalls: 8 }
  const many = (start: (i: number) => Caller<unknown>, count: number) =>
    Array.from({ length: count }, (_, i) => start(i))

  it.each<CallKind>(["multiparty", "rpc"])("%s calls above the window wait in order", (call) => {
    const world = new CallWorld({ limits: small }).up(1, 2, 3)
    many((i) => world.call({ call, targets: [2], policy: first(), body: () => bytes(i) }), 20)
    const sent: Array<number> = []
    for (let asked = world.asked(); asked.length > 0; asked = world.asked()) {
      for (const { message } of asked) {
        expect(message.index).toBeLessThan(message.ackedBelow + 8)
        sent.push(message.body[0]!)
      }
      world.reply(asked[0]!, 1)
      // The others are answered from the back: only the lowest moves the window.
      for (const copy of asked.slice(1).reverse()) world.reply(copy, 1)
    }
    expect(sent).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(world.core.size()).toMatchObject({ calls: 0, waiting: 0, bytes: 0 })
  })

  it("a call that ends while it waits leaves the queue, and the table, at once", () => {
    const world = new CallWorld({ limits: small }).up(1, 2, 3)
    many(() => group(world), 8)
    const waiting = many(() => group(world), 1_000)
    const late = world.call({ call: "multiparty", deadlineMs: 30 })
    const last = group(world)
    const asked = world.asked()
    for (const { id } of waiting) world.core.cancel(id)
    world.pass(30)
    expect(textOf(late.result)).toContain("1 pending (not sent: earlier calls come first)")
    expect(world.core.size()).toMatchObject({ calls: 9, waiting: 1, timers: 9 })
    expect(world.take()).toEqual([])
    for (const copy of asked.slice(0, 3)) world.reply(copy, 1)
    expect(indexesOf(world.asked())).toEqual([9, 9, 9])
    world.core.cancel(last.id)
  })

  it("P14: a node that is stuck delays nobody but itself", () => {
    const world = new CallWorld({ limits: small }).up(1, 2, 3)
    const answer = () => {
      for (let asked = world.asked(); asked.length > 0; asked = world.asked()) {
        for (const copy of asked) if (copy.to !== 3) world.reply(copy, 1)
      }
    }
    const stuck = [
      ...many(() => world.call({ policy: all() }), 50),
      ...many(() => rpc(world, 3), 50)
    ]
    answer()
    for (let i = 0; i < 50; i++) {
      const others = [world.call(), rpc(world, 1), rpc(world, 2)]
      answer()
      for (const call of others) expect(textOf(call.result)).toBe("ok")
    }
    for (const call of stuck) expect(call.result).toBeUndefined()
    // Node 3 has 8 calls; the other 92, and none of those that are over, wait for it.
    expect(world.core.size()).toMatchObject({ calls: 100, waiting: 92 })
  })

  it("one call that stays open does not stop the others", () => {
    const world = new CallWorld({ limits: small }).up(1, 2, 3)
    const slow = group(world)
    const [first] = world.asked()
    const sessions = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const call = group(world)
      const [copy] = world.asked()
      sessions.add(copy!.message.session)
      world.reply(copy!, 1)
      expect(call.result?.ok).toBe(true)
    }
    // The second one takes all that follow: nothing in it stays open.
    expect(sessions.size).toBe(2)
    world.reply(first!, 1)
    expect(slow.result?.ok).toBe(true)
  })

  it("many that stay open do in the end, and each waits for its turn", () => {
    const world = new CallWorld({ limits: small }).up(1, 2, 3)
    const slow: Array<Asked> = []
    let sent = 0
    for (let i = 0; i < 200; i++) {
      group(world)
      const [copy] = world.asked()
      if (copy === undefined) continue
      if (sent++ % 4 === 0) slow.push(copy)
      else world.reply(copy, 1)
    }
    expect(sent).toBe(LIMITS.clientSessionsMax * small.windowCalls)
    expect(world.core.size()).toMatchObject({
      waiting: 200 - sent,
      sessions: LIMITS.clientSessionsMax
    })
    for (const copy of slow) world.reply(copy, 1)
    while (world.core.size()["calls"]! > 0) for (const copy of world.asked()) world.reply(copy, 1)
  })

  it("bodies sent and not over are at most a quarter of linkBytes, but one always goes", () => {
    const limits = { linkBytes: 400 }
    const world = new CallWorld({ limits }).up(1, 2, 3)
    const sized = (size: number) =>
      world.call({ targets: [1], policy: first(), body: () => new Uint8Array(size) })
    sized(60)
    sized(40)
    sized(1)
    sized(300)
    sized(1)
    const sizes = (asked: ReadonlyArray<Asked>) => asked.map(({ message }) => message.body.length)
    const early = world.asked()
    expect(sizes(early)).toEqual([60, 40])
    expect(world.core.size()).toMatchObject({ waiting: 3, bytes: 100 })
    world.reply(early[1]!, 1)
    const [small] = world.asked()
    expect(small!.message.body).toHaveLength(1)
    world.reply(early[0]!, 1)
    expect(world.take()).toEqual([])
    world.reply(small!, 1)
    const [large] = world.asked()
    expect(large!.message.body).toHaveLength(300)
    world.reply(large!, 1)
    expect(sizes(world.asked())).toEqual([1])
  })

  it("a link that breaks while calls wait for their turn loses none of them", () => {
    const world = new CallWorld({ limits: { windowCalls: 2 } }).up(1, 2, 3)
    const calls = many(() => rpc(world, 1), 4)
    const asked = world.asked()
    world.down(1)
    for (const copy of asked) world.reply(copy, 1)
    expect(world.take()).toEqual([])
    world.up(1)
    for (const copy of world.asked()) world.reply(copy, 1)
    expect(calls.every(({ result }) => result?.ok)).toBe(true)
  })
})
