/** The client's call table: what replies do, and how calls end. */
import { describe, expect, it } from "vitest"
import { all, first, matching, type Policy } from "../src/quorum/Policy.ts"
import { answerOf, bytes, CallWorld, EMPTY, nodesOf, textOf } from "./support/callWorld.ts"

const idle = (world: CallWorld) => ({ ...world.core.size(), sessions: 0 })

describe("replies", () => {
  it("at most one final reply per node reaches the policy", () => {
    const world = new CallWorld().up(1, 2, 3)
    const seen: Array<number> = []
    const call = world.call({ each: (from) => seen.push(from) })
    const [one, two] = world.asked()
    world.reply(one!, 1)
    world.reply(one!, 2)
    world.fail(one!, "internal")
    world.fail(one!, "overloaded")
    expect(call.result).toBeUndefined()
    expect(world.core.counters.repliesDropped).toBe(3)
    world.reply(two!, 3)
    expect(seen).toEqual([1, 2])
    expect(answerOf(call)).toEqual([
      { from: 1, message: 1 },
      { from: 2, message: 3 }
    ])
  })

  it("replies of unknown calls are dropped and counted", () => {
    const world = new CallWorld({ nodes: 4 }).up(1, 2, 3, 4)
    const call = world.call({ targets: [1, 2, 3] })
    const [one, two, three] = world.asked()
    const { message } = one!
    world.reply({ to: 1, message: { ...message, index: 2 } }, 1)
    world.reply({ to: 1, message: { ...message, index: 0 } }, 1)
    world.reply({ to: 1, message: { ...message, session: "x".repeat(22) } }, 1)
    world.reply({ to: 4, message }, 1) // no target
    world.reply({ to: 9, message }, 1) // no member
    world.reply({ to: 2, message }, 1) // under another node's name
    expect(world.core.counters.repliesDropped).toBe(6)
    world.reply(two!, 1)
    world.reply(three!, 1)
    world.reply(one!, 1) // over
    expect(world.core.counters.repliesDropped).toBe(7)
    expect(call.ends).toBe(1)
  })

  it("a reply that does not decode is that node's failure", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call()
    const [one, two, three] = world.asked()
    world.core.onReply(1, { ...one!.message, kind: "reply", body: new Uint8Array(3) })
    world.reply(two!, 1)
    world.reply(three!, 1)
    expect(call.result?.ok).toBe(true)
    expect(world.core.counters.malformed).toBe(1)
    const alone = world.call({ policy: all() })
    world.core.onReply(1, { ...world.asked()[0]!.message, kind: "reply", body: bytes(1).slice(1) })
    expect(textOf(alone.result)).toBe(
      "malformed 0/3; 1 failed (malformed: a reply has 1 byte, not 0); " +
        "2 pending (no answer yet); 3 pending (no answer yet)"
    )
  })

  it("a reply that comes while its copy backs off, or from a link that broke, counts", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call()
    const [one, two] = world.asked()
    world.fail(one!, "overloaded")
    world.reply(one!, 1)
    world.down(2)
    world.reply(two!, 1)
    expect(call.result?.ok).toBe(true)
    expect(idle(world)).toEqual(EMPTY)
  })

  const thrown = () => {
    throw new Error("mine")
  }
  const count = { on: () => undefined, possible: () => true, needed: 1, got: () => 0 }
  it.each<[string, Policy<number, unknown>]>([
    ["starts", { start: thrown }],
    ["counts", { start: () => ({ ...count, on: thrown }) }],
    ["is asked what it got", { start: () => ({ ...count, got: thrown }) }],
    ["is asked what is possible", { start: () => ({ ...count, possible: thrown }) }]
  ])("a policy that throws when it %s fails its call and no other", (_, policy) => {
    const world = new CallWorld().up(1, 2, 3)
    const other = world.call()
    const asked = world.asked()
    const call = world.call({ policy })
    for (const { to, message } of world.take()) {
      if (message.kind === "request") world.reply({ to, message }, 1)
    }
    expect(call.result).toMatchObject({ ok: false, code: "internal" })
    expect(textOf(call.result)).toContain("mine")
    for (const copy of asked) world.reply(copy, 1)
    expect(other.result?.ok).toBe(true)
    expect(call.ends + other.ends).toBe(2)
    expect(idle(world)).toEqual(EMPTY)
  })

  it.each([
    ["body", { body: thrown }],
    ["each", { each: thrown }]
  ])("a %s function that throws fails its call", (_, spec) => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call(spec)
    for (const { to, message } of world.take()) {
      if (message.kind === "request") world.reply({ to, message }, 1)
    }
    expect(call.result).toMatchObject({ ok: false, code: "internal" })
    expect(call.ends).toBe(1)
    expect(idle(world)).toEqual(EMPTY)
  })
})

