/** The links of a client: what the clients of all services of one group share. */
import { Context, Effect, Layer } from "effect"
import type { CallPort } from "../link/callTypes.ts"
import { Carrier } from "./Carrier.ts"
import { Group } from "./Group.ts"
import { GroupClient } from "./internal/groupClient.ts"
import { observers } from "./internal/observed.ts"

export class ClientLinks extends Context.Service<
  ClientLinks,
  CallPort & {
    /** What the client's call table holds, for tests and telemetry: all zero when idle. */
    readonly size: () => Record<string, number>
  }
>()("quorate/ClientLinks") {
  /**
   * Dials every node of the group and keeps dialling those that are away: a client may start before
   * its servers. Interrupting a call, or the end of the scope, leaves nothing behind.
   */
  static readonly layer: Layer.Layer<ClientLinks, never, Group | Carrier> = Layer.effect(
    ClientLinks,
    Effect.gen(function* () {
      const group = yield* Group
      const carrier = yield* Carrier
      const on = yield* observers
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => new GroupClient({ group, carrier, observers: on })),
        (it) => Effect.sync(() => it.close())
      )
      return ClientLinks.of({
        get system() {
          return client.system
        },
        start: (spec) => client.start(spec),
        size: () => client.size()
      })
    })
  )
}
