/** Timers over the real clock: at one beat a tick, this would take longer than a test may. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { idle } from "../types/is.ts"
import { ReliableBroadcast } from "./support/services.ts"
import { makeWorld } from "./support/worlds.ts"

it.live("a timer that arms itself again beats faster than the host ticks", () =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<void>()
    let beats = 0
    const Beating = ReliableBroadcast.protocol(
      {
        booted: ({ arm }) => arm("beat", 1),
        timers: {
          beat: ({ arm, wait }) => {
            if (++beats < 200) return arm("beat", 1)
            Effect.runSync(Deferred.succeed(done, undefined))
            return wait
          }
        }
      },
      { broadcast: idle, echo: idle, ready: idle }
    )
    const world = yield* makeWorld("memory", { size: 3 })
    yield* Layer.build(world.node(1, Beating))
    yield* Deferred.await(done)
    assert.equal(beats, 200)
  })
)

it.live(
  "a timer that is due while its node is at work fires, and Node has nothing to warn of",
  () =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      let beats = 0
      const Slow = ReliableBroadcast.protocol(
        {
          booted: ({ arm }) => arm("beat", 1),
          timers: {
            beat: ({ arm, wait }) => {
              const until = performance.now() + 5
              while (performance.now() < until);
              if (++beats < 5) return arm("beat", 1)
              Effect.runSync(Deferred.succeed(done, undefined))
              return wait
            }
          }
        },
        { broadcast: idle, echo: idle, ready: idle }
      )
      const warnings: Array<string> = []
      const warned = ({ name }: Error): void => void warnings.push(name)
      process.on("warning", warned)
      const world = yield* makeWorld("memory", { size: 3 })
      yield* Layer.build(world.node(1, Slow))
      yield* Deferred.await(done)
      process.off("warning", warned)
      assert.deepEqual(warnings, [])
    })
)
