/**
 * P9: A call that can no longer succeed fails at once, with what was needed, what was got, and what
 * became of it at every node.
 */
import { assert, describe as describeRim, it as itRim } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { describe, expect, it } from "vitest"
import type { CallFailed } from "../../src/quorum/client/Errors.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { Group } from "../../src/runtime/Group.ts"
import { Bracha, Kv } from "../rim/support/services.ts"
import { type Kind, makeWorld } from "../rim/support/worlds.ts"
import { CallWorld, EMPTY, textOf } from "../support/callWorld.ts"

describe("P9: in the call table", () => {
  it("every order of answers and failures: open while an answer is possible, no longer", () => {
    for (let nodes = 1; nodes <= 5; nodes++) {
      for (let needed = 1; needed <= nodes; needed++) {
        for (let order = 0; order < 2 ** nodes; order++) {
          const world = new CallWorld({ nodes }).up(
            ...Array.from({ length: nodes }, (_, i) => i + 1)
          )
          const call = world.call({ policy: Quorum.threshold<number>(needed) })
          let [got, failed] = [0, 0]
          for (const copy of world.asked()) {
            const over = got >= needed || failed > nodes - needed
            assert.strictEqual(call.result !== undefined, over, `${nodes} ${needed} ${order}`)
            if (over) break
            const well = ((order >> (copy.to - 1)) & 1) === 1
            if (well) world.reply(copy, 1)
            else world.fail(copy, "not_found", { detail: `at ${copy.to}` })
            if (well) got++
            else failed++
          }
          const { result } = call
          if (result === undefined || result.ok) continue
          expect([result.code, result.needed, result.got]).toEqual(["not_found", needed, got])
          expect(result.outcomes).toHaveLength(nodes)
        }
      }
    }
  })

  const refuse = (world: CallWorld, ...nodes: ReadonlyArray<number>): void => {
    for (const node of nodes) world.core.linkRefused(node, "wrong_group", "another digest")
  }

  it("nodes that refuse this client for good are not waited for", () => {
    const world = new CallWorld()
    const [call, group] = [world.call(), world.call({ call: "multiparty" })]
    refuse(world, 1)
    expect([call.result, group.result]).toEqual([undefined, undefined])
    refuse(world, 3)
    const told =
      "wrong_group 0/2; 1 failed (wrong_group: another digest); " +
      "2 pending (no link: not connected yet); 3 failed (wrong_group: another digest)"
    expect([textOf(call.result), textOf(group.result)]).toEqual([told, told])
    const later = world.call()
    expect(textOf(later.result)).toBe(told)
    expect(world.core.size()).toEqual(EMPTY)
  })

  it("they are waited for again once they take this client, or are merely away", () => {
    const world = new CallWorld()
    refuse(world, 1, 2, 3)
    world.up(1)
    world.down(2)
    const call = world.call()
    expect(call.result).toBeUndefined()
    world.up(2)
    for (const copy of world.asked()) world.reply(copy, 1)
    expect(call.result?.ok).toBe(true)
  })
})

const KINDS: ReadonlyArray<Kind> = ["memory", "http2", "unary", "slow lines"]
describeRim.each(KINDS)("P9: over %s", (kind) => {
  itRim.live("a client of another group fails at once, though it would wait long", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld(kind, { size: 3 })
      for (const id of [1, 2, 3]) yield* Layer.build(world.node(id, Bracha))
      const other = Layer.orDie(Group.layer({ ...world.config, durable: true }))
      const client = Layer.provide(Kv.layer, Layer.merge(world.client, other))
      const read = Kv.use((it) => it.read({ key: "a" }, Quorum.majority(), { timeoutMs: 60_000 }))
      const failed = (yield* Effect.flip(Effect.provide(read, client))) as CallFailed
      assert.strictEqual(failed.code, "wrong_group")
      assert.deepStrictEqual([failed.needed, failed.got], [2, 0])
      assert.isAtLeast(failed.outcomes.filter(({ code }) => code === "wrong_group").length, 2)
    }).pipe(Effect.scoped)
  )
})
