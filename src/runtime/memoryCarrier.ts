/** Hosts in one process, joined by memory: for tests, and for a group that lives in one program. */
import { Effect } from "effect"
import { LIMITS } from "../base/limits.ts"
import type { Connection, ConnectionEvents, Packet } from "../link/ports.ts"
import type { Carrier, Door, FetchChannel, Listener } from "./Carrier.ts"

export interface MemoryNetwork {
  readonly carrier: Carrier["Service"]
  /** Breaks every connection to the host that listens at `address`. */
  readonly cut: (address: string) => void
  /** Who dialled the host there is told that it is `leaving`; connections live on. */
  readonly leave: (address: string, why: string) => void
  /** Connections open now. */
  readonly connections: () => number
}

/** One end of a connection. Packets wait in `incoming` for the network's next turn. */
class End implements Connection {
  readonly remote: string
  readonly address: string
  other: End | undefined
  events: ConnectionEvents | undefined
  backlogBytes = 0
  readonly incoming: Array<Packet> = []
  /** Why it ends, once it ends; told after `incoming` was handed over. */
  ending: string | undefined
  private readonly network: Network
  private frameBytesMax = LIMITS.handshakeFrameBytesMax
  private left = false
  private over = false

  constructor(network: Network, remote: string, address: string) {
    this.network = network
    this.remote = remote
    this.address = address
  }
  send(packet: Packet): void {
    if (this.over || this.other === undefined || this.other.ending !== undefined) return
    this.backlogBytes += packet.frame.length
    this.other.incoming.push(packet)
    this.network.busy(this.other)
  }
  trust(): void {
    this.frameBytesMax = LIMITS.batchBytesMax
  }
  leave(why: string): void {
    if (this.left || this.over) return
    this.left = true
    this.events?.leaving(why)
  }
  close(): void {
    this.end("closed by this side")
    this.other?.end("closed by the other side")
  }
  end(reason: string): void {
    if (this.ending !== undefined) return
    this.ending = reason
    this.network.busy(this)
  }
  deliver(): void {
    const packets = this.incoming.splice(0)
    for (const packet of packets) {
      if (packet.frame.length > this.frameBytesMax) {
        this.end(`a message of ${packet.frame.length} bytes`)
        this.other?.end("connection reset")
        break
      }
      this.events?.packet(packet)
    }
    if (packets.length > 0) this.other?.taken()
    if (this.ending === undefined || this.over) return
    this.over = true
    this.network.forget(this)
    this.events?.closed(this.ending)
  }
  private taken(): void {
    this.backlogBytes = this.other!.incoming.reduce((sum, { frame }) => sum + frame.length, 0)
    if (this.backlogBytes === 0 && !this.over) this.events?.drained()
  }
}

class Network {
  private readonly doors = new Map<string, Door>()
  private readonly ends = new Set<End>()
  private readonly waiting = new Set<End>()
  private scheduled = false

  /** What was sent in a turn arrives in the next: never within the call that sent it. */
  busy(end: End): void {
    this.waiting.add(end)
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      const ends = [...this.waiting]
      this.waiting.clear()
      for (const waiting of ends) waiting.deliver()
    })
  }
  forget(end: End): void {
    this.ends.delete(end)
  }
  dial(address: string, events: ConnectionEvents): Connection {
    const near = new End(this, address, address)
    near.events = events
    this.ends.add(near)
    const door = this.doors.get(address)
    if (door === undefined) {
      near.end("connection refused")
      return near
    }
    const far = new End(this, "memory", address)
    this.ends.add(far)
    near.other = far
    far.other = near
    far.events = door.accept(far)
    return near
  }
  listen(address: string, door: Door): Listener | string {
    if (this.doors.has(address)) return "the address is in use"
    this.doors.set(address, door)
    const refuse = () => {
      if (this.doors.get(address) === door) this.doors.delete(address)
    }
    return {
      refuse,
      close: Effect.sync(() => {
        refuse()
        this.cut(address)
      })
    }
  }
  /** Calls beside connections: each answer comes in a later turn. */
  fetches(address: string): FetchChannel {
    return {
      ask: (call, done) => {
        setImmediate(() => {
          const given = this.doors.get(address)?.fetch?.(call)
          done(given === undefined || "code" in given ? { kind: "unreachable" } : given)
        })
      },
      close: () => {}
    }
  }
  cut(address: string): void {
    for (const end of this.ends) {
      if (end.address === address) end.end("connection reset")
    }
  }
  leave(address: string, why: string): void {
    for (const end of this.ends) if (end.remote === address) end.leave(why)
  }
  connections(): number {
    return this.ends.size / 2
  }
}

/** A network of its own: hosts of two networks never meet. */
export const makeMemoryNetwork = (): MemoryNetwork => {
  const network = new Network()
  return {
    carrier: {
      dial: (address, events) => network.dial(address, events),
      listen: (address, door) =>
        Effect.suspend(() => {
          const listener = network.listen(address, door)
          return typeof listener === "string" ? Effect.fail(listener) : Effect.succeed(listener)
        }),
      fetches: (address) => network.fetches(address)
    },
    cut: (address) => network.cut(address),
    leave: (address, why) => network.leave(address, why),
    connections: () => network.connections()
  }
}
