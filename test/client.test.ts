/** Calls as Effects and their replies as Streams, over a call table with nodes played by hand. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import type { ErrorCode } from "../src/base/errorCode.ts"
import { portOf } from "../src/link/callCore.ts"
import {
  CallFailed,
  type QuorumCallSpec,
  quorumCall,
  type RepliesSpec,
  replies
} from "../src/quorum/client/index.ts"
import {
  all,
  first,
  fold,
  majority,
  matching,
  type Policy,
  threshold
} from "../src/quorum/Policy.ts"
import type { Vote } from "../src/quorum/Vote.ts"
import { bytes, CallWorld, decode, EMPTY, nodesOf, type WorldOptions } from "./support/callWorld.ts"

const NAME = "test.v1.Test/Call"

const specOf = (world: CallWorld): RepliesSpec<number> => ({
  name: NAME,
  method: 7,
  call: "quorum",
  body: () => bytes(1),
  targets: world.system.members,
  decode,
  deadlineMs: 1_000
})

const callOf = <A>(
  world: CallWorld,
  policy: Policy<number, A>,
  more: Partial<QuorumCallSpec<number, A>> = {}
) => quorumCall<number, A>(portOf(world.core), { ...specOf(world), policy, ...more })

/** What a node does with each request: a value, a failure, or nothing. */
type Behaviour = (node: number) => number | ErrorCode | undefined

const serve = (world: CallWorld, behaviour: Behaviour): void => {
  for (let asked = world.asked(); asked.length > 0; asked = world.asked()) {
    for (const copy of asked) {
      const does = behaviour(copy.to)
      if (typeof does === "number") world.reply(copy, does)
      else if (does !== undefined) world.fail(copy, does)
    }
  }
}

/** Runs a call whose nodes do what is said, and lets its deadline pass. */
const run = <A>(call: (world: CallWorld) => Effect.Effect<A, CallFailed>, behaviour: Behaviour) =>
  Effect.gen(function* () {
    const world = upOf({ nodes: 3 })
    const fiber = yield* Effect.forkChild(call(world), { startImmediately: true })
    serve(world, behaviour)
    world.take()
    world.pass(1_000)
    const exit = yield* Fiber.await(fiber)
    expect({ ...world.core.size(), sessions: 0 }).toEqual(EMPTY)
    return yield* exit
  })

const upOf = (options: WorldOptions): CallWorld => {
  const world = new CallWorld(options)
  return world.up(...world.system.members)
}

const messages = <V>(votes: ReadonlyArray<Vote<V>>) => votes.map(({ message }) => message)

describe("a quorum call", () => {
  it.effect("succeeds with the policy's answer", () =>
    Effect.gen(function* () {
      const votes = yield* run(
        (world) => callOf(world, majority()),
        (node) => node * 10
      )
      expect(messages(votes)).toEqual([10, 20])
    })
  )

  it.effect("starts when it is run, and anew each time", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const call = callOf(world, first())
      expect(world.take()).toEqual([])
      for (const index of [1, 2]) {
        const fiber = yield* Effect.forkChild(call, { startImmediately: true })
        const asked = world.asked()
        expect(asked.map(({ message }) => message.index)).toEqual([index, index, index])
        for (const copy of asked) world.reply(copy, index)
        expect(yield* Fiber.join(fiber)).toBe(index)
      }
    })
  )

  it.effect("P10: interrupted, cancels at its nodes and leaves nothing behind", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const fiber = yield* Effect.forkChild(callOf(world, all()), { startImmediately: true })
      const [one] = world.asked()
      world.reply(one!, 1)
      yield* Fiber.interrupt(fiber)
      expect(nodesOf(world.cancels())).toEqual([2, 3])
      expect(world.core.size()).toMatchObject({ ...EMPTY, sessions: 3 })
    })
  )

  it.effect("interrupted after its end, cancels nothing", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const fiber = yield* Effect.forkChild(callOf(world, first()), { startImmediately: true })
      world.reply(world.asked()[0]!, 1)
      yield* Fiber.interrupt(fiber)
      expect(world.take()).toEqual([])
    })
  )

  it.effect("that is refused at once fails", () =>
    Effect.gen(function* () {
      const world = new CallWorld({ limits: { callsOpenMax: 0 } })
      const failed = yield* Effect.flip(callOf(world, majority()))
      expect(failed.code).toBe("overloaded")
      world.core.close()
      expect((yield* Effect.flip(callOf(world, majority()))).code).toBe("cancelled")
    })
  )

  it.effect("fails with CallFailed, whose message is one line that starts with the code", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 5 })
      world.down(5, "connection\nrefused")
      const call = callOf(world, majority())
      const fiber = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true })
      const [one, two, three] = world.asked()
      world.reply(one!, 1)
      world.fail(two!, "invalid", { detail: "line one\r\nline two" })
      world.fail(three!, "overloaded")
      world.pass(1_000)
      const failed = yield* Fiber.join(fiber)
      expect(failed).toBeInstanceOf(CallFailed)
      expect(failed).toMatchObject({
        _tag: "CallFailed",
        code: "deadline_exceeded",
        method: NAME,
        needed: 3,
        got: 1
      })
      expect(failed.outcomes).toHaveLength(5)
      expect(failed.message).toBe(
        `[deadline_exceeded] ${NAME}: 1 of 3; node 1 replied; ` +
          "node 2 failed (invalid: line one line two); " +
          "node 3 pending (overloaded: refused once; no answer yet); " +
          "node 4 pending (no answer yet); node 5 pending (no link: connection refused)"
      )
    })
  )

  it("tells of 16 nodes in its message, of all in its outcomes, and cuts long texts", () => {
    const outcomes = Array.from({ length: 20 }, (_, i) => ({
      node: i + 1,
      outcome: "failed" as const,
      detail: "x".repeat(1_000)
    }))
    const more = { code: "unavailable", method: NAME, needed: 1, got: 0 } as const
    const { message } = new CallFailed({ ...more, outcomes })
    expect(message).toContain("node 16 failed")
    expect(message).not.toContain("node 17")
    expect(message).toMatch(/; and 4 more$/)
    expect(message.length).toBeLessThan(16 * 250)
    expect(new CallFailed({ ...more, outcomes: [] }).message).toContain("no node was called")
  })
})

