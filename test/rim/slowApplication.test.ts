/** P14 with an application whose commands take their time, over the memory carrier. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer } from "effect"
import { MemoryDisk } from "../../src/link/memoryDisk.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { Member } from "../../src/runtime/Member.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { CommandSchema, NoteSchema, Slots } from "../plugin/golden/ts/slots/v1/slots_quorate.ts"
import { makeWorld } from "./support/worlds.ts"

/** Each command waits for it. */
class Store extends Context.Service<Store, Deferred.Deferred<void>>()("test/Store") {}

const CALLS = 40

const Log = Slots.protocol(
  {
    state: () => ({ next: 1 }),
    record: NoteSchema,
    evolve: (state, { next }) => {
      state.next = Math.max(state.next, next)
    },
    lanes: { slots: { window: 64 } },
    application: {
      command: CommandSchema,
      initial: (): Array<string> => [],
      apply: (_, { text }) =>
        Effect.gen(function* () {
          yield* Deferred.await(yield* Store)
          return (log) => ({ slot: log.push(text) })
        })
    }
  },
  {
    submit: ({ message, call, copy, self, state, forward, refuse, wait }) =>
      self !== 1
        ? refuse.redirect(1)
        : copy > 1
          ? wait
          : forward.accept({ slot: state.next, command: message, call }),
    accept: {
      lane: "slots",
      index: (m) => m.slot,
      each: ({ message, store, forward }) => [
        store({ next: message.slot + 1 }),
        forward.learn(message)
      ]
    },
    learn: {
      lane: "slots",
      index: (m) => m.slot,
      quorum: ({ votes, system, apply, wait }) => {
        const { command, call } = votes.value
        return votes.agreed(system.quorum) ? apply(command ?? {}, { call }) : wait
      }
    }
  }
)

it.live("P14: a node whose application is stuck votes on, and catches up once it is free", () =>
  Effect.gen(function* () {
    const world = yield* makeWorld("memory", { size: 3, durable: true })
    const free = yield* Deferred.make<void>()
    const stuck = yield* Deferred.make<void>()
    yield* Deferred.succeed(free, undefined)
    const node = (id: number, store: Deferred.Deferred<void>) =>
      Replica.layer(Log).pipe(
        Layer.provide(Layer.succeed(Store, store)),
        Layer.provide(
          Layer.succeed(Member, { id, disk: new MemoryDisk({ later: setImmediate }), init: true })
        ),
        Layer.provide(world.layer),
        Layer.fresh
      )
    yield* Layer.build(node(1, free))
    // The vote needs both, and one of them is stuck from its first command on.
    yield* Layer.build(node(2, stuck))
    yield* Effect.gen(function* () {
      const slots = yield* Slots
      for (let i = 1; i <= CALLS; i++) {
        const reply = yield* slots.submit({ text: `${i}` }, Quorum.first())
        assert.equal(reply.slot, i)
      }
      yield* Deferred.succeed(stuck, undefined)
      const both = yield* slots.submit({ text: "last" }, Quorum.threshold(2))
      assert.deepEqual(
        both.map(({ from, message }) => [from, message.slot]),
        [
          [1, CALLS + 1],
          [2, CALLS + 1]
        ]
      )
    }).pipe(Effect.provide(Slots.layer.pipe(Layer.provide(world.client))))
  })
)
