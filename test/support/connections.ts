/** Connections of a carrier, without hosts: for tests. */
import { Effect } from "effect"
import { onTestFinished } from "vitest"
import type { Connection, ConnectionEvents, Packet } from "../../src/link/ports.ts"
import type { Carrier, Door, Listener } from "../../src/runtime/Carrier.ts"
import { freePorts } from "./processes.ts"

/** One end, as its owner sees it. */
export class Side {
  readonly packets: Array<Packet> = []
  closes: Array<string> = []
  drains = 0
  readonly departures: Array<string> = []
  private readonly waiting: Array<() => void> = []
  readonly events: ConnectionEvents = {
    packet: (packet) => {
      this.packets.push(packet)
      this.wake()
    },
    drained: () => {
      this.drains++
      this.wake()
    },
    leaving: (why) => {
      this.departures.push(why)
      this.wake()
    },
    closed: (reason) => {
      this.closes.push(reason)
      this.wake()
    }
  }
  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve()
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiting.push(resolve))
  }
}

/** A door that takes links and nothing else. */
export const door = (accept: Door["accept"]): Door => ({
  accept,
  services: [],
  unary: () => () => {},
  greet: () => ({ code: "not_ready", detail: "" }),
  garbage: () => {}
})

export const address = async (): Promise<string> => `127.0.0.1:${(await freePorts(1))[0]}`

export const listen = async (carrier: Carrier["Service"], at: string, accept: Door["accept"]) => {
  const listener = await Effect.runPromise(carrier.listen(at, door(accept)))
  onTestFinished(() => Effect.runPromise(listener.close))
  return listener
}

export interface Pair {
  readonly near: Side
  readonly far: Side
  readonly dialled: Connection
  readonly accepted: Connection
  readonly listener: Listener
  readonly at: string
}

/** A connection over which each side has sent one packet, and trusts the other. */
export const join = async (carrier: Carrier["Service"], trusting = true): Promise<Pair> => {
  const at = await address()
  const near = new Side()
  const far = new Side()
  let accepted: Connection | undefined
  const listener = await listen(carrier, at, (connection) => {
    accepted = connection
    connection.send({ frame: Uint8Array.of(2) })
    return far.events
  })
  const dialled = carrier.dial(at, near.events)
  dialled.send({ frame: Uint8Array.of(1) })
  await near.until(() => near.packets.length === 1)
  await far.until(() => far.packets.length === 1)
  if (trusting) for (const connection of [dialled, accepted!]) connection.trust()
  return { near, far, dialled, accepted: accepted!, listener, at }
}