describe("the replies of a call", () => {
  it.effect("come as they come, and end when every node has replied or failed", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 4 })
      const seen: Array<Vote<number>> = []
      const stream = Stream.runForEach(replies(portOf(world.core), specOf(world)), (vote) =>
        Effect.sync(() => seen.push(vote))
      )
      const fiber = yield* Effect.forkChild(stream, { startImmediately: true })
      const asked = world.asked()
      for (const [i, to] of [3, 1, 4].entries()) {
        world.reply(asked[to - 1]!, i)
        while (seen.length <= i) yield* Effect.yieldNow
      }
      world.fail(asked[1]!, "invalid")
      yield* Fiber.join(fiber)
      expect(seen.map(({ from }) => from)).toEqual([3, 1, 4])
      expect(world.core.size()).toMatchObject({ ...EMPTY, sessions: 4 })
    })
  )

  it.effect("fail at the deadline, after what came", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const seen: Array<number> = []
      const stream = Stream.runForEach(replies(portOf(world.core), specOf(world)), ({ message }) =>
        Effect.sync(() => seen.push(message))
      )
      const fiber = yield* Effect.forkChild(Effect.flip(stream), { startImmediately: true })
      world.reply(world.asked()[1]!, 5)
      world.pass(1_000)
      const failed = yield* Fiber.join(fiber)
      expect(seen).toEqual([5])
      expect(failed).toMatchObject({ code: "deadline_exceeded", got: 1, needed: 3 })
    })
  )

  it.effect("taken in part, cancel the rest of the call", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const stream = Stream.take(replies(portOf(world.core), specOf(world)), 1)
      const fiber = yield* Effect.forkChild(Stream.runCollect(stream), { startImmediately: true })
      world.reply(world.asked()[2]!, 5)
      expect(yield* Fiber.join(fiber)).toEqual([{ from: 3, message: 5 }])
      expect(nodesOf(world.cancels())).toEqual([1, 2])
    })
  )

  it.effect("interrupted, cancel the call", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const stream = Stream.runDrain(replies(portOf(world.core), specOf(world)))
      const fiber = yield* Effect.forkChild(stream, { startImmediately: true })
      world.asked()
      yield* Fiber.interrupt(fiber)
      expect(nodesOf(world.cancels())).toEqual([1, 2, 3])
      expect(world.core.size()).toMatchObject({ calls: 0, timers: 0 })
    })
  )

  it.effect("of nobody end at once", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const spec = { ...specOf(world), body: () => undefined }
      expect(yield* Stream.runCollect(replies(portOf(world.core), spec))).toEqual([])
    })
  )
})

