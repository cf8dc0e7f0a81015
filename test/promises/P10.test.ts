/** P10: Interrupting a call, or its deadline, leaves nothing behind, at the client and at nodes. */
import { assert, describe as describeRim, it as itRim } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Scope, Exit } from "effect"
import { describe, expect, it, vi } from "vitest"
import { Prng } from "../../src/base/prng.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { Kv } from "../rim/support/services.ts"
import { type Kind, makeWorld } from "../rim/support/worlds.ts"
import { CallWorld, EMPTY } from "../support/callWorld.ts"
import { bracha, Nodes, protocolOf } from "../support/engines.ts"
import { alone, rb } from "../support/tries.ts"

describe("P10: in the engine", () => {
  const asks = protocolOf("e", { ask: ["rpc", () => ({ effect: true })] })
  const called = (deadlineMs: number) => {
    const it = alone(asks)
    for (let index = 1; index <= 3; index++) it.step(it.call("ask", index, { deadlineMs }))
    expect(it.engine.size()).toMatchObject({ runs: 3, running: 3 })
    return it
  }
  const kinds = (outputs: ReadonlyArray<{ readonly kind: string }>) => outputs.map((o) => o.kind)

  it("a cancel ends the Effect and its call; a copy on its way does not run it again", () => {
    const { engine, step, call } = called(0)
    for (let index = 1; index <= 3; index++) {
      const { session } = call("ask", index).request
      expect(kinds(step({ kind: "cancel", route: 1, session, index }))).toEqual(["interrupt"])
      expect(step({ kind: "cancel", route: 1, session, index })).toEqual([])
      expect(kinds(step(call("ask", index)))).toEqual(["reply"])
      expect(step({ kind: "ran", token: index, result: [] })).toEqual([])
    }
    expect(engine.size()).toMatchObject({ runs: 0, running: 0 })
  })

  it("so does its deadline", () => {
    const { engine, step } = called(500)
    expect(kinds(step({ kind: "tick", atMs: 2_499 }))).not.toContain("interrupt")
    const ended = kinds(step({ kind: "tick", atMs: 2_500 }))
    expect(ended.filter((kind) => kind === "interrupt")).toHaveLength(3)
    expect(engine.size()).toMatchObject({ runs: 0, running: 0 })
  })

  it("the group's agreement goes on, and tells nobody of it", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb(1))
    for (const id of nodes.ids) {
      nodes.input(id, { kind: "cancel", route: 1, session: rb(1).session, index: 1 })
    }
    nodes.settle()
    expect(nodes.replies).toEqual([])
    for (const id of nodes.ids) {
      expect(nodes.engines.get(id)!.size()).toMatchObject({ instances: 0, answers: 1, tail: 0 })
    }
  })
})

describe("P10: in the call table", () => {
  it("calls that end in any way, in any order, leave the table empty", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = new Prng(seed)
      const world = new CallWorld().up(1, 2)
      const calls = Array.from({ length: 40 }, () =>
        world.call({
          call: random.pick(["multiparty", "quorum", "rpc", "multicast"] as const),
          deadlineMs: 1 + random.below(3_000)
        })
      )
      for (const { id } of calls) {
        if (random.chance(500)) world.core.cancel(id)
        if (random.chance(100)) world.pass(random.below(100))
        if (random.chance(50)) world.up(3)
      }
      world.pass(3_000)
      const { sessions, ...rest } = world.core.size()
      const { sessions: _, ...nothing } = EMPTY
      expect([seed, rest]).toEqual([seed, nothing])
      // One of the group, and one of each node that was there.
      expect(sessions).toBeLessThanOrEqual(4)
    }
  })

  it("the nodes that work on an interrupted call are told, and no others", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ policy: Quorum.all<number>() as never })
    const [one] = world.asked()
    world.reply(one!, 1)
    world.down(3)
    world.core.cancel(call.id)
    expect(world.cancels().map(({ to }) => to)).toEqual([2])
  })
})

const KINDS: ReadonlyArray<Kind> = ["memory", "http2", "unary", "slow lines"]
describeRim.each(KINDS)("P10: over %s", (kind) => {
  const held = Deferred.makeUnsafe<void>()
  let inside = 0
  let mostInside = 0
  /** Counts those of its handler's Effects that run. */
  const Counting = Kv.protocol({
    put: ({ wait }) => wait,
    get: ({ wait }) => wait,
    info: ({ wait }) => wait,
    hint: ({ wait }) => wait,
    tell: ({ wait }) => wait,
    plain: ({ wait }) => wait,
    accept: ({ wait }) => wait,
    learn: ({ wait }) => wait,
    read: ({ reply }) =>
      Effect.sync(() => {
        mostInside = Math.max(mostInside, ++inside)
      }).pipe(
        Effect.andThen(Deferred.await(held)),
        Effect.as(reply({ value: Uint8Array.of(1) })),
        Effect.ensuring(Effect.sync(() => inside--))
      )
  })
  const read = (timeoutMs: number) =>
    Kv.use((it) => it.read({ key: "a" }, Quorum.first(), { to: [1], timeoutMs }))
  const until = (what: () => boolean) =>
    Effect.promise(() => vi.waitFor(() => assert.isTrue(what()), { interval: 5, timeout: 10_000 }))

  itRim.live("interrupted calls and those past their deadline end at the node too", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld(kind, { size: 1, f: 0 })
      yield* Layer.build(world.node(1, Counting))
      const scope = yield* Scope.make()
      const client = yield* Layer.buildWithScope(Layer.provide(Kv.layer, world.client), scope)
      yield* Effect.gen(function* () {
        const calls = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          Effect.forkChild(read(60_000), { startImmediately: true })
        )
        yield* until(() => inside === 20)
        yield* Effect.forEach(calls, Fiber.interrupt)
        yield* until(() => inside === 0)
        const late = yield* Effect.flip(read(60))
        assert.strictEqual((late as { code?: string }).code, "deadline_exceeded")
        yield* until(() => inside === 0)
        assert.strictEqual(mostInside, 20)
      }).pipe(Effect.provide(client))
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.scoped)
  )
})