describe("ends", () => {
  it("P9: a call fails at once when no answer is possible, with every node's outcome", () => {
    const world = new CallWorld({ nodes: 5 }).up(1, 2, 3, 4)
    world.down(5, "connection refused")
    const call = world.call()
    const [one, two, three, four] = world.asked()
    world.reply(one!, 1)
    world.fail(two!, "invalid", { detail: "too odd" })
    world.fail(three!, "internal")
    expect(call.result).toBeUndefined()
    world.core.onReply(4, { ...four!.message, kind: "reply", code: "invalid", body: bytes(1) })
    expect(textOf(call.result)).toBe(
      "unavailable 1/3; 1 replied; 2 failed (invalid: too odd); 3 failed (internal); " +
        "4 failed (invalid); 5 pending (no link: connection refused)"
    )
    expect(idle(world)).toEqual(EMPTY)
  })

  it("replies that disagree fail a call whose policy wants agreement", () => {
    const world = new CallWorld().up(1, 2)
    const two = { quorum: ({ quorum }: { quorum: CallWorld["system"]["quorum"] }) => quorum }
    const call = world.call({ call: "multiparty", policy: matching((n: number) => n, two) })
    const asked = world.asked()
    world.reply(asked[0]!, 1)
    world.reply(asked[1]!, 2)
    expect(call.result).toBeUndefined()
    world.up(3)
    world.reply(world.asked()[0]!, 3)
    expect(textOf(call.result)).toBe("unavailable 1/2; 1 replied; 2 disagreed; 3 disagreed")
  })

  it("what the nodes say alike is the call's code", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ call: "rpc", targets: [2], policy: first() })
    world.fail(world.asked()[0]!, "not_found", { detail: "no such key" })
    expect(textOf(call.result)).toBe("not_found 0/1; 2 failed (not_found: no such key)")
  })

  it("a call that no policy can answer fails before anything is sent", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ targets: [] })
    expect(textOf(call.result)).toBe("unavailable 0/1; ")
    expect(world.take()).toEqual([])
  })

  it("its nodes are told of a call that failed, but for those that answered", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call({ policy: all() })
    const [one] = world.asked()
    world.fail(one!, "invalid")
    expect(nodesOf(world.cancels())).toEqual([2, 3])
  })

  it("the deadline fails a call with what each node's state is", () => {
    const world = new CallWorld({ nodes: 4 }).up(1, 2)
    world.down(3, "connection refused")
    const call = world.call({ deadlineMs: 400, policy: all() })
    const [one, two] = world.asked()
    world.reply(one!, 1)
    world.fail(two!, "overloaded")
    world.pass(100)
    world.pass(299)
    expect(call.result).toBeUndefined()
    world.pass(1)
    expect(textOf(call.result)).toBe(
      "deadline_exceeded 1/4; 1 replied; 2 pending (overloaded: refused once; no answer yet); " +
        "3 pending (no link: connection refused); 4 pending (no link: not connected yet)"
    )
    expect(idle(world)).toEqual(EMPTY)
  })

  it.each([0, -1, Number.NaN, 3_600_001, Number.POSITIVE_INFINITY])(
    "a deadline of %d ms is refused",
    (deadlineMs) => {
      const world = new CallWorld().up(1, 2, 3)
      const call = world.call({ deadlineMs })
      expect(textOf(call.result)).toContain("invalid (a deadline is more than 0 and at most")
      expect(world.core.size()).toEqual(EMPTY)
    }
  )

  it("too many open calls are refused at once", () => {
    const world = new CallWorld({ limits: { callsOpenMax: 2 } })
    const open = [world.call(), world.call()]
    const refused = world.call()
    expect(textOf(refused.result)).toBe(
      "overloaded (2 calls are open) 0/3; 1 pending (not sent); 2 pending (not sent); " +
        "3 pending (not sent)"
    )
    expect(refused.ends).toBe(1)
    world.core.cancel(open[0]!.id)
    expect(world.call().result).toBeUndefined()
    expect(world.core.counters.overloaded).toBe(1)
  })

  it("cancel tells the nodes that work on the call, forgets it, and is nothing later", () => {
    const world = new CallWorld({ nodes: 4 }).up(1, 2, 3)
    const call = world.call({ policy: all() })
    const [one, two, three] = world.asked()
    world.reply(one!, 1)
    world.fail(two!, "overloaded")
    world.core.cancel(call.id)
    expect(world.cancels()).toEqual([
      { to: 3, message: { kind: "cancel", session: three!.message.session, index: 1 } }
    ])
    world.core.cancel(call.id)
    world.reply(three!, 1)
    world.pass(10_000)
    world.up(4)
    expect(world.take()).toEqual([])
    expect(call.ends).toBe(0)
    expect(idle(world)).toEqual(EMPTY)
  })

  it("a call may be cancelled from inside its own reply", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ each: () => world.core.cancel(call.id) })
    const asked = world.asked()
    world.reply(asked[0]!, 1)
    expect(nodesOf(world.cancels())).toEqual([2, 3])
    expect(call.ends).toBe(0)
    expect(idle(world)).toEqual(EMPTY)
  })

  it("after close nothing is left, and nothing starts", () => {
    const world = new CallWorld().up(1, 2)
    const calls = [
      world.call(),
      world.call({ call: "multiparty", targets: [3] }),
      world.call({ call: "rpc", targets: [3] }),
      world.call({ call: "unicast", targets: [3] })
    ]
    const asked = world.asked()
    world.core.close()
    expect(nodesOf(world.cancels())).toEqual([1, 2])
    for (const call of calls) {
      expect(call.ends).toBe(1)
      expect(call.result).toMatchObject({ ok: false, code: "cancelled" })
    }
    expect(world.core.size()).toEqual(EMPTY)
    world.up(3)
    for (const copy of asked) world.reply(copy, 1)
    world.pass(10_000)
    expect(textOf(world.call().result)).toContain("cancelled (the client is closed)")
    expect(world.take()).toEqual([])
    expect(world.core.size()).toEqual(EMPTY)
  })
})
