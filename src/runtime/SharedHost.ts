/**
 * The host that the nodes of several groups share: one address, one link to each other host, one
 * key. Without it in the context each node makes a host of its own.
 */
import { Context, Effect, type Scope } from "effect"
import { LIMITS } from "../base/limits.ts"
import type { Signer } from "../link/ports.ts"
import type { Carrier, Listener } from "./Carrier.ts"
import { Host, STOPPING } from "./Host.ts"
import { Doors, type NodeDoor } from "./internal/doors.ts"
import { makeClock } from "./internal/random.ts"
import type { Print } from "./internal/lines.ts"

export class SharedHost extends Context.Service<
  SharedHost,
  {
    readonly host: Host
    readonly carrier: Carrier["Service"]
    /** Its private key; absent: its nodes are in groups with plaintext links. */
    readonly signer?: Signer | undefined
    /** `host:port` at which it listens. */
    readonly address: string
    /**
     * Opens the address to a node's clients and peers, until what is returned is called. Fails with
     * what is wrong with the address, for people.
     */
    readonly open: (door: NodeDoor) => Effect.Effect<() => void, string>
    /** Takes nothing new from now on. */
    readonly refuse: () => void
  }
>()("quorate/SharedHost") {}

export interface SharedHostOptions {
  readonly carrier: Carrier["Service"]
  readonly signer?: Signer | undefined
  readonly address: string
  /** Who speaks, before each line for the operator. */
  readonly name: string
  readonly print: Print
}

/** It listens once the first node opens it, and ends with its scope. */
export const makeSharedHost = Effect.fnUntraced(function* (
  options: SharedHostOptions
): Effect.fn.Return<SharedHost["Service"], never, Scope.Scope> {
  const { carrier, signer, address, name, print } = options
  const host = new Host({ limits: LIMITS, clock: makeClock(), carrier, signer, name, print })
  const doors = new Doors(host)
  let listener: Listener | undefined
  const listening = yield* Effect.cached(
    Effect.map(carrier.listen(address, doors), (it) => {
      listener = it
    })
  )
  const refuse = (): void => {
    host.refuse(STOPPING)
    listener?.refuse()
  }
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      refuse()
      host.close(STOPPING)
      return listener?.close ?? Effect.void
    })
  )
  const open = (door: NodeDoor): Effect.Effect<() => void, string> =>
    Effect.suspend(() => {
      const leave = doors.add(door)
      return Effect.as(listening, leave).pipe(Effect.onError(() => Effect.sync(leave)))
    })
  return { host, carrier, signer, address, open, refuse }
})