/** The rows of Gorums' own tests that speak of calls, by their names there. */
describe("as in Gorums", () => {
  const ok = (count: number) => (node: number) => (node <= count ? node * 10 : "internal")
  const values = Stream.map(({ message }: Vote<number>) => message)
  const stream = (world: CallWorld) => values(replies(portOf(world.core), specOf(world)))
  const sum = (count: number): Policy<number, number> =>
    fold(
      0,
      (total, value) => total + value,
      (_, counted) => counted === count
    )

  it.effect.each<[string, Policy<number, unknown>, number, unknown]>([
    ["First ok on one success", first(), 1, 10],
    ["Majority 2/3 ok", majority(), 2, [10, 20]],
    ["All 3/3 ok", all(), 3, [10, 20, 30]],
    ["Threshold(2) ok", threshold(2), 2, [10, 20]],
    ["Custom aggregation sums 10 + 20 + 30", sum(3), 3, 60],
    ["Fail-fast filter keeps going after an error", sum(2), 2, 30]
  ])("%s", ([_, policy, count, answer]) =>
    Effect.gen(function* () {
      const got = yield* run((world) => callOf(world, policy), ok(count))
      expect(Array.isArray(got) ? messages(got) : got).toEqual(answer)
    })
  )

  it.effect.each<[string, Policy<number, unknown>, number]>([
    ["First all-errors fails", first(), 0],
    ["Majority 1/3 fails", majority(), 1],
    ["All with 1 error fails", all(), 2],
    ["Threshold(2) insufficient fails", threshold(2), 1],
    ["Threshold(4) of 3 fails at once", threshold(4), 3]
  ])("%s", ([_, policy, count]) =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(run((world) => callOf(world, policy), ok(count)))
      expect(["internal", "unavailable"]).toContain(failed.code)
    })
  )

  it.effect("Majority of 4 needs 3", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 4 })
      const call = callOf(world, majority())
      const fiber = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true })
      serve(world, (node) => (node <= 2 ? node : "internal"))
      expect(yield* Fiber.join(fiber)).toMatchObject({ needed: 3, got: 2 })
    })
  )

  it.effect("PartialFailures: k of 3 nodes down", () =>
    Effect.gen(function* () {
      const down = (count: number) => (node: number) => (node <= count ? undefined : node)
      for (const k of [0, 1, 2, 3]) {
        const of = (policy: Policy<number, unknown>) =>
          Effect.map(Effect.exit(run((world) => callOf(world, policy), down(k))), Exit.isSuccess)
        expect([yield* of(first()), yield* of(majority()), yield* of(all())]).toEqual([
          k <= 2,
          k <= 1,
          k === 0
        ])
      }
    })
  )

  it.effect(
    "CollectAll has 3 entries; CollectN(2) stops early; IgnoreErrors skips the failed",
    () =>
      Effect.gen(function* () {
        const collect = (count: number, nodes: number) =>
          run((world) => Stream.runCollect(Stream.take(stream(world), count)), ok(nodes))
        expect(yield* collect(9, 3)).toEqual([10, 20, 30])
        expect(yield* collect(2, 3)).toEqual([10, 20])
        expect(yield* collect(9, 2)).toEqual([10, 20])
      })
  )

  it.effect("Filter keeps some of the replies", () =>
    Effect.gen(function* () {
      const kept = (world: CallWorld) =>
        Stream.runCollect(Stream.filter(stream(world), (value) => value > 10))
      expect(yield* run(kept, ok(3))).toEqual([20, 30])
    })
  )

  it.effect("Correctable: the answer gets better with every reply", () =>
    Effect.gen(function* () {
      const best = (world: CallWorld) =>
        Stream.runCollect(
          Stream.scan(
            stream(world),
            () => 0,
            (most, value) => Math.max(most, value)
          )
        )
      expect(yield* run(best, (node) => [30, 10, 40][node - 1])).toEqual([0, 30, 30, 40])
    })
  )

  it.effect("MapRequest: nil skips a node, which is no success", () =>
    Effect.gen(function* () {
      const body = (node: number) => (node === 1 ? undefined : bytes(node))
      const votes = yield* run((world) => callOf(world, all(), { body }), ok(3))
      expect(messages(votes)).toEqual([20, 30])
      const none = run((world) => callOf(world, first(), { body: () => undefined }), ok(3))
      expect((yield* Effect.flip(none)).got).toBe(0)
    })
  )

  it.effect("Matching: replies that lie do not count", () =>
    Effect.gen(function* () {
      const policy = matching((value: number) => value, { quorum: ({ quorum }) => quorum })
      const got = yield* run(
        (world) => callOf(world, policy),
        (node) => (node === 2 ? 1 : 7)
      )
      expect(got).toBe(7)
    })
  )

  it.effect("unresponsive: handler never returns; 100 calls with 10 ms all end", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 1 })
      const call = Effect.flip(callOf(world, first(), { deadlineMs: 10 }))
      for (let i = 0; i < 100; i++) {
        const fiber = yield* Effect.forkChild(call, { startImmediately: true })
        world.pass(10)
        expect((yield* Fiber.join(fiber)).code).toBe("deadline_exceeded")
      }
      expect(world.core.size()).toEqual({ ...EMPTY, sessions: 1 })
    })
  )

  it.effect("1000 fire-and-forget multicasts leave 0 pending entries", () =>
    Effect.gen(function* () {
      const world = upOf({ nodes: 3 })
      const call = callOf<unknown>(world, first(), { call: "multicast" })
      for (let i = 0; i < 1_000; i++) yield* call
      expect(world.take()).toHaveLength(3_000)
      expect(world.core.size()).toEqual(EMPTY)
    })
  )
})
